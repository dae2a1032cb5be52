"""What a password must be like, and why (NIST SP 800-63B-4 §3.1.1.2: length, and a blocklist).

No composition rules: they make passwords worse. Everything here takes CPU; call it off the event loop.
"""

import unicodedata
from collections.abc import Collection

from mailroom.accounts.addresses.characters import visible
from mailroom.accounts.errors import TooLong, WeakPassword
from mailroom.accounts.passwords.guesses import estimate
from mailroom.progress.sentence import Sentence

SHORTEST = 15
"""Characters of a password that is the only factor (NIST SP 800-63B-4)."""
LONGEST = 256
"""Characters. NIST asks for 64 at least; this is far above any password manager's and still cheap."""
LONGEST_TYPED = LONGEST * 4
"""Code points: canonical decomposition writes one character with four at most."""

GUESSES = 10**13
"""A password that takes fewer is refused. A thief of the database tries 10,000 passwords a second against these
hashes: that is zxcvbn's figure for a slow hash, and the work of 300 cores at 30 ms each. At that rate 10**13
guesses take 32 years. zxcvbn counts 10**12 for any four pieces, however common they are, so the threshold has to
be higher."""

CONTEXT = ("mailroom", "password", "account", "confirm", "signup", "signin", "newpassword")
"""Words of our pages."""
SHORTEST_WORD = 3
"""Characters of a word that counts as context: "me" is in many good passwords."""


def normalized(password: str) -> str:
    """Return the password as it is hashed: NFKC, so that every keyboard writes the same one.

    At most `LONGEST` + 1 characters are used: a longer text is still wrong then, and costs no more.
    """
    return unicodedata.normalize("NFKC", _typed(password)[: LONGEST + 1])


def length(password: str) -> int:
    """Return how many characters were typed, the same for NFC and NFD.

    Characters that nobody sees do not count. A ligature counts as the one character it is typed as.
    """
    return len(visible(_typed(password)))


def check(password: str, context: Collection[str]) -> None:
    """Raise `WeakPassword` or `TooLong` with the reason; `context` are words it must not be made of."""
    if len(password) > LONGEST_TYPED or len(_typed(password)) > LONGEST:  # before anything that takes time
        raise TooLong(Sentence("password.too_long", {"most": LONGEST}))
    if (typed := length(password)) < SHORTEST:
        raise WeakPassword(Sentence("password.too_short", {"least": SHORTEST, "typed": typed}))
    words = {word for one in (*context, *CONTEXT) if len(word := one.casefold()) >= SHORTEST_WORD}
    for form in {normalized(password), _typed(password)}:
        found = estimate(form, words, enough=GUESSES)
        if found.guesses >= GUESSES:
            continue
        if found.from_context:
            raise WeakPassword(Sentence("password.of_context"))
        raise WeakPassword(Sentence(f"password.{found.reason}"))


def _typed(password: str) -> str:
    """Return the password in NFC: one character for each that was typed."""
    return unicodedata.normalize("NFC", password[: LONGEST_TYPED + 1])
