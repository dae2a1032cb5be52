"""Asking once more who it is, before anything that changes the security of an account.

`await ask_again(session)` stands first in such a handler. It returns None where the owner was there a short while
ago. Otherwise it returns the way to `/account/confirm`, which comes back: a GET to its page, a POST to a page with
what was sent, to press once more. A program gets a problem document.
"""

from dataclasses import asdict, dataclass, field

from itsdangerous import BadSignature, URLSafeTimedSerializer
from quart import Response, request

from mailroom.accounts.errors import RecentSignInNeeded
from mailroom.accounts.sessions import is_recent
from mailroom.accounts.views import Session
from mailroom.web.browser import services
from mailroom.web.errors import page_above, respond, wants_json
from mailroom.web.page import redirect
from mailroom.web.return_to import safe_path
from mailroom.web.sent_forms import SECRET

PAGE = "/account/confirm"
LASTS = 3600
"""Seconds for which a sent form may be pressed again."""
LONGEST = 3_000
"""Characters of an address that every browser and proxy takes."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wanted before being asked who it is: a page, or a form with what was sent. Never a secret."""

    path: str
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)


async def ask_again(session: Session) -> Response | None:
    """Return the way to the page that asks who it is, or None where that is clear."""
    if is_recent(session):
        return None
    if wants_json():
        return await respond(RecentSignInNeeded())
    return redirect(f"{PAGE}?intent={_signed(session, await _intent())}")


async def _intent() -> Intent:
    path = request.full_path.rstrip("?")
    if request.method == "GET":
        return Intent(path)
    sent = (await request.form).to_dict()
    if any(SECRET.search(name) for name in sent):
        return Intent(page_above(request.path))  # its form is to be filled in anew: no secret is kept
    return Intent(path, "POST", sent)


def _signed(session: Session, intent: Intent) -> str:
    text = _serializer(session).dumps(asdict(intent))
    text = text if isinstance(text, str) else text.decode()
    return (
        text if len(text) <= LONGEST else str(_serializer(session).dumps(asdict(Intent(page_above(intent.path)))))
    )


def read_intent(session: Session, text: object) -> Intent:
    """Return what this session's owner wanted; the account's page where nobody can tell."""
    try:
        intent = Intent(**_serializer(session).loads(str(text or ""), max_age=LASTS))
    except (BadSignature, TypeError):
        return Intent("/account/security")
    return intent if safe_path(intent.path) else Intent("/account/security")


def _serializer(session: Session) -> URLSafeTimedSerializer:
    # Bound to the session: nobody can be sent here with a form of somebody else's.
    salt = f"mailroom/intent {session.id}"
    return URLSafeTimedSerializer(list(reversed(services().settings.secret_keys)), salt=salt)
