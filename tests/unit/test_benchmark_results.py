"""What the benchmarks write: a section each, and figures that compare two trees."""

from pathlib import Path

from benchmarks.pairs import compare, install_missing
from benchmarks.results import write_section


def test_a_program_replaces_its_own_section_and_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    write_section(file, "## One", ["first"])
    write_section(file, "## Two", ["", "second", ""])
    write_section(file, "## One", ["third"])
    assert file.read_text() == "# Results\n\n## One\n\nthird\n\n## Two\n\nsecond\n"


def test_a_rate_that_falls_is_slower_and_so_is_a_time_that_grows() -> None:
    old = [{"mails": (100.0, "/s"), "a page": (10.0, "ms")}] * 3
    new = [{"mails": (rate, "/s"), "a page": (time, "ms")} for rate, time in ((50, 9), (90, 10), (91, 14))]
    rows = {row[0]: row[1:] for row in compare(old, new)}
    assert rows["mails"] == ("100/s", "90.0/s", "0.90 ↑ (slower)", "0.50 to 0.91")
    assert rows["a page"] == ("10.0 ms", "10.0 ms", "1.00 ↓", "0.90 to 1.40")


def test_a_pair_of_which_one_side_could_not_be_measured_does_not_count() -> None:
    rows = compare([{"a page": (10.0, "ms")}, {}, {}], [{"a page": (11.0, "ms")}, {"a page": (99.0, "ms")}, {}])
    assert rows == [("a page", "10.0 ms", "11.0 ms", "1.10 ↓ (slower)", "1.10 to 1.10")]


def test_an_older_commit_whose_libraries_are_all_here_has_nothing_installed(tmp_path: Path) -> None:
    lock = 'click==8.0 \\\n    --hash=sha256:0\nasync-timeout==5.0.1 ; python_full_version < "3.0" \\\n'
    (tmp_path / "requirements.txt").write_text(lock)
    install_missing(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["requirements.txt"]
