"""The folder of the inbox: one file for each message, written once, so that any process may read it.

A file is one line of JSON (the envelope of RFC 5321 and the time), then the message as it came. Its name sorts
by time and is the message's id.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

KEPT = 500
SUFFIX = ".mail"
NAME = re.compile(r"\d{20}-[0-9a-f]{8}")
CACHED_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a person reads it; `to` is the envelope's recipients, joined by commas."""

    id: str
    sender: str
    to: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    received_at: datetime
    headers: list[tuple[str, str]]


class InboxStore:
    """The newest 500 messages in `folder`."""

    def __init__(self, folder: Path, *, kept: int = KEPT) -> None:
        self._folder = folder
        self._kept = kept
        self._parsed: dict[str, Message] = {}  # files never change

    def put(self, raw: bytes, sender: str, recipients: Sequence[str]) -> str:
        """Store a message and return its id. It is on disk on return."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = time.time_ns()
        name = f"{now:020d}-{secrets.token_hex(4)}"
        envelope = {"from": sender, "to": list(recipients), "at": now / 1e9}
        temporary = self._folder / f".{name}"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(json.dumps(envelope).encode() + b"\n" + raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / f"{name}{SUFFIX}")
        self._sync_folder()
        for old in self._names()[self._kept :]:
            (self._folder / f"{old}{SUFFIX}").unlink(missing_ok=True)
        return name

    def messages(self, to: str | None = None) -> list[Message]:
        """Return the messages, newest first; with `to`, those whose envelope names that address (any case)."""
        names = self._names()
        self._parsed = {name: self._parsed[name] for name in names if name in self._parsed}
        found = [message for name in names if (message := self.get(name))]
        if to is None:
            return found
        wanted = to.strip().casefold()
        return [message for message in found if wanted in map(str.casefold, message.recipients)]

    def get(self, message_id: str) -> Message | None:
        """Return one message, or None if there is none, or no longer."""
        if message_id in self._parsed:
            return self._parsed[message_id] if self._path(message_id).exists() else None
        parts = self._read(message_id)
        if parts is None:
            return None
        message = _parse(message_id, *parts)
        if len(parts[1]) < CACHED_BYTES:
            self._parsed[message_id] = message
        return message

    def raw(self, message_id: str) -> bytes | None:
        """Return the source of a message, byte for byte as it came."""
        parts = self._read(message_id)
        return parts[1] if parts else None

    def _read(self, message_id: str) -> tuple[bytes, bytes] | None:
        if not NAME.fullmatch(message_id):  # an id comes from a URL: it must not name another file
            return None
        try:
            envelope, _, raw = self._path(message_id).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return envelope, raw

    def _path(self, message_id: str) -> Path:
        return self._folder / f"{message_id}{SUFFIX}"

    def _names(self) -> list[str]:
        try:
            entries = os.listdir(self._folder)  # noqa: PTH208  # names are all it takes
        except FileNotFoundError:
            return []
        return sorted((entry.removesuffix(SUFFIX) for entry in entries if entry.endswith(SUFFIX)), reverse=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _parse(message_id: str, envelope: bytes, raw: bytes) -> Message:
    known = json.loads(envelope)
    mail = message_from_bytes(raw, policy=policy.default)
    headers = [(name, "".join(_clean(value).splitlines())) for name, value in mail.raw_items()]
    return Message(
        id=message_id,
        sender=_header(mail, "From") or known["from"],
        to=", ".join(known["to"]),
        recipients=tuple(known["to"]),
        subject=_header(mail, "Subject"),
        text=_body(mail, "plain"),
        html=_body(mail, "html"),
        received_at=datetime.fromtimestamp(known["at"], UTC),
        headers=headers,
    )


def _header(mail: EmailMessage, name: str) -> str:
    try:
        return _clean(mail.get(name, ""))
    except Exception:  # the standard library's parser trips over some headers; the message is shown all the same
        return _clean(next((value for key, value in mail.raw_items() if key.lower() == name.lower()), ""))


def _body(mail: EmailMessage, subtype: str) -> str:
    try:
        part = mail.get_body((subtype,))
    except Exception:
        return ""
    if part is None:
        return ""
    try:
        return _clean(part.get_content(errors="replace"))
    except Exception:  # an unknown charset or a broken encoding
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _clean(value: object) -> str:
    """Return text that any output can encode: bytes no charset explains become the replacement character."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
