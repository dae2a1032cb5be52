"""Apps as an operator has them: packages installed outside the repository, beside Mailroom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailroom.apps.new import new_app
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "csv_import"


@pytest.fixture(scope="package")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two apps installed: the example, and one that `mailroom new-app` wrote."""
    folder = tmp_path_factory.mktemp("apps")
    made = new_app("hello_world", folder)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--target",
            str(folder / "installed"),
            str(EXAMPLE),
            str(made),
        ],
        check=True,
        capture_output=True,
        timeout=110,
    )
    return folder / "installed"


@pytest.fixture
def with_apps(environment: dict[str, str], apps: Path) -> dict[str, str]:
    """The environment of a process that has these apps."""
    return {**environment, "PYTHONPATH": os.pathsep.join([str(apps), environment["PYTHONPATH"]])}
