"""Messages as the API shows them: Resend's fields, and our own field `recipients`."""

import email
import email.policy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mailroom.api_keys.keys import Key
from mailroom.api_keys.watch_tokens import WatchTokens
from mailroom.i18n.sentences import sentence
from mailroom.mail.messages.views import FoundMessage, Recipient
from mailroom.mail.states import message_code


def listed(found: FoundMessage) -> dict[str, Any]:
    """Return a message as a list shows it."""
    message = found.message
    return {
        "id": str(message.id),
        "message_id": str(message.id),
        "to": message.to_addresses,
        "from": message.sender,
        "created_at": _time(message.created_at),
        "subject": message.subject,
        "cc": message.cc_addresses,
        "bcc": message.bcc_addresses,
        "reply_to": message.reply_to,
        "last_event": found.last_event,
        "scheduled_at": _time(message.scheduled_at),
        "tags": [{"name": name, "value": value} for name, value in message.tags.items()],
    }


def shown(found: FoundMessage, tokens: WatchTokens, key: Key) -> dict[str, Any]:
    """Return a message with all that is known of it; bodies are null once they are dropped."""
    return {
        "object": "email",
        **listed(found),
        **_bodies(found.content),
        "stream": found.message.stream,
        "recipients": [_recipient(recipient, tokens, key) for recipient in found.recipients],
    }


def _recipient(recipient: Recipient, tokens: WatchTokens, key: Key) -> dict[str, Any]:
    mail = recipient.mail
    return {
        "address": mail.recipient,
        "state": mail.state,
        "stage": mail.stage,
        "error": _error(mail.reason, mail.code, mail.enhanced, mail.answer),
        "retry_at": _time(mail.next_attempt_at) if mail.state in {"retrying", "uncertain", "scheduled"} else None,
        "watch_token": tokens.make("mail", mail.id, key.id),
        "attempts": [
            {
                "attempt": attempt.attempt,
                "server": attempt.server,
                "claimed_at": _time(attempt.claimed_at),
                "connected_at": _time(attempt.connected_at),
                "handing_over_at": _time(attempt.handing_over_at),
                "uncertain_at": _time(attempt.uncertain_at),
                "ended_at": _time(attempt.ended_at),
                "outcome": attempt.outcome,
                "error": _error(attempt.reason, attempt.code, attempt.enhanced, attempt.answer),
            }
            for attempt in recipient.attempts
        ],
        "events": [
            {"type": f"email.{event.type}", "at": _time(event.at), "code": event.code, "enhanced": event.enhanced}
            for event in recipient.events
        ],
    }


def _error(
    reason: str | None, code: int | None, enhanced: str | None, answer: str | None
) -> Mapping[str, Any] | None:
    if reason is None:
        return None
    return {
        "reason": reason,
        "message": sentence(message_code(reason)),
        "code": code,
        "enhanced": enhanced,
        "answer": answer,
    }


def _bodies(content: bytes | None) -> dict[str, str | None]:
    if content is None:
        return {"html": None, "text": None}
    message = email.message_from_bytes(content, policy=email.policy.SMTPUTF8)
    bodies: dict[str, str | None] = {"html": None, "text": None}
    for name, kind in (("html", "html"), ("text", "plain")):
        part = message.get_body((kind,))
        if part is not None:
            bodies[name] = part.get_content()
    return bodies


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
