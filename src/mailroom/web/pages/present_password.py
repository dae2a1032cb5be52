"""Forms that ask for the present password, or for a passkey in its place, before they change something."""

from quart import Response

from mailroom.accounts.views import Session
from mailroom.web.browser import services
from mailroom.web.forms.return_to import member
from mailroom.web.page import page
from mailroom.web.recent_sign_in import recent_member, way_to_confirm
from mailroom.web.refused import Refused


async def who_changes() -> tuple[Session, bool]:
    """Return the session of a member, and whether the present password has to be typed to change something.

    Where it need not be typed, the sign-in has to be recent. Raises `SignInFirst`, and `AskAgain` where it is not.
    """
    session, _ = await member()
    asks_password = await services().password_change.asks_password(session)
    if not asks_password:
        await recent_member()
    return session, asks_password


async def form_of_change(
    template: str, path: str, session: Session, refused: Refused, asks_password: bool
) -> Response:
    """Return the page at `path`, whose form changes something, with what `refused` says."""
    return await page(
        template,
        refused.status,
        values=refused.values,
        messages=refused.messages,
        asks_password=asks_password,
        choice=await services().recent_sign_in.choice(session),
        way_to_confirm=way_to_confirm(session, path),
    )
