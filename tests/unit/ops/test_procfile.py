"""The Procfile, read and run as hosts do."""

import subprocess
from pathlib import Path

import pytest

from mailroom.ops.embedded.procfile import read_procfile, shell_command

ROOT = Path(__file__).parents[3]


def test_lines_come_in_order_and_comments_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("# web: no\n\nrelease:  one two \nweb: a: b\nnot a line\n")
    assert list(read_procfile(tmp_path / "Procfile").items()) == [("release", "one two"), ("web", "a: b")]


def test_our_own_names_release_web_and_worker_and_runs_each_without_a_shell() -> None:
    lines = read_procfile(ROOT / "Procfile")
    assert list(lines) == ["release", "postdeploy", "web", "worker", "submission"]
    assert all(shell_command(line)[0] == "/usr/bin/env" for line in lines.values())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("env A=b sh -c 'echo $A'", "b"),
        ("A=b exec sh -c 'echo $A'", "b"),
        ("echo one && echo two", "one\ntwo"),
        ('echo "$HOME"', "/nowhere"),
    ],
)
def test_a_line_means_what_it_means_in_a_shell(line: str, said: str) -> None:
    done = subprocess.run(
        shell_command(line),
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": "/nowhere", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == said
