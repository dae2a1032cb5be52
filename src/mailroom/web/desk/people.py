"""People: accounts and open sign-ups; one account with its sessions and mails, and what is done with it."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

from quart import Blueprint, Response, abort, request

from mailroom.accounts.administration import FoundAccount
from mailroom.accounts.browsers import browser_words, described
from mailroom.accounts.errors import LastOperator, TooSoon, UnknownAccount, UnknownSignUp
from mailroom.accounts.operators import ROLES
from mailroom.desk.audit_log import Actor
from mailroom.desk.search import MailSearch
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import error_text
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import parse_id
from mailroom.web.browser import current_session, services
from mailroom.web.desk.access import actor_of, masked, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.mail_lines import mail_lines
from mailroom.web.desk.mails import address
from mailroom.web.errors import respond, wants_json
from mailroom.web.forms.fields import Invalid, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, show_again, take

blueprint = Blueprint("desk_people", __name__, url_prefix="/desk/people")

SHOWN = 50
NEWEST_MAILS = 10


@blueprint.get("")
async def people() -> Response:
    """List the accounts and open sign-ups of an address, or the newest ones. A viewer gets no search."""
    account = await staff()
    text = request.args.get("q", "").strip()[:320] if account.is_operator else ""
    before = parse_id(request.args.get("before", ""))
    async with services().database.begin() as work:
        administration = services().account_administration
        accounts = await administration.find(work, text, before=before, limit=SHOWN + 1)
        sign_ups = await administration.sign_ups(work, text, limit=SHOWN) if not before else []
    shown = accounts[:SHOWN]
    whole = account.is_operator
    return await desk_page(
        "desk/people.html",
        text=text,
        accounts=[(one, one.email if whole else masked(one.email)) for one in shown],
        more=len(accounts) > SHOWN,
        older=f"/desk/people?before={shown[-1].id}" if len(accounts) > SHOWN and not text else None,
        newest="/desk/people" if before else None,
        sign_ups=[(one, one.email if whole else masked(one.email)) for one in sign_ups],
    )


@blueprint.get("/<account_id>")
async def person(account_id: str) -> Response:
    """Show one account."""
    return await _page(account_id, take())


async def _page(account_id: str, refused: Refused) -> Response:
    reader, whole = await staff(), (await staff()).is_operator
    found = parse_id(account_id) or abort(404)
    now = clock.now()
    try:
        async with services().database.begin() as work:
            row = await services().account_administration.get(work, found)
    except UnknownAccount:
        abort(404)
    search = MailSearch.of({"to": row.email, "since": "all"}, (), now)
    mails = await services().mail_searches.page(search, now, limit=NEWEST_MAILS)
    async with services().database.begin() as work:
        lines = await mail_lines(work, mails.rows, whole=whole)
    sessions = await services().sessions.of_account(found)
    return await desk_page(
        "desk/person.html",
        refused.status,
        account=FoundAccount.of(row),
        confirmed_at=row.confirmed_at,
        email=row.email if whole else masked(row.email),
        sessions=[
            (browser_words(described(one.user_agent)), one.address if whole else "", one.seen_at)
            for one in sessions
        ],
        mails=lines,
        all_mails=address(search.text) if whole else None,
        is_self=reader.id == found,
        roles=[(role, role == FoundAccount.of(row).role) for role in ("", *ROLES)],
        message=refused.messages.get("act", ""),
    )


@blueprint.post("/<account_id>/lock")
@limits.limited(limits.CHANGE)
async def lock(account_id: str) -> Response:
    """Lock an account: its sessions end, and nobody signs in to it."""
    account = await operator()
    if parse_id(account_id) == account.id:
        return await _refuse(account_id, gettext("You cannot lock your own account. Another operator can."))
    return await _act(account_id, services().people.lock)


@blueprint.post("/<account_id>/unlock")
@limits.limited(limits.CHANGE)
async def unlock(account_id: str) -> Response:
    """Unlock an account: its owner signs in again."""
    return await _act(account_id, services().people.unlock)


@blueprint.post("/<account_id>/new-password")
@limits.limited(limits.CHANGE)
async def new_password(account_id: str) -> Response:
    """Send the account's owner a link to a new password."""
    session = await current_session()
    return await _act(account_id, partial(services().people.send_new_password, session=session))


@blueprint.post("/<account_id>/role")
@limits.limited(limits.CHANGE)
async def role(account_id: str) -> Response:
    """Give an account a role, or take it away."""
    account, wanted = await operator(), str((await sent_values()).get("role", ""))
    if wanted not in {"", *ROLES}:
        abort(404)
    if parse_id(account_id) == account.id:
        return await _refuse(account_id, gettext("You cannot change your own role. Another operator can."))

    role: Any = wanted or None
    return await _act(account_id, lambda found, actor: services().people.set_role(found, role, actor))


@blueprint.post("/<account_id>/delete")
@limits.limited(limits.CHANGE)
async def delete(account_id: str) -> Response:
    """Delete an account in a week; its owner is told, and may undo it. The address must be typed."""
    await operator()
    found = parse_id(account_id) or abort(404)
    typed = str((await sent_values()).get("typed", "")).strip()
    try:
        async with services().database.begin() as work:
            row = await services().account_administration.get(work, found)
        if typed.lower() != row.email.lower():
            return await _refuse(account_id, gettext("Type the address of the account to delete it."))
    except UnknownAccount:
        abort(404)
    return await _act(account_id, services().deletion.delete)


@blueprint.post("/<account_id>/keep")
@limits.limited(limits.CHANGE)
async def keep(account_id: str) -> Response:
    """Keep an account that is to be deleted."""
    return await _act(account_id, services().deletion.undo)


async def _act(account_id: str, act: Callable[[UUID, Actor], Awaitable[Any]]) -> Response:
    account, found = await operator(), parse_id(account_id) or abort(404)
    try:
        await act(found, actor_of(account))
    except UnknownAccount:
        abort(404)
    except LastOperator as error:
        return await _refuse(account_id, error_text(error))
    return redirect(f"/desk/people/{found}")


async def _refuse(account_id: str, sentence: str) -> Response:
    if wants_json():
        return await respond(Invalid({"act": sentence}))
    refused = Refused({}, {"act": sentence}, 409)
    return await show_again(refused, lambda it: _page(account_id, it), at=f"/desk/people/{parse_id(account_id)}")


@blueprint.post("/sign-ups/<sign_up_id>/resend")
@limits.limited(limits.RESEND)
async def resend(sign_up_id: str) -> Response:
    """Send the mail of an open sign-up again, within the limits that hold for its owner, too."""
    account, found = await operator(), parse_id(sign_up_id) or abort(404)
    try:
        ticket = await services().people.resend(found, actor_of(account))
    except UnknownSignUp:
        abort(404)
    except TooSoon as error:
        return await _too_soon(error)
    return redirect(f"/desk/mails/{ticket}")


async def _too_soon(error: MailroomError) -> Response:
    if wants_json():
        return await respond(error)
    return await desk_page("desk/refusal.html", 429, sentence=error_text(error), back="/desk/people")
