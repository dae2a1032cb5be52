"""Finds a running `mailroom up`, so that commands in a second window use the servers it embeds."""

import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mailroom
from mailroom.settings import Settings, env_file

SOURCE_ROOT = Path(mailroom.__file__).resolve().parents[2]
SERVERS = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "RESULT_BACKEND_URL", "SMTP_URL")
NAMES = frozenset(name.upper() for name in Settings.model_fields)
REQUIRED = frozenset(name.upper() for name, field in Settings.model_fields.items() if field.is_required())


@dataclass(frozen=True, slots=True)
class Stack:
    """A running `mailroom up`: its folder, and the settings its own processes have."""

    home: Path
    environment: Mapping[str, str]


def given(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are set in `environment` or else in the `.env` of `folder`.

    Raises `SettingsError` if `.env` cannot be read.
    """
    capitals = {name.upper(): value for name, value in environment.items()}
    return {name: value for name, value in env_file.given(folder, capitals).items() if name in NAMES}


def find(folder: Path, environment: Mapping[str, str]) -> Stack | None:
    """Return the stack to use from `folder`; None if all that is required is set, or if no stack that fits runs.

    If a server is set by hand, the stack must use the same one: settings of two places are never mixed.
    """
    known = given(folder, environment)
    if known.keys() >= REQUIRED:
        return None
    for home in homes(folder, known):
        try:
            stack = _running(home)
        except (OSError, ValueError):
            continue  # not there, or not ours to read
        if stack and all(known[name] == stack.environment.get(name) for name in SERVERS if name in known):
            return stack
    return None


def homes(folder: Path, known: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders in which a stack is looked for, from `folder` and with the settings that are `known`."""
    if home := known.get("MAILROOM_HOME"):
        yield (folder / home).resolve()
        return
    yield (folder / ".mailroom").resolve()
    yield SOURCE_ROOT / ".mailroom"  # where `up` keeps it, from whatever folder it is called


def _running(home: Path) -> Stack | None:
    """Return the stack of this folder. `up` holds its lock while it runs, and writes its environment anew."""
    lock = os.open(home / "lock", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        begun = os.fstat(lock).st_mtime_ns
    else:
        return None
    finally:
        os.close(lock)
    path = home / "environment"
    if path.stat().st_mtime_ns < begun:
        return None  # of an earlier run: this one is only starting
    return Stack(home, _exports(path.read_text(encoding="utf-8")))


def _exports(text: str) -> dict[str, str]:
    """Read ``export NAME=value`` lines, as a shell would."""
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, separator, value in pairs if separator and name in NAMES}
