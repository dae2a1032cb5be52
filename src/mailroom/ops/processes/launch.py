"""Run one program so that it ends when its parent does and, if asked, under another user.

A script of its own (``python -I -S launch.py …``), not a `preexec_fn`: forking with threads is unsafe, and
this way the pid stays the program's own. Imports nothing of Mailroom.

Arguments: parent's pid, signal to get when the parent dies, ``uid:gid`` or ``-``, program, its arguments.
"""

import contextlib
import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 4
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Become the program named by `arguments` (see the module); never returns."""
    parent, death_signal, user, program = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3:]
    if user != "-":
        uid, gid = (int(part) for part in user.split(":"))
        become(uid, gid, program[0])
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, death_signal)  # after the change of user, which would clear it
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
    os.execv(program[0], program)  # noqa: S606  # that is the point


def become(uid: int, gid: int, program: str) -> None:
    """Change to another user who can still enter folders that only root may enter (0700), and nothing more.

    The user keeps one capability of root's: CAP_DAC_READ_SEARCH; or CAP_DAC_OVERRIDE if a container has only that,
    or if only root may run `program` (installed with umask 077). Without it, every folder above would have to be
    opened to everybody.
    """
    capability = _capability(program) if sys.platform == "linux" else None
    if capability is not None:
        prctl(PR_SET_KEEPCAPS, 1)
        with contextlib.suppress(OSError):  # else access(2) would forget the capability; a container may forbid it
            prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability is not None:
        _keep_only(capability)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def _capability(program: str) -> int | None:
    with open("/proc/self/status") as status:  # noqa: PTH123  # pathlib would double the start time
        permitted = next(int(line.split()[1], 16) for line in status if line.startswith("CapPrm:"))
    for_all = os.stat(program).st_mode & 0o001  # noqa: PTH116
    wanted = [CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE] if for_all else [CAP_DAC_OVERRIDE]
    return next((capability for capability in wanted if permitted >> capability & 1), None)


def _keep_only(capability: int) -> None:
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then the high half
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def prctl(option: int, *arguments: int) -> None:
    """Set a property of this process, as Linux's manual says under prctl. Raises OSError if that fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


if __name__ == "__main__":
    main(sys.argv[1:])
