"""How many guesses a password takes: zxcvbn's estimate, after the shortcuts that attackers' programs know.

zxcvbn (Wheeler, USENIX Security 2016) knows words, names, dates, keyboard walks and repeats. Three things are
added: the 100,000 most used passwords, numbers that count up, and two words that alternate (`q1w2e3`).

All of this takes CPU; call it off the event loop.
"""

import gzip
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import resources
from typing import Any

COMMON = "common_passwords.txt.gz"
"""The most used passwords of Have I Been Pwned, most used first, as the NCSC (UK) published them: in lower case,
without entries that are no text."""
PHRASES = (
    "correcthorsebatterystaple",
    "thequickbrownfoxjumpsoverthelazydog",
    "tobeornottobethatisthequestion",
    "maytheforcebewithyou",
    "iamthebestintheworld",
    "loremipsumdolorsitametconsectetur",
    "alliswellthatendswell",
    "31415926535897932384626433832795",
    "27182818284590452353602874713526",
)
"""Texts that everybody knows: zxcvbn would count each word as a free choice. A part of one counts as well."""

SHORTEST_PHRASE = 10
"""Characters of a part of such a text."""
COMMON_REASON = "common"
REASONS = {"spatial": "keys", "repeat": "repeat", "sequence": "sequence", "regex": "date", "date": "date"}
"""Pattern of zxcvbn → the reason."""
NAMES = frozenset({"surnames", "male_names", "female_names"})
BOUND = 32
"""Characters that zxcvbn looks at, from either end: its time grows with the square of the length, or faster."""
CUT_WORD = 10**8
"""The factor by which a word cut in two is overestimated at most: its piece looks like random letters."""
LOOKALIKES = str.maketrans("@({[<!|$+%", "acccciistx")
MOST_LOOKALIKES = 3
"""How many kinds of look-alike signs (@ for a) zxcvbn gets to see: a text full of them took it a second. Digits
stay as they are: they form words of their own, such as `12345678`."""
UNSHIFTED = str.maketrans("!@#$%^&*()", "1234567890")
"""A keyboard walk with Shift held down for a part of it is the same walk."""
FEWEST_TERMS = 3
DIGITS = re.compile(r"[0-9]{6,}")

Ranks = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many guesses a password takes at most, and why: the last part of a code in `i18n/sentences.py`."""

    guesses: float
    reason: str = "guessable"
    from_context: bool = False
    """True if words of the context are a part of the password."""


def load_lists() -> None:
    """Read the lists of words, which takes a sixth of a second of CPU, before the first password is judged."""
    from zxcvbn import matching, scoring  # noqa: F401  # not needed before, and slow to load

    _ranks()


def estimate(password: str, context: Collection[str], *, enough: float) -> Estimate:
    """Return the estimate for `password`; `context` are words, folded, that the guesser knows, too.

    As soon as a part takes `enough` guesses the rest is not looked at.
    """
    for form in (password, _without_separator(password)):
        if (rank := _ranks().get(form.casefold())) is not None:
            return Estimate(rank, COMMON_REASON)
    forms = _forms(password)
    bare = [_without_words(form, context) for form in forms]
    if bare != forms:
        return replace(min(map(partial(_estimate, enough=enough), bare), key=_by_guesses), from_context=True)
    return min(map(partial(_estimate, enough=enough), forms), key=_by_guesses)


def _by_guesses(one: Estimate) -> float:
    return one.guesses


def _forms(password: str) -> list[str]:
    """Return the password shortened as a guesser's program would, and what else it may have been made from."""
    form = _without_repeats(_without_counting(_without_separator(password)))
    forms = [form]
    if sum(ord(c) in UNSHIFTED for c in form) > 1:
        forms.append(_without_repeats(form.translate(UNSHIFTED)))
    if _by_turns(form):
        forms.append(_without_repeats(form[::2]) + _without_repeats(form[1::2]))
    return forms


def _without_words(form: str, words: Collection[str]) -> str:
    """Return the form without these words, even if they are written there without their punctuation."""
    folded = form.casefold()
    if len(folded) != len(form):
        form = folded
    known = {*words, *("".join(filter(str.isalnum, word)) for word in words)}
    for word in sorted(known, key=len, reverse=True):
        while (start := folded.find(word)) >= 0 and word:
            folded = folded[:start] + folded[start + len(word) :]
            form = form[:start] + form[start + len(word) :]
    return form


def _without_separator(password: str) -> str:
    """Return the password without its most frequent sign, if that separates words: `a.b.c` is `abc`."""
    signs = [c for c in password if not c.isalnum()]
    separator = max(signs, key=signs.count, default="")
    rest = password.replace(separator, "") if signs.count(separator) > 1 else password
    return rest if len(rest) * 2 >= len(password) else password


def _without_repeats(text: str) -> str:
    """Return the shortest prefix whose repetition gives the whole text (the last one may be cut short)."""
    # The longest proper border, as in Knuth, Morris and Pratt: linear, whatever the text.
    folded, borders = text.casefold(), [0]
    for place in range(1, len(folded)):
        border = borders[-1]
        while border and folded[place] != folded[border]:
            border = borders[border - 1]
        borders.append(border + (folded[place] == folded[border]))
    period = len(folded) - borders[-1] if folded else 0
    return text[:period] if period * 2 <= len(folded) and len(text) == len(folded) else text


def _without_counting(text: str) -> str:
    """Return the text with numbers that count up or down cut to the first two: `91011121314` is `910`."""
    return DIGITS.sub(lambda run: _counted(run.group()), text)


def _counted(run: str) -> str:
    for first in range(1, 5):
        for second in (first - 1, first, first + 1):
            if second < 1 or (first + second) * 2 > len(run) + second:
                continue
            begin, step = int(run[:first]), int(run[first : first + second]) - int(run[:first])
            number, counted = begin, ""
            terms = 0
            while len(counted) < len(run) and number >= 0:
                counted += str(number)
                number += step
                terms += 1
            if terms >= FEWEST_TERMS and counted.startswith(run):
                return run[: first + second]
    return run


def _by_turns(text: str) -> bool:
    """Tell whether letters and other signs alternate, as in `a1b2c3d4`."""
    even, odd = text[::2], text[1::2]
    return bool(odd) and (
        (even.isalpha() and not any(c.isalpha() for c in odd))
        or (odd.isalpha() and not any(c.isalpha() for c in even))
    )


def _estimate(form: str, enough: float) -> Estimate:
    """Return the estimate of one form. One strong end is enough, however weak the other end is."""
    if not form:
        return Estimate(1)
    folded = form.casefold()
    if (rank := _ranks().get(folded)) is not None:
        return Estimate(rank, COMMON_REASON)
    if len(folded) >= SHORTEST_PHRASE and any(folded in phrase for phrase in PHRASES):
        return Estimate(len(PHRASES), COMMON_REASON)
    ends = [form] if len(form) <= BOUND else [form[:BOUND], form[-BOUND:]]
    for part in ends:
        guesses = _guesses(part, form)
        if guesses >= enough:
            return Estimate(guesses)
    found = _judged(ends[0], _dictionaries())  # once more, for the reason
    return Estimate(float(found["guesses"]), _reason(found["sequence"]))


def _reason(sequence: Sequence[Mapping[str, Any]]) -> str:
    """Return why the longest piece of a password is easy to guess."""
    longest = max(sequence, key=lambda match: len(match["token"]))
    if longest["pattern"] != "dictionary":
        return REASONS.get(longest["pattern"], "guessable")
    if longest["dictionary_name"] in NAMES:
        return "name"
    if longest["dictionary_name"] == "passwords":
        return COMMON_REASON
    return "word" if len(sequence) == 1 else "guessable"


def _guesses(part: str, form: str) -> float:
    """Return how many guesses this end of `form` takes at least, even if a word was cut in two."""
    found = _judged(part, {"all": _ranks()})
    sequence, guesses = found["sequence"], float(found["guesses"])
    if part is form or len(sequence) == 1:
        return guesses
    cut = sequence[-1] if form.startswith(part) else sequence[0]
    return guesses / min(float(cut["guesses"]), CUT_WORD) if cut["pattern"] == "bruteforce" else guesses


def _judged(part: str, lists: Mapping[str, Any]) -> dict[str, Any]:
    """Return zxcvbn's `guesses` for `part`, and the `sequence` of matches that gives this number.

    The public function `zxcvbn()` keeps the context in a global variable: it would judge one person's password by
    another's context.
    """
    from zxcvbn import matching, scoring

    part = _bounded(part)
    found: dict[str, Any] = scoring.most_guessable_match_sequence(part, matching.omnimatch(part, lists))
    return found


@cache
def _ranks() -> dict[str, int]:
    """Return the words of all lists with their best rank. It counts guesses as well, in a third of the time."""
    from zxcvbn import matching

    packed = resources.files(__package__).joinpath(COMMON).read_bytes()
    lines = gzip.decompress(packed).decode().split("\n")
    ranks = {word: rank for rank, word in enumerate(lines, 1) if word}
    for words in matching.RANKED_DICTIONARIES.values():
        for word, rank in words.items():
            ranks[word] = min(rank, ranks.get(word, rank))
    return ranks


class _Passwords:
    """The most used passwords, for zxcvbn: the words of `_ranks` that rank better there than in any other list.

    A separate list of them would be a second copy: 10 MB.
    """

    def __init__(self, others: Iterable[Ranks]) -> None:
        self._others = tuple(others)

    def __contains__(self, word: str) -> bool:
        rank = _ranks().get(word)
        return rank is not None and all(rank < other.get(word, math.inf) for other in self._others)

    def __getitem__(self, word: str) -> int:
        return _ranks()[word]


def _dictionaries() -> dict[str, Any]:
    """Return zxcvbn's lists by name, with our passwords in the list of passwords."""
    from zxcvbn import matching

    theirs: dict[str, Ranks] = dict(matching.RANKED_DICTIONARIES)
    del theirs["passwords"]
    return {**theirs, "passwords": _Passwords(theirs.values())}


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
