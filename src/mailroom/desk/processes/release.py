"""Which release runs: the version, and a hash of the program's own files, so that each deploy has a name."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mailroom


@cache
def release() -> str:
    """Return ``0.1.0+3f9a21c``. Hosts that run the source without installing it have no version: ``source+…``."""
    digest = hashlib.sha256()
    folder = Path(mailroom.__file__).parent
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".html", ".js", ".css", ".txt"}:
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    try:
        name = version("mailroom")
    except PackageNotFoundError:
        name = "source"
    return f"{name}+{digest.hexdigest()[:7]}"
