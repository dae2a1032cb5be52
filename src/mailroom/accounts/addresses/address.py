"""Mail addresses: checking and normalising them, and the key that is the same for all spellings of an address."""

import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from mailroom.accounts.errors import InvalidAddress
from mailroom.kit.domain_names import evened_out, to_ascii, to_unicode
from mailroom.progress.sentence import Sentence

LONGEST = 254
"""Characters of an address (RFC 5321 §4.5.3.1.3: a path of 256 with its angle brackets)."""


def key_of(email: str) -> str:
    """Return the key of an address that was parsed before; a stored address is not checked again."""
    local, _, domain = email.rpartition("@")
    return f"{evened_out(local)}@{to_ascii(domain)}"


@dataclass(frozen=True, slots=True)
class Address:
    """An address: `email` as mail is sent to it, `key` as accounts are found by it."""

    email: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read what a person typed. Nobody is asked over the network. Raises `InvalidAddress` with its reason.

        RFC 5321 §2.4 tells local parts apart by case, but no mail provider does. So the key ignores case and
        canonical equivalence, and nothing else. If it ignored more (`ß` and `ss`), a
        stranger could get the account.
        The key holds an international domain in its ASCII form (RFC 5890).
        """
        text = text.strip()
        if not text:
            raise InvalidAddress(Sentence("address.missing"))
        if len(text) > LONGEST:
            raise InvalidAddress(Sentence("address.too_long", {"most": LONGEST}))
        text = unicodedata.normalize(
            "NFC", text
        )  # check the form that the key is made from: ≮ decomposes into < and a combining mark
        try:
            # test_environment: names under .test do not exist, but people try Mailroom with them.
            found = validate_email(text, check_deliverability=False, test_environment=True, strict=True)
        except EmailNotValidError as error:
            raise InvalidAddress(str(error)) from None
        try:
            domain = to_ascii(text.rpartition("@")[2])
        except ValueError:
            domain = ""
        if domain != found.ascii_domain.lower():  # the validator made another domain of it (UTS 46)
            raise InvalidAddress(Sentence("address.wrong_domain"))
        email = f"{found.local_part}@{to_unicode(domain)}"
        return cls(email=email, key=key_of(email))

    @property
    def words(self) -> list[str]:
        """What a password must not be made of: the address, its local part, its domain and the parts of both."""
        local, _, domain = self.key.partition("@")
        parts = "".join(c if c.isalnum() else " " for c in self.key).split()
        return [self.key, local, domain, *parts]
