"""Programs send over HTTP and SMTP while everything is killed: each 200 or 250 arrives or is shown.

PROGRAM_MAILS sets how many mails (400 in `make faults`), PROGRAM_SEED the order of the kills.
"""

import os
import random
import time

import pytest

from tests.faults.invariants import ENDED
from tests.faults.programs import HttpProgram, Program, SmtpProgram, check, make_key
from tests.faults.stack import FLEET, Stack, kill, restart
from tests.processes import Running
from tests.sink import wait_for

pytestmark = pytest.mark.faults

MAILS = int(os.environ.get("PROGRAM_MAILS", "400"))
SEED = int(os.environ.get("PROGRAM_SEED") or random.randrange(10**6))
EVERY = 3.0
"""Seconds between two kills."""


class Killer:
    """Kills one thing after the other, and starts it again."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.web = stack.web()
        self.submission = stack.begin_submission()
        self.workers: list[Running] = [stack.begin_worker(FLEET), stack.begin_worker(FLEET)]
        self.killed: dict[str, int] = dict.fromkeys(("web", "submission", "worker", "valkey", "postgres"), 0)

    def kill(self, what: str) -> None:
        self.killed[what] += 1
        if what == "web":
            self.web.kill()
            self.web = self.stack.begin_web()
        elif what == "submission":
            self.submission.kill()
            self.submission = self.stack.begin_submission()
        elif what == "worker":
            number = random.randrange(len(self.workers))
            self.workers[number].kill()
            self.workers[number] = self.stack.begin_worker(FLEET)
        else:
            server = self.stack.valkey if what == "valkey" else self.stack.postgres
            kill(server)
            restart(server)


@pytest.mark.timeout(MAILS * 0.5 + 400)
def test_each_promise_to_a_program_is_kept_while_everything_is_killed(stack: Stack) -> None:
    print(f"\nPROGRAM_MAILS={MAILS} PROGRAM_SEED={SEED}", flush=True)  # noqa: T201
    random.seed(SEED)
    key, killer = make_key(stack), Killer(stack)
    kinds: list[type[Program]] = [HttpProgram, SmtpProgram, SmtpProgram]
    shares = [MAILS // 2, MAILS // 4, MAILS // 4]
    programs = [
        kind(stack, key, f"p{number}", share)
        for number, (kind, share) in enumerate(zip(kinds, shares, strict=True))
    ]
    for program in programs:
        program.start()
    try:
        order: list[str] = []
        while any(program.is_alive() for program in programs) or len(order) > 0:
            if not order:
                order = random.sample(list(killer.killed), len(killer.killed))
            time.sleep(EVERY)
            killer.kill(order.pop())
    finally:
        for program in programs:
            program.stopping.set()
        for program in programs:
            program.join(60)
    wait_for(lambda: not stack.count(f"not {ENDED}"), 180, "every mail ends")
    print(f"killed {killer.killed}; {check(stack, programs)}", flush=True)  # noqa: T201
    assert sum(len(program.promised) for program in programs) >= MAILS
    assert all(killer.killed.values())
