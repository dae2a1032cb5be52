"""The memory that Argon2 fills: a web process gets it from the system once, and not for each password."""

from pathlib import Path

import pytest

from mailroom.accounts.passwords.hashing import MEMORY_KIB
from tests import processes
from tests.journeys.people import Person

WARM, COUNTED = 6, 10
PAGE = 4096


def minor_faults(pid: int) -> int:
    """Return how many pages the system has handed to this process so far (proc(5), stat, field 10)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
def test_a_sign_up_does_not_get_its_memory_from_the_system(environment: dict[str, str], tmp_path: Path) -> None:
    told = {**environment, "TRUSTED_PROXIES": "1", "WEB_CONCURRENCY": "1"}
    with processes.running("web", ["mailroom", "web"], told, tmp_path) as web:
        processes.wait_until_healthy(web, int(told["PORT"]))
        with Person("alice@example.org", told["PUBLIC_URL"]) as alice:
            for number in range(WARM + COUNTED):
                if number == WARM:
                    before = minor_faults(web.process.pid)
                alice.headers["X-Forwarded-For"] = f"10.0.0.{number}"
                alice.sign_up(f"person-{number}@example.org")
            each = (minor_faults(web.process.pid) - before) / COUNTED
    assert each < MEMORY_KIB * 1024 / PAGE / 2, f"{each:.0f} pages for each sign-up"
