"""Pictures that a mail brings along, and its HTML shows by ``cid:`` (RFC 2392)."""

import re
from base64 import b64encode
from email.message import Message
from typing import NamedTuple
from urllib.parse import unquote

KINDS = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
CID = re.compile(r"""(?<=["'(])cid:([^"')\s]+)""")


class InlinePicture(NamedTuple):
    """A PNG that the HTML of mails shows as ``cid:<content_id>``."""

    content_id: str
    content: bytes

    def is_in(self, html: str) -> bool:
        """Tell whether this HTML shows it."""
        return f"cid:{self.content_id}" in html


def with_pictures(message: Message, html: str) -> str:
    """Return the HTML of a message with the pictures in it that the message brings along."""
    if "cid:" not in html:
        return html
    brought = {}
    for part in message.walk():
        name, kind = str(part.get("Content-ID", "")).strip(" <>"), part.get_content_type()
        content = part.get_payload(decode=True) if name and kind in KINDS else None
        if isinstance(content, bytes):
            brought[name] = f"data:{kind};base64,{b64encode(content).decode()}"
    return CID.sub(lambda found: brought.get(unquote(found[1]), found[0]), html)
