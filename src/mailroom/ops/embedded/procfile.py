"""The Procfile: which processes there are, and how to run each."""

import re
import shlex
from pathlib import Path


def read_procfile(path: Path) -> dict[str, str]:
    """Return the Procfile's lines, in order: ``name: command``; comments and empty lines are skipped."""
    lines = (re.match(r"([A-Za-z0-9_-]+):\s*(.+)", line) for line in path.read_text(encoding="utf-8").splitlines())
    return {line[1]: line[2].strip() for line in lines if line}


def shell_command(line: str) -> list[str]:
    """Return the command of a Procfile's line: the program itself, or a shell if the line needs one.

    A shell in between would get the signals that are meant for the program.
    """
    if re.search(r"[$`;&|<>(){}*?~\\]", line) or "=" in shlex.split(line)[0]:
        return ["/bin/sh", "-c", line]
    return ["/usr/bin/env", *shlex.split(line)]
