"""House rules about where things are: small files, telling names, rooms as the architecture page has them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mailroom"
MOST_LINES = 400
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
WRITTEN = {".py", ".js", ".css", ".html", ".txt"}


def written() -> list[Path]:
    return [path for path in SOURCE.rglob("*") if path.suffix in WRITTEN and "__pycache__" not in path.parts]


def test_every_file_can_be_read_in_one_go() -> None:
    assert len(written()) > 100
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in written()}
    assert {name: lines for name, lines in long.items() if lines >= MOST_LINES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    """Such a room fills with what nobody found a place for."""
    named = [*written(), *(path for path in SOURCE.rglob("*") if path.is_dir())]
    assert [path for path in named if set(re.split(r"[_.]", path.name)) & SAYS_NOTHING] == []


def test_the_rooms_of_the_architecture_page_exist_and_none_is_missing_from_it() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"src/mailroom/([a-z0-9_/]+)/`", page))
    assert [room for room in sorted(named) if not (SOURCE / room).is_dir()] == []
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms - named == set()


def test_every_room_has_a_page_and_every_page_is_listed() -> None:
    """A page of its own name, or a row of `docs/rooms/README.md` that says where the room is described."""
    pages = ROOT / "docs" / "rooms"
    table = dict(
        re.findall(r"^\| (\w+) \| (.*) \|$", (pages / "README.md").read_text().partition("\n## ")[0], re.MULTILINE)
    )
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert len(rooms) > 10
    assert {room for room in rooms if not re.search(r"\]\([\w.]*#?\w+", table.get(room, ""))} == set()
    assert set(table) - rooms - {"room"} == set(), "there is no such room"
    listed = set(re.findall(r"\]\((\w+\.md)", " ".join(table.values())))
    assert {page.name for page in pages.glob("*.md")} - {"README.md"} == listed


def test_every_decision_is_listed_and_has_a_number_of_its_own() -> None:
    pages = ROOT / "docs" / "decisions"
    decisions = [page.name for page in pages.glob("0*.md")]
    listed = re.findall(r"^\| \d+ \| \[.*\]\((.*)\) \|$", (pages / "README.md").read_text(), re.MULTILINE)
    assert sorted(decisions) == listed, "docs/decisions/README.md lists each decision once, in order"
    assert len({name[:4] for name in decisions}) == len(decisions), "two decisions have one number"


def paths_of(page: str) -> set[str]:
    """Return the paths of the repository that a page names; `<name>` in one stands for any name."""
    named = re.findall(r"(?<![\w/.-])((?:src/mailroom|tests|docs|benchmarks|alembic)/[\w./<>*-]*[\w/>*])", page)
    return {re.sub(r"<[^>]*>", "*", path) for path in named}


def test_every_path_that_the_documents_for_developers_name_exists() -> None:
    documents = [
        ROOT / "CONTRIBUTING.md",
        ROOT / "docs" / "ARCHITECTURE.md",
        *(ROOT / "docs" / "rooms").glob("*.md"),
    ]
    named = {(document.name, path) for document in documents for path in paths_of(document.read_text())}
    assert len(named) > 100
    to_be_made = {"src/mailroom/i18n/catalogues/*/LC_MESSAGES/mailroom.po"}  # English has none
    missing = [(name, path) for name, path in sorted(named) if path not in to_be_made and not found(path)]
    assert missing == []


def found(path: str) -> bool:
    return any(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()


def test_the_files_that_a_room_page_names_exist() -> None:
    missing = []
    for page in (ROOT / "docs" / "rooms").glob("*.md"):
        roots = (SOURCE / page.stem, SOURCE, ROOT)
        named = re.findall(r"`([\w/]+\.py|[\w/]+/)`", page.read_text())
        missing += [(page.name, name) for name in named if not any((root / name).exists() for root in roots)]
    assert missing == []


def test_the_layers_that_import_linter_checks_are_the_rooms_there_are() -> None:
    contract = (ROOT / "pyproject.toml").read_text()
    layers = set(re.findall(r"mailroom\.(\w+)", contract.partition("layers = [")[2].partition("]")[0]))
    names = {path.stem for path in SOURCE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert {name for name in names if not name.startswith("__") or name == "__main__"} == layers


def test_there_is_one_alembic_head() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(Config(toml_file=ROOT / "pyproject.toml"))
    assert len(script.get_heads()) == 1, "two migrations follow the same one: merge them"
    assert all(revision.doc for revision in script.walk_revisions())
