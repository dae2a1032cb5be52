"""The example and a newcomer's app: installed outside the repository, their tests pass; and how small one is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.apps.new import new_app
from tests.integration.apps.conftest import EXAMPLE


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.timeout(400)
def test_the_tests_of_both_packages_pass_away_from_the_repository(
    with_apps: dict[str, str], tmp_path: Path
) -> None:
    made = new_app("hello_world", tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml"),
            *("tests", str(EXAMPLE / "tests")),
        ],
        env=with_apps,
        cwd=made,
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_a_page_a_task_and_a_mail_are_under_100_lines_and_import_nothing_but_the_api(tmp_path: Path) -> None:
    made = new_app("hello_world", tmp_path)
    written = [made / "pyproject.toml", *(path for path in (made / "hello_world").rglob("*") if path.is_file())]
    lines = {str(path.relative_to(made)): len(path.read_text().splitlines()) for path in written}
    assert sum(lines.values()) < 100, lines
    modules = [*(made / "hello_world").glob("*.py"), *EXAMPLE.rglob("csv_import/*.py")]
    assert len(modules) > 8
    ours = {name for module in modules for name in imports(module) if name.split(".")[0] == "mailroom"}
    assert ours == {"mailroom.api"}
    of_the_newcomer = {name for module in (made / "hello_world").glob("*.py") for name in imports(module)}
    assert {name for name in of_the_newcomer if name.split(".")[0] not in sys.stdlib_module_names} == {
        "mailroom.api"
    }
