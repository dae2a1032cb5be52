"""What a password must be like, with the reason in words (NIST SP 800-63B-4 §3.1.1.2: length, and a blocklist).

No composition rules: they make passwords worse. Everything here takes CPU; call it off the event loop.
"""

import unicodedata
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from mailroom.accounts.errors import TooLong, WeakPassword

SHORTEST = 15
"""Characters, where the password is the only factor (NIST SP 800-63B-4)."""
LONGEST = 256
"""Characters. NIST asks for 64 at least; this is far above any password manager's and still cheap."""

CONTEXT = ("mailroom", "password", "account", "confirm")
MOST_LEFT_OVER = 8
"""A password must have this much that is not its context: the address, the site, a word of our pages."""

GUESSES = 10**8
"""What zxcvbn calls safely unguessable."""
BOUND = 32
"""Characters zxcvbn looks at, from either end: its work grows with the square, and faster."""
GLANCE = 18
"""Characters it looks at first: what their guessing takes, the whole takes at least, at half the time."""
LOOKALIKES = str.maketrans("4@8({[<3690!1|$5+7%2", "aabcccceggoiilsstlxz")
MOST_LOOKALIKES = 6
"""Kinds of look-alikes (@ for a) zxcvbn gets to see: 72 characters full of them took it three seconds."""


def prepared(password: str) -> str:
    """Return the password as it is counted and hashed: NFKC, so that every keyboard writes the same one."""
    return unicodedata.normalize("NFKC", password)


def check(password: str, context: Collection[str]) -> None:
    """Raise `WeakPassword` or `TooLong` with the reason; `context` are words it must not be made of."""
    if len(password) > LONGEST:  # before anything that takes time
        raise TooLong(f"A password has at most {LONGEST} characters.")
    password = prepared(password)
    if len(password) < SHORTEST:
        raise WeakPassword(f"A password needs {SHORTEST} characters or more; this one has {len(password)}.")
    words = {*(word.casefold() for word in context), *CONTEXT}
    if _left_over(password, words) < MOST_LEFT_OVER:
        raise WeakPassword("This password is made of your address, the name of this site or words of its pages.")
    if reason := _guessable(password, words):
        raise WeakPassword(reason)


def _left_over(password: str, words: Collection[str]) -> int:
    rest = password.casefold()
    for word in sorted(words, key=len, reverse=True):
        if len(word) > 2:  # noqa: PLR2004  # "me" is in many a good password
            rest = rest.replace(word, "")
    return sum(c.isalnum() for c in rest) if rest.isascii() else len(rest)


def _guessable(password: str, words: Collection[str]) -> str | None:
    """Return why the password would be guessed, or None. Its worse end does not spoil its better one."""
    from zxcvbn import feedback, matching  # its word lists take a while and some memory; only sign-ups need them

    own = {"user_inputs": matching.build_ranked_dict(sorted(words))}
    if _judged(password[:GLANCE], {"all": _ranks(), **own})["guesses"] >= GUESSES:
        return None  # strong by its beginning alone, as most are
    reason = None
    for part in dict.fromkeys((password[:BOUND], password[-BOUND:])):
        found = _judged(part, {**matching.RANKED_DICTIONARIES, **own})
        if found["guesses"] >= GUESSES:
            return None
        warning = feedback.get_feedback(0, found["sequence"])["warning"]
        reason = reason or warning or "This password would be guessed too soon."
    return reason


def _judged(part: str, lists: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return zxcvbn's `guesses` for `part`, and the `sequence` of guessing it that takes so few.

    Its own door, `zxcvbn()`, keeps the context in a global: it would judge one person's password by another's.
    """
    from zxcvbn import matching, scoring

    part = _bounded(part)
    found: dict[str, Any] = scoring.most_guessable_match_sequence(part, matching.omnimatch(part, lists))
    return found


@cache
def _ranks() -> dict[str, int]:
    """Return the words of all lists with their best rank: as good for counting guesses, in a third of the time."""
    from zxcvbn.matching import FREQUENCY_LISTS

    ranks: dict[str, int] = {}
    for words in FREQUENCY_LISTS.values():
        for rank, word in enumerate(words, 1):
            ranks[word] = min(rank, ranks.get(word, rank))
    return ranks


def _bounded(part: str) -> str:
    """Return `part` with few kinds of look-alikes: further ones become the letter they stand for."""
    kept: set[str] = set()
    letters = []
    for letter in part:
        if ord(letter) in LOOKALIKES and letter not in kept:
            if len(kept) == MOST_LOOKALIKES:
                letters.append(chr(LOOKALIKES[ord(letter)]))
                continue
            kept.add(letter)
        letters.append(letter)
    return "".join(letters)
