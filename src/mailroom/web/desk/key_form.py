"""Checks the form that makes an API key, and reports everything that is wrong at once."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from mailroom.api_keys.errors import InvalidKeyRequest
from mailroom.api_keys.keys import KeyRequest
from mailroom.i18n.messages import gettext_noop, translated
from mailroom.kit import clock
from mailroom.kit.domain_names import to_ascii
from mailroom.web.forms.fields import Invalid

LIMITS = ("per_minute", "per_hour", "per_day")
CHECKED = ("name", "scope", "domains", "origins", *LIMITS)
MOST_DAYS = 36_500
_LIMIT = gettext_noop("Please type a number from 1 to 2,147,483,647, or nothing.")
MESSAGES = {
    "name": gettext_noop("Please type a name of 1 to 50 characters."),
    "scope": gettext_noop("Please choose a scope."),
    "domains": gettext_noop("A domain looks like example.org. Please separate several with spaces."),
    "origins": gettext_noop("An origin looks like shop.example.org with https:// before it. 20 are the most."),
    "days": gettext_noop("Please type a number of days from 1 to 36,500, or nothing."),
    **dict.fromkeys(LIMITS, _LIMIT),
}
ANY = KeyRequest("-")
"""A valid request, in which one field at a time is replaced to check it."""


def key_request(values: Mapping[str, Any]) -> KeyRequest:
    """Return the key that a form asks for; raises `Invalid` with one message a field."""
    wrong: set[str] = set()
    domains = _list(values, "domains")
    try:
        domains = [to_ascii(domain) for domain in domains]
    except ValueError:
        wrong.add("domains")
    days = _number(values, "days")
    if days is not None and not 1 <= days <= MOST_DAYS:
        wrong.add("days")
    wanted = KeyRequest(
        _text(values, "name"),
        scope=_text(values, "scope"),
        domains=domains,
        origins=_list(values, "origins"),
        test=bool(values.get("test")),
        per_minute=_number(values, "per_minute"),
        per_hour=_number(values, "per_hour"),
        per_day=_number(values, "per_day"),
    )
    for field in CHECKED:
        try:
            replace(ANY, **{field: getattr(wanted, field)}).check()
        except InvalidKeyRequest:
            wrong.add(field)
    if wrong:
        raise Invalid({name: translated(text) for name, text in MESSAGES.items() if name in wrong})
    return replace(wanted, expires_at=clock.now() + timedelta(days=days)) if days else wanted


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name, "")).strip()


def _list(values: Mapping[str, Any], name: str) -> list[str]:
    return re.split(r"[\s,]+", _text(values, name)) if _text(values, name) else []


def _number(values: Mapping[str, Any], name: str) -> int | None:
    """Return a number; None if nothing was typed, and 0, which every limit refuses, if it is no number."""
    text = _text(values, name)
    if not text:
        return None
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
