"""A program as a process: described, started, recognized later, and ended with all that it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class User:
    """The user that a program runs as, if that is not the user who starts it."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """One program to run, in a session and process group of its own. It ends when its starter ends (Linux)."""

    name: str
    command: Sequence[str]
    """The full path of the program, then its arguments."""
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    user: User | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    """What the kernel sends it when its starter dies."""
    log: Path | None = None
    """The file that its output is appended to. Without one, its starter shows the output."""
    ready: Callable[[], bool] | None = None
    """Whether it answers; may block for a second or two."""


def launch_line(program: Program) -> list[str]:
    """Return the command that starts `program` through `launch.py`; its pid is then the program's."""
    user = f"{program.user.uid}:{program.user.gid}" if program.user else "-"
    before = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(program.death_signal)), user]
    return [*before, *program.command]


def spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
    """Start `program`. Call it in a thread that outlives it: the kernel counts that thread as its parent."""
    with log.open("ab") as output:
        return subprocess.Popen(
            launch_line(program),
            cwd=program.folder,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def started_at(pid: int) -> str | None:
    """Return when process `pid` was started, so that a later process with the same number differs.

    None if there is no such process; a zombie counts as none.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None if sys.platform == "linux" else _asked_ps(pid)
    return None if stat[0] in "ZX" else f"{boot}/{stat[19]}"


def _asked_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    return answer.stdout.strip() or None


def members(session: int) -> list[int]:
    """Return the running processes of a session, whose leader may have ended (Linux; elsewhere none)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(stat[3]) == session and stat[0] not in "ZX":
                found.append(int(entry.name))
    return found


def kill_all(leader: int) -> None:
    """Kill a program and every process that is left of its session, in any process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for pid in members(leader):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes], stop_signal: int, seconds: float) -> None:
    """End a started program: `stop_signal`, then SIGKILL for its whole session after `seconds`."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_all(process.pid)
        process.wait()
    kill_all(process.pid)


def wait_gone(pids: Sequence[int], seconds: float) -> bool:
    """Wait until none of `pids` is left; return False if one still is after `seconds`."""
    until = time.monotonic() + seconds
    while any(started_at(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
