"""Mixed traffic under random faults: 20 s of it in every run of the suite, 5 minutes with `make soak`."""

import os
import random
import time

import pytest

from tests.faults.chaos import Chaos
from tests.faults.invariants import settle, twice
from tests.faults.sign_ups import each_has_a_mail
from tests.faults.stack import Stack

SECONDS = float(os.environ.get("SOAK_SECONDS", "20"))
SENT = "state = 'sent'"
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(10**6))


@pytest.mark.timeout(SECONDS + 200)
def test_soak(stack: Stack) -> None:
    print(f"\nSOAK_SEED={SEED} SOAK_SECONDS={SECONDS:.0f}", flush=True)  # noqa: T201
    chaos = Chaos(stack, SEED, mails_a_second=15 if SECONDS <= 60 else 40)
    chaos.run(SECONDS)
    recovery = settle(stack, since=time.time(), within=60 if SECONDS > 60 else 90)
    each_has_a_mail(stack, chaos.tried, others="s%")
    refused = sum(one.status != 303 for one in chaos.tried)
    assert any(one.status == 303 for one in chaos.tried)
    ((uncertain,),) = stack.sql("select count(distinct mail_id) from attempts where uncertain_at is not null")
    print(  # noqa: T201
        f"{stack.count('true')} mails, {stack.count(SENT)} sent, 0 lost, "
        f"{uncertain} marked uncertain of which {twice(stack)} arrived twice, 0 twice unmarked; "
        f"{len(chaos.tried)} sign-ups of which {refused} told to try again; settled in {recovery.last:.1f} s"
    )
