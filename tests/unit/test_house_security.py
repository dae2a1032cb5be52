"""House rule: every line of the table in docs/SECURITY.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "SECURITY.md").read_text()
TESTS = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
}
LINES = re.findall(r"^\| (V[0-9][^|]*) \|[^|]*\| (.*) \|$", PAGE, re.MULTILINE)


def test_every_line_of_the_table_of_asvs_names_tests_that_exist() -> None:
    assert len(LINES) > 40
    named = {chapters: re.findall(r"`(\w+)`", shown) for chapters, shown in LINES}
    assert [chapters for chapters, shown in named.items() if not shown] == [], "a line without a test"
    assert {name for shown in named.values() for name in shown} - TESTS == set()


def test_every_chapter_of_asvs_is_in_the_table_or_said_not_to_apply() -> None:
    there = {f"V{number}" for chapters, _ in LINES for number in re.findall(r"V(\d+)", chapters)}
    outside = PAGE.partition("Chapters without a line")[2].partition("\n\n")[0]
    assert {f"V{number}" for number in range(1, 18)} - there == set(re.findall(r"V(?:10|17)\b", outside))
