"""House rule: the settings table of the README is that of the settings. The failure shows the rows to write."""

import re
from pathlib import Path

from pydantic import SecretStr

from mailroom.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
NOT_SET_BY_HAND = "env_file"  # the .env that was read
BY_MACHINE = "worker_processes"


def default_of(name: str) -> str:
    field = Settings.model_fields[name]
    if field.is_required():
        return "**required**"
    if name == BY_MACHINE:
        return "the cores"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value not in {None, ""} else ""


def rows() -> list[str]:
    return [
        f"| `{name.upper()}` | {default_of(name)} | {(field.description or '').replace('|', chr(92) + '|')} |"
        for name, field in Settings.model_fields.items()
        if name != NOT_SET_BY_HAND
    ]


def test_the_settings_table_of_the_readme_is_that_of_the_settings() -> None:
    written = re.findall(r"^\| `[A-Z_]+` \|.*\|$", README, re.MULTILINE)
    assert written == rows()


def test_every_link_of_the_documents_leads_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(documents) > 10
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_every_link_to_a_heading_finds_it() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    missing = [
        (document.name, target, anchor)
        for document in documents
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", document.read_text())
        if "://" not in target and anchor not in anchors(document.parent / target if target else document)
    ]
    assert missing == []


def test_every_command_of_make_that_the_documents_name_exists() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)) <= known, (
            document.name
        )


def test_the_figures_of_the_comparison_are_those_that_the_benchmarks_wrote() -> None:
    """A figure that a file no longer has was measured anew: write the new one into the README."""
    compared = README.partition("## Beside what people use today")[2].partition("\n## ")[0]
    cells = [
        (cell, file)
        for part in re.split(r"\||\n\n", compared)
        for cell, file in re.findall(r"(.*?)\[\[[abc]\]\]\((benchmarks/\w+\.md)\)", part, re.DOTALL)
    ]
    assert len(cells) >= 5
    for cell, file in cells:
        measured = set(re.findall(r"\d[\d,.]*\d|\d", (ROOT / file).read_text()))
        assert set(re.findall(r"\d[\d,.]*\d|\d", cell)) <= measured, f"{cell.strip()} ({file})"
