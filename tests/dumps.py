"""Backups as an operator makes them: PostgreSQL's own pg_dump and pg_restore."""

import subprocess
from pathlib import Path

from mailroom.ops.embedded.postgres import programs


def dump(url: str, file: Path) -> None:
    """Write the database to a file, in the custom format."""
    subprocess.run([programs() / "pg_dump", "--format=custom", f"--file={file}", url], check=True)


def restore(url: str, file: Path) -> None:
    """Load the file as docs/OPERATING.md says."""
    options = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
    subprocess.run([programs() / "pg_restore", *options, f"--dbname={url}", file], check=True)
