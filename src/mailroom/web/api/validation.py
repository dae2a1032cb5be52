"""Turns what pydantic finds wrong with a program's request into the sentence of the answer."""

from pydantic import ValidationError

from mailroom.mail.messages.draft import InvalidMessage


def in_words(error: ValidationError) -> InvalidMessage:
    """Return pydantic's first error as `InvalidMessage`, which quotes no value of the request."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    words = "This field is missing." if first["type"] == "missing" else f"{first['msg']}."
    return InvalidMessage(field.replace("from_", "from"), words)
