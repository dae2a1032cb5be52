"""What a delivery says: Resend's form, an object with `type`, `created_at` and `data`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

MAIL_EVENTS: Mapping[str, str] = {
    "sent": "email.sent",
    "delivery_delayed": "email.delivery_delayed",
    "failed": "email.failed",
    "scheduled": "email.scheduled",
    "suppressed": "email.suppressed",
    "uncertain": "email.uncertain",
    "delivered": "email.delivered",
    "bounced": "email.bounced",
    "complained": "email.complained",
}
"""Type of a row in `mail_events` → the type that webhooks tell."""
RESERVED = frozenset({"email.delivered", "email.bounced", "email.complained"})
"""Types that an endpoint may ask for, as SDKs do, and that nothing writes yet: Mailroom reads no bounces."""
OTHER_EVENTS = ("task.ended", "account.confirmed", "account.deleted", "alert.fired", "alert.cleared")
TYPES = frozenset({*MAIL_EVENTS.values(), *OTHER_EVENTS})


def of_mail(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a mail's event; `row` is a row of `OF_MAILS` in `webhooks/fan_out.py`."""
    data: dict[str, Any] = {
        "email_id": str(row["message_id"]),
        "mail_id": str(row["mail_id"]),
        "created_at": time_of(row["message_created_at"]),
        "from": row["sender"],
        "to": [row["recipient"]],
        "subject": row["subject"],
        "tags": row["tags"],
    }
    if row["type"] in {"failed", "delivery_delayed", "uncertain"}:
        data["failed" if row["type"] == "failed" else "reason"] = {
            "reason": row["reason"],
            "code": row["code"],
            "enhanced": row["enhanced"],
            "message": row["diagnostic"],
        }
    return {"type": MAIL_EVENTS[row["type"]], "created_at": time_of(row["at"]), "data": data}


def of_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of an event of a task, an account or an alert."""
    return {"type": row["type"], "created_at": time_of(row["at"]), "data": row["data"]}


def time_of(at: datetime) -> str:
    """Return a time in ISO 8601, in UTC."""
    return at.isoformat()
