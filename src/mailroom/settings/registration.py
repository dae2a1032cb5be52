"""REGISTRATION: who may sign up."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from mailroom.kit.domain_names import to_ascii

EXAMPLE = "must be open, invite, closed, or domains:example.org,example.net"
DOMAINS = "domains"
PLAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True, slots=True)
class RegistrationRule:
    """Who may sign up: ``open`` (everyone), ``invite`` (who was invited), ``domains`` or ``closed`` (nobody)."""

    mode: str = "open"
    domains: Collection[str] = ()
    """In ASCII; subdomains are domains of their own."""

    @classmethod
    def parse(cls, text: str) -> "RegistrationRule":
        """Return the rule that a text means. Raises ValueError with what to write instead."""
        mode, colon, rest = text.strip().partition(":")
        mode = mode.strip().lower()
        if not colon and mode in {"open", "invite", "closed"}:
            return cls(mode)
        try:
            domains = frozenset(
                to_ascii(part.strip().removeprefix("@")) for part in rest.split(",") if part.strip()
            )
        except ValueError:
            raise ValueError(EXAMPLE) from None
        if mode != DOMAINS or not domains or not all(map(PLAIN.fullmatch, domains)):
            raise ValueError(EXAMPLE)
        return cls(DOMAINS, domains)

    @property
    def takes_strangers(self) -> bool:
        """True if the form is for everyone, though perhaps not for every address."""
        return self.mode in {"open", DOMAINS}

    def admits(self, email_key: str) -> bool:
        """Tell whether somebody without an invitation may sign up with the address of this key."""
        return self.mode == "open" or (self.mode == DOMAINS and email_key.rpartition("@")[2] in self.domains)
