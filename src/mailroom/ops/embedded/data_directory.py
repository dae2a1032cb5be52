"""The folder of `mailroom up`: a lock against a second `up`, secrets, and records of processes."""

import fcntl
import json
import os
import secrets
import signal
from pathlib import Path
from typing import Self

from mailroom.ops.processes import program as processes
from mailroom.ops.processes.errors import HomeInUse, Refused


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read. It is written whole or not at all, and is on disk on return."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def secret(path: Path) -> str:
    """Return the secret kept in `path`. The first call makes it (256 bits, fit for a URL)."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        value = secrets.token_urlsafe(32)
        write_private(path, f"{value}\n")
        return value


class DataDirectory:
    """The folder, locked for this process until `close` or until the process ends."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._records = path / "processes.json"

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the folder if there is none (mode 0700), and lock it.

        Raises `HomeInUse` naming the process that holds it, `Refused` if the folder is somebody else's.
        """
        path = path.resolve()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (path / "lock").exists() and any(path.iterdir()):
                raise Refused(f"{path} is not empty and not Mailroom's; set MAILROOM_HOME to another folder.")
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            path.chmod(0o700)
        except OSError as error:
            raise Refused(
                f"{path} cannot be used ({error.strerror}); set MAILROOM_HOME to a folder of your own."
            ) from error
        cls._take(path, lock)
        (path / ".gitignore").write_text("*\n")
        return cls(path, lock)

    @staticmethod
    def _take(path: Path, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 20, 0).decode().strip() or "unknown"
            os.close(lock)
            raise HomeInUse(
                f"Another `mailroom up` (process {holder}) is using {path}. Stop that one first "
                "(Ctrl-C in its window), or set MAILROOM_HOME to another folder."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)

    def secret(self, name: str) -> str:
        """Return the secret of that name. It stays the same as long as the folder exists."""
        return secret(self.path / name)

    def record(self, pid: int, name: str) -> None:
        """Note a process that was started, so that a later `up` can end it if this one cannot."""
        records = self._read()
        records[str(pid)] = {"name": name, "started": processes.started_at(pid)}
        write_private(self._records, json.dumps(records))

    def forget(self, pid: int) -> None:
        """Remove a process that has ended from the records."""
        records = self._read()
        records.pop(str(pid), None)
        write_private(self._records, json.dumps(records))

    def end_leftovers(self) -> list[str]:
        """End the processes that a killed `up` left running; return their names.

        A process is ended only if its number and start time are those in the records, and with it the processes of
        its session. If it has ended already, those of its session that have our MAILROOM_HOME are ended. While a
        session has processes, the kernel gives the number of its leader to no other process.
        """
        ended = []
        for pid, noted in self._read().items():
            alive = processes.started_at(int(pid))
            if alive is not None and alive != noted["started"]:
                continue  # the number went to somebody else's process
            pids = [member for member in processes.members(int(pid)) if alive or self._is_ours(member)]
            pids = pids or [int(pid)] * bool(alive)
            for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
                _signal(pids, number)
                if processes.wait_gone(pids, seconds):
                    break
            ended += [str(noted["name"])] * bool(pids)
        write_private(self._records, "{}")
        return ended

    def _is_ours(self, pid: int) -> bool:
        try:
            return f"MAILROOM_HOME={self.path}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _read(self) -> dict[str, dict[str, str | None]]:
        try:
            return dict(json.loads(self._records.read_text()))
        except (FileNotFoundError, ValueError):
            return {}


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
