"""Mail addresses: checked, normalised, and the key that makes two ways to write one address the same."""

import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from mailroom.accounts.errors import InvalidAddress

LONGEST = 254
"""Characters of an address (RFC 5321 §4.5.3.1.3: a path of 256 with its angle brackets)."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address: `email` as mail is sent to it, `key` as accounts are found by it."""

    email: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read what a person typed. Nobody is asked over the network. Raises `InvalidAddress` with its reason.

        Local parts are told apart by case in RFC 5321 §2.4 and by no mail provider; the key ignores case, and
        holds an international domain in its ASCII form (RFC 5890).
        """
        text = text.strip()
        if not text:
            raise InvalidAddress("The address is missing.")
        if len(text) > LONGEST:
            raise InvalidAddress(f"An address has at most {LONGEST} characters.")
        try:
            # test_environment: names under .test lead nowhere, and are what people try Mailroom with.
            found = validate_email(text, check_deliverability=False, test_environment=True, strict=True)
        except EmailNotValidError as error:
            raise InvalidAddress(str(error)) from None
        local = unicodedata.normalize("NFC", found.local_part.casefold())
        return cls(email=found.normalized, key=f"{local}@{(found.ascii_domain or found.domain).casefold()}")

    @property
    def words(self) -> list[str]:
        """What a password must not be made of: the address, its local part, its domain and the parts of both."""
        local, _, domain = self.key.partition("@")
        parts = "".join(c if c.isalnum() else " " for c in self.key).split()
        return [self.key, local, domain, *parts]
