"""SENDING_PER_DOMAIN: how many mails a minute each receiving domain gets."""

from mailroom.kit.domain_names import to_ascii

EXAMPLE = "must look like gmail.com:100,outlook.com:60: domains, and mails a minute"


def domain_limits(text: str) -> dict[str, int]:
    """Return mails a minute by domain (ASCII). Raises ValueError with what to write instead."""
    limits: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        domain, _, count = part.rpartition(":")
        try:
            limits[to_ascii(domain.strip())] = int(count)
        except ValueError:
            raise ValueError(EXAMPLE) from None
        if not domain or int(count) < 1:
            raise ValueError(EXAMPLE)
    return limits
