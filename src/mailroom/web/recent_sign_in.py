"""Asks members to confirm who they are, before anything that changes the security of an account.

Such a handler begins with `session, account = await recent_member()`. If the owner did not show who it is a short
while ago, the answer is a redirect to `/account/confirm`. From there a GET goes back to its page, and a POST to a
page that shows what was sent, with a button that sends it again. A program gets a problem document.
"""

from dataclasses import asdict, dataclass, field

from itsdangerous import BadSignature, URLSafeTimedSerializer
from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException

from mailroom.accounts.errors import RecentSignInNeeded
from mailroom.accounts.sessions import is_recent
from mailroom.accounts.views import AccountView, Session
from mailroom.web.browser import services
from mailroom.web.errors import page_above, respond, wants_json
from mailroom.web.forms.return_to import member, safe_path
from mailroom.web.forms.sent_again import SECRET
from mailroom.web.page import redirect

PAGE = "/account/confirm"
LASTS = 3600
"""Seconds for which a form that was sent can be sent again."""
LONGEST = 3_000
"""Characters of an address that every browser and proxy takes."""
SECURITY = "/account/security"


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wanted before the question: a page, or a form with what was sent. It never holds a secret."""

    path: str
    method: str = "GET"
    fields: dict[str, str] = field(default_factory=dict)


class AskAgain(Exception):
    """The owner of `session` has not shown who it is lately. The answer is a redirect to the page that asks."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session


async def recent_member() -> tuple[Session, AccountView]:
    """Return the session of this request and its account, if the owner showed who it is a short while ago.

    Raises `SignInFirst`, `AskAgain`.
    """
    session, account = await member()
    if not is_recent(session):
        raise AskAgain(session)
    return session, account


def handle(app: Quart) -> None:
    """Have `AskAgain` answered."""

    async def ask(error: AskAgain) -> Response:
        if wants_json():
            return await respond(RecentSignInNeeded())
        try:
            intent = await _intent()
        except HTTPException as unreadable:  # what was sent cannot be read
            return await respond(unreadable)
        return redirect(f"{PAGE}?intent={_signed(error.session, intent)}")

    app.register_error_handler(AskAgain, ask)


def way_to_confirm(session: Session, path: str) -> str:
    """Return the address of the page that asks, which then goes back to `path`."""
    return f"{PAGE}?intent={_signed(session, Intent(path))}"


async def _intent() -> Intent:
    path = request.full_path.rstrip("?")
    if request.method == "GET":
        return Intent(path)
    sent = (await request.form).to_dict()
    if any(SECRET.search(name) for name in sent):
        return Intent(page_above(request.path))  # the form must be filled in again: no secret is kept
    return Intent(path, "POST", sent)


def _signed(session: Session, intent: Intent) -> str:
    text = _text(session, intent)
    return text if len(text) <= LONGEST else _text(session, Intent(page_above(request.path)))


def _text(session: Session, intent: Intent) -> str:
    text = _serializer(session).dumps(asdict(intent))
    return text if isinstance(text, str) else text.decode()


def read_intent(session: Session, text: object) -> Intent:
    """Return what this session's owner wanted; the page about security if that cannot be read."""
    try:
        intent = Intent(**_serializer(session).loads(str(text or ""), max_age=LASTS))
    except (BadSignature, TypeError):
        return Intent(SECURITY)
    return intent if safe_path(intent.path) else Intent(SECURITY)


def _serializer(session: Session) -> URLSafeTimedSerializer:
    # Bound to the session: nobody can be sent here with a form of somebody else's.
    salt = f"mailroom/intent {session.id}"
    return URLSafeTimedSerializer(list(reversed(services().settings.secret_keys)), salt=salt)
