import asyncio
import os
import threading
import time
from collections.abc import Iterator

import argon2
import pytest

from mailroom.accounts.passwords.hashing import Passwords, is_useless

GOOD = "seven quiet lanterns over water"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords()
    yield passwords
    passwords.close()


async def test_a_hash_has_owasps_parameters_and_a_salt_of_its_own(passwords: Passwords) -> None:
    first, second = await passwords.hash(GOOD), await passwords.hash(GOOD)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert argon2.PasswordHasher().verify(first, GOOD), "any other Argon2 reads it"
    assert await passwords.match(GOOD, [first, second]) == [True, True]
    assert await passwords.match(GOOD + " ", [first, second]) == [False, False]


async def test_nobodys_hash_is_matched_by_nothing(passwords: Passwords) -> None:
    assert await passwords.match(GOOD, [None, None]) == [False, False]
    assert await passwords.match("", [None]) == [False]
    assert await passwords.match(GOOD, []) == []


async def test_a_hash_that_stands_for_no_password_looks_like_any_other_and_is_known(passwords: Passwords) -> None:
    known = await passwords.hash(GOOD)
    none, other = passwords.useless(known), passwords.useless(known)
    assert none != other and none.split("$")[:5] == known.split("$")[:5] and len(none) == len(known)
    assert await passwords.match(GOOD, [known, none]) == [True, False]
    assert [is_useless(one) for one in (none, passwords.useless(), known, "", "x")] == [True, True] + [False] * 3
    assert not passwords.outdated(none)


async def test_a_hash_like_another_shares_its_salt_so_one_computation_compares_both(passwords: Passwords) -> None:
    account = await passwords.hash(GOOD)
    decoy = await passwords.hash("crooked umbrella", like=account)
    assert account.split("$")[:5] == decoy.split("$")[:5]
    assert await passwords.match(GOOD, [account, decoy]) == [True, False]
    assert await passwords.match("crooked umbrella", [account, decoy]) == [False, True]


async def test_any_keyboard_writes_the_same_password(passwords: Passwords) -> None:
    known = await passwords.hash("caf\u00e9 \ufb01ne and a long night")
    assert await passwords.match("cafe\u0301 fine and a long night", [known]) == [True]


@pytest.mark.parametrize("password", ["", "\x00", "🐙" * 100, "\ud800", "x" * 1_000_000])
async def test_any_password_can_be_compared(passwords: Passwords, password: str) -> None:
    assert await passwords.match(password, [await passwords.hash(GOOD)]) == [False]


async def test_older_parameters_still_match_and_are_known_as_outdated(passwords: Passwords) -> None:
    older = Passwords(memory_kib=8192, passes=1)
    known = await older.hash(GOOD)
    older.close()
    assert await passwords.match(GOOD, [known]) == [True]
    assert passwords.outdated(known)
    renewed = await passwords.hash(GOOD, like=known)
    assert not passwords.outdated(renewed)
    assert renewed.split("$")[4] == known.split("$")[4], "an address keeps its salt"


async def test_a_salt_of_another_length_is_not_kept(passwords: Passwords) -> None:
    short = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1, salt_len=8).hash(GOOD)
    assert not passwords.outdated(await passwords.hash(GOOD, like=short))


async def test_an_unknown_address_takes_as_long_as_a_known_one(passwords: Passwords) -> None:
    known = await passwords.hash(GOOD)
    taken = [float("inf"), float("inf")]
    for _ in range(15):  # CPU, interleaved, and the least of each: other work on the machine must not decide
        for which, hashes in enumerate(([known, None], [None, None])):
            start = time.process_time()
            await passwords.match("wrong", hashes)
            taken[which] = min(taken[which], time.process_time() - start)
    assert max(taken) < min(taken) * 1.6


async def test_hashing_leaves_the_event_loop_free_and_takes_no_more_threads_than_cores(
    passwords: Passwords,
) -> None:
    ticks, done, before = 0, asyncio.Event(), set(threading.enumerate())

    async def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    # On a busy machine some of them would wait too long and are refused, which is for another test.
    made = await asyncio.gather(*(passwords.hash(GOOD) for _ in range(12)), return_exceptions=True)
    done.set()
    await ticking
    assert any(isinstance(one, str) for one in made)
    assert ticks >= 10
    new = [
        thread for thread in threading.enumerate() if thread.name.startswith("passwords") and thread not in before
    ]
    assert len(new) <= (os.cpu_count() or 1)
