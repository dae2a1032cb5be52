"""The wheel: `pip install mailroom` brings all that a checkout has, and runs away from one."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mailroom
from tests.processes import ROOT

pytestmark = pytest.mark.xdist_group("wheel")  # one installation for the file

ASK = """
import json, sys
from pathlib import Path
from mailroom.ops import migrations
from mailroom.ops.embedded import plan
found = plan.make(None, {}, None, ())
print(json.dumps([str(migrations.scripts()), found.release, sorted(found.apps), str(found.home)]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as pip would unpack it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ROOT]
    subprocess.run([sys.executable, *command], check=True, timeout=100)
    (wheel,) = folder.glob("mailroom-*.whl")
    assert wheel.name.startswith(f"mailroom-{mailroom.__version__}-")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_every_file_of_the_package_and_the_migrations(installed: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {
            str(file.relative_to(folder))
            for file in folder.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }

    package = installed / "mailroom"
    assert names(ROOT / "src" / "mailroom") - names(package) == set()
    assert names(ROOT / "alembic") == names(package / "migrations")


def test_it_finds_its_migrations_and_its_processes_away_from_a_checkout(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    scripts, release, apps, home = json.loads(done.stdout)
    assert scripts == str(installed / "mailroom" / "migrations")
    assert release.endswith("mailroom migrate")
    assert apps == ["submission", "web", "worker"]
    assert home == str(tmp_path / ".mailroom")
