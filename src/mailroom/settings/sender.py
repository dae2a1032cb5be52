"""MAIL_FROM, read once for header, envelope and Message-ID."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from typing import Self

from mailroom.kit.domain_names import to_ascii

EXAMPLE = 'must be an address: "Mailroom <hello@example.org>"'
NAMED = re.compile(r"(?P<name>.*)<(?P<address>[^<>]*)>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of mails: a name, which may be empty, and an address in ASCII."""

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Name <local@domain>`` or ``local@domain``. Raises ValueError with what to write instead.

        The name is everything before the ``<``, quoted or not; the header quotes it if it must be.
        """
        text = text.strip()
        named = NAMED.fullmatch(text)
        name, address = (named["name"].strip(), named["address"].strip()) if named else ("", text)
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        local, at, domain = address.rpartition("@")
        if not (local and at and domain):
            raise ValueError(EXAMPLE)
        if not local.isascii():
            raise ValueError("must have no letters outside ASCII before the @: not every mail server takes them")
        try:
            sender = cls(name, f"{local}@{to_ascii(domain)}")
        except ValueError:
            raise ValueError("has a domain that cannot be one: check what stands after the @") from None
        try:
            sender.header  # noqa: B018  # it checks both
        except Exception:
            raise ValueError(EXAMPLE) from None
        return sender

    def or_named(self, name: str) -> "Sender":
        """Return this sender, with `name` if it has no name of its own."""
        return self if self.name else Sender(name, self.address)

    @property
    def header(self) -> Address:
        """The From header."""
        return Address(self.name, addr_spec=self.address)
