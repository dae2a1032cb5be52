"""Authentication requests: a browser is sent to a provider, and the answer that it brings back is taken once.

The `state` that goes along has 256 random bits. Only its hash is stored, with the browser that was sent, who was
signed in there, and which provider it was. So no answer counts twice, in another browser, for another member, or
for another provider (RFC 9700 §4.4, §4.7).
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from mailroom.accounts.views import Session
from mailroom.kit.database import PlainWork
from mailroom.kit.secret_box import CannotOpen, SecretBox

BYTES = 32
LAST = timedelta(minutes=10)
MOST = 10
"""Requests of one browser that may be under way at a time: one more ends the oldest."""
LONGEST_STATE = 100

PUT = """
with over as (
    delete from authentication_requests where state_hash in (
        select state_hash from authentication_requests where session_id = %(session_id)s
        order by created_at desc offset %(most)s
    )
)
insert into authentication_requests (state_hash, session_id, provider, purpose, account_id, sealed, expires_at)
values (%(state_hash)s, %(session_id)s, %(provider)s, %(purpose)s, %(account_id)s, %(sealed)s, now() + %(lasts)s)
"""
# Another browser's state is not deleted: somebody who only knows it cannot end the sign-in.
TAKE = """
delete from authentication_requests where state_hash = %(state_hash)s and session_id = %(session_id)s
returning provider, purpose, account_id, sealed, expires_at > now()
"""
CLEAN_UP = """
delete from authentication_requests where state_hash in (
    select state_hash from authentication_requests where expires_at < now() limit 1000
)
"""


class Purpose(StrEnum):
    """Why a browser is sent to a provider."""

    SIGN_IN = "sign_in"
    LINK = "link"
    RECENT = "recent"


@dataclass(frozen=True, slots=True)
class Request:
    """A browser's visit to a provider. While it lasts, nonce and verifier must stay secret like a password."""

    provider: str
    purpose: Purpose
    nonce: str
    verifier: str
    on: dict[str, str]
    """What the caller needs to go on after the answer."""

    def __repr__(self) -> str:
        """Leave the secrets out: this may reach a log."""
        return f"Request(provider={self.provider!r}, purpose={self.purpose})"


def new(provider: str, purpose: Purpose, on: dict[str, str]) -> tuple[str, Request]:
    """Return a new `state`, and the request that belongs to it."""
    state, nonce, verifier = (secrets.token_urlsafe(BYTES) for _ in range(3))
    return state, Request(provider, purpose, nonce, verifier, on)


async def put(work: PlainWork, box: SecretBox, state: str, request: Request, session: Session) -> None:
    """Note that the browser of `session` is sent to a provider."""
    inside = json.dumps({"nonce": request.nonce, "verifier": request.verifier, "on": request.on})
    row = {
        "state_hash": _hashed(state),
        "session_id": session.id,
        "provider": request.provider,
        "purpose": str(request.purpose),
        "account_id": session.account.id if session.account else None,
        "sealed": box.close(inside.encode()),
        "lasts": LAST,
        "most": MOST - 1,
    }
    await work.write(PUT, row)


async def take(work: PlainWork, box: SecretBox, state: str, session: Session | None) -> Request | None:
    """Use up the request of this state, and return it.

    None: this browser was not sent with it, it was used, it is too old, or somebody else is signed in now.
    """
    if session is None or not 0 < len(state) <= LONGEST_STATE:
        return None
    rows: list[Any] = await work.fetch(TAKE, {"state_hash": _hashed(state), "session_id": session.id})
    if not rows:
        return None
    provider, purpose, account_id, sealed, is_young = rows[0]
    present: UUID | None = session.account.id if session.account else None
    if not is_young or account_id != present:
        return None
    try:
        inside = json.loads(box.open(bytes(sealed)))
    except CannotOpen:
        return None
    return Request(provider, Purpose(purpose), inside["nonce"], inside["verifier"], inside["on"])


def _hashed(state: str) -> bytes:
    return hashlib.sha256(state.encode(errors="surrogatepass")).digest()
