"""The browsers that are signed in to one's account, and ending their sessions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from quart import Blueprint, Response, abort

from mailroom.accounts.browsers import browser_words, described
from mailroom.accounts.views import Session
from mailroom.kit.ids import parse_id
from mailroom.web import browser
from mailroom.web.browser import services
from mailroom.web.forms.notices import redirect_with_notice, take_notice
from mailroom.web.forms.return_to import member
from mailroom.web.page import page, redirect
from mailroom.web.rate_limits import limits

blueprint = Blueprint("sessions", __name__)

PAGE = "/account/sessions"


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that is signed in; `current`: it is the one that asks; `address`: where it was last used from."""

    id: UUID
    device: str
    since: datetime
    seen: datetime
    address: str | None
    kept: bool
    current: bool


def _browser_of(one: Session, current: Session) -> Browser:
    name = browser_words(described(one.user_agent, with_version=True))
    device = name[:1].upper() + name[1:]
    return Browser(one.id, device, one.created_at, one.seen_at, one.address, one.kept, one.id == current.id)


@blueprint.get(PAGE)
async def sessions() -> Response:
    """Show where the account is signed in, this browser first."""
    session, account = await member()
    found = [_browser_of(one, session) for one in await services().sessions.of_account(account.id)]
    return await page(
        "settings/sessions.html",
        sessions=sorted(found, key=lambda one: not one.current),
        notice=take_notice(),
    )


@blueprint.post(f"{PAGE}/<session_id>/end")
@limits.limited(limits.CHANGE)
async def end_session(session_id: str) -> Response:
    """End one of the account's sessions; ending this very one signs out."""
    session, _ = await member()
    ended = parse_id(session_id)
    if ended is None:
        abort(404)
    if ended == session.id:
        await services().sessions.end(session.id)
        browser.forget()
        return redirect("/")
    await services().session_endings.end(session, ended, browser.origin())
    return redirect(PAGE)


@blueprint.post(f"{PAGE}/end-others")
@limits.limited(limits.CHANGE)
async def end_others() -> Response:
    """End every other session of the account."""
    session, _ = await member()
    await services().session_endings.end_others(session, browser.origin())
    return redirect_with_notice(PAGE, "others-ended")
