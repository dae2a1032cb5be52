"""A sentence of Mailroom's own, before anyone has chosen a language for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sentence:
    """A code of the catalogue (`i18n/sentences.py`) and its parameters; JSON must be able to hold these.

    If a text and a `Sentence` are both accepted, the text is somebody else's and is shown as it is. In a row
    the text column holds the code, and the column of parameters beside it is not null. A parameter may be a
    sentence itself, in the form of `as_facts`.
    """

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_facts(self) -> dict[str, Any]:
        """Return the keys of a snapshot or its error."""
        return {"message_code": self.code, "params": dict(self.params)}


def to_columns(text: str | Sentence | None) -> tuple[str | None, Mapping[str, Any] | None]:
    """Return what the two columns hold: the text and no parameters, or the code and its parameters."""
    return (text.code, text.params) if isinstance(text, Sentence) else (text, None)


def from_columns(text: str | None, params: Mapping[str, Any] | None) -> str | Sentence | None:
    """Return what the two columns say."""
    return text if text is None or params is None else Sentence(text, params)


def as_facts(text: str | Sentence | None) -> dict[str, Any]:
    """Return the keys of a snapshot or its error: `message_code` and `params`, or `message`, or none."""
    if isinstance(text, Sentence):
        return text.as_facts()
    return {} if text is None else {"message": text}
