"""A Procfile host in small: the project, what requirements.txt installs and no more, and the lines run."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.processes import ROOT, Running

DEPLOYED = ("Procfile", "pyproject.toml", "requirements.txt", "alembic", "src")


class HostProcess(Running):
    """A line of the Procfile, run by a shell as hosts do."""

    def __init__(self, name: str, line: str, environment: Mapping[str, str], project: Path, log: Path) -> None:
        self.name = name
        self.log = log
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {line}"],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=project,
                start_new_session=True,
            )


class Host:
    """Deploys into `folder` and runs what the Procfile says, with these settings and nothing else set."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.project = folder / "app"
        self.project.mkdir(parents=True)
        for name in DEPLOYED:
            (self.project / name).symlink_to(ROOT / name)
        self.python = _install(folder / "python")
        self.environment = {"PATH": f"{self.python.parent}:{os.defpath}", "HOME": str(folder), **settings}
        self._logs = folder
        self._started = 0

    @property
    def lines(self) -> dict[str, str]:
        """The Procfile, as its format is defined: ``name: command``."""
        text = (self.project / "Procfile").read_text()
        return dict(re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", text, re.MULTILINE))

    def start(self, name: str, **settings: str) -> HostProcess:
        """Start a line of the Procfile."""
        self._started += 1
        log = self._logs / f"{name}-{self._started}.log"
        return HostProcess(name, self.lines[name], {**self.environment, **settings}, self.project, log)

    def run(self, name: str) -> str:
        """Run a line of the Procfile to its end; return what it printed."""
        process = self.start(name)
        assert process.process.wait(60) == 0, process.text
        return process.text


def _install(folder: Path) -> Path:
    """Make an environment that holds what requirements.txt names and no more; return its Python.

    The packages are those of this very environment, linked: the locks agree (a house rule), so this is what
    `pip install -r requirements.txt` gives, without an index.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for requirement in _locked():
        for file in distribution(requirement.name).files or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(requirement.name).locate_file(top))))
    return folder / "bin" / "python"


def _locked() -> list[Requirement]:
    text = (ROOT / "requirements.txt").read_text().replace("\\\n", " ")
    lines = (line.partition("--hash")[0].strip() for line in text.splitlines() if not line.startswith("#"))
    found = [Requirement(line) for line in lines if line]
    return [one for one in found if one.marker is None or one.marker.evaluate()]
