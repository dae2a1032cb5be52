"""Accounts and open sign-ups, for programs: find, show, lock, help and delete them."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_querystring, document_request, document_response, operation_id, tag

from mailroom.accounts.administration import FoundAccount
from mailroom.accounts.browsers import browser_words, described
from mailroom.accounts.errors import LastOperator, TooSoon, UnknownAccount, UnknownSignUp
from mailroom.desk.as_json import account_json, sign_up_json
from mailroom.desk.audit_log import Actor
from mailroom.i18n.sentences import error_text
from mailroom.kit.clock import iso
from mailroom.web.api.desk.asked import Body, actor, body_of, id_of, reader, wrong
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ACTS_ON_ALL, LOOKS_AT_ALL, current_key, needs_key
from mailroom.web.api.queries import Page, Query, query_of
from mailroom.web.browser import services
from mailroom.web.program_answers import VALIDATION, ApiError, answer
from mailroom.web.rate_limits.limits import ACTS, API, READ, limited_reads

blueprint = Blueprint("desk_api_people", __name__, url_prefix="/api/v1/desk")

UNKNOWN = "There is no such account."
NO_SIGN_UP = "There is no such sign-up that waits."


class PeopleQuery(Page):
    """Which accounts."""

    search: str = Field(
        "", max_length=320, description="an address, its beginning, or @domain; for scope `full`. Then no pages"
    )


class AccountShown(BaseModel):
    """An account."""

    id: str
    email: str
    role: str | None = Field(description="operator, viewer, or null: a member")
    created_at: str
    locked_at: str | None
    deletes_at: str | None


class AccountList(BaseModel):
    """Accounts, the newest first; the results of a search are in the order of their addresses."""

    object: str = "list"
    has_more: bool
    next: str | None = Field(description="`before` of the next page")
    data: list[AccountShown]


class SessionShown(BaseModel):
    """A browser that is signed in."""

    browser: str
    address: str | None = Field(description="of its network; for scope `full`")
    created_at: str
    seen_at: str


class WholeAccountShown(AccountShown):
    """An account, with the browsers that are signed in to it."""

    confirmed_at: str
    sessions: list[SessionShown]


class SignUpShown(BaseModel):
    """A sign-up that waits for its confirmation."""

    id: str
    email: str
    created_at: str
    mailed_at: str
    mail_id: str


class SignUpList(BaseModel):
    """Open sign-ups, the newest first."""

    object: str = "list"
    data: list[SignUpShown]


class SignUpQuery(Query):
    """Which sign-ups."""

    search: str = Field("", max_length=320, description="an address, its beginning, or @domain; for scope `full`")


class RoleBody(Body):
    """The role to give; null takes it away."""

    role: Literal["operator", "viewer"] | None


class DeleteBody(Body):
    """The address of the account, as a confirmation."""

    email: str = Field(max_length=1000)


class MailSent(BaseModel):
    """The mail that was queued."""

    object: str = "mail"
    id: str


@blueprint.get("/accounts")
@limited_reads(READ)
@operation_id("deskAccounts")
@tag(["desk"])
@document_querystring(PeopleQuery)
@document_response(AccountList, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def list_accounts() -> Response:
    """List the newest accounts, or those whose address matches the search."""
    looks, asked = await reader(), query_of(PeopleQuery)
    text = _search(asked.search, whole=looks.whole)
    async with services().database.begin() as work:
        found = await services().account_administration.find(
            work, text, before=None if text else asked.before_id, limit=asked.limit + 1
        )
    shown, more = found[: asked.limit], len(found) > asked.limit
    return answer(
        {
            "object": "list",
            "has_more": more,
            "next": str(shown[-1].id) if more and not text else None,
            "data": [account_json(one, looks.seen) for one in shown],
        }
    )


def _search(text: str, *, whole: bool) -> str:
    """Return the text of the search. It takes scope `full`: its result tells whether an address has an account."""
    if text.strip() and not whole:
        wrong("search", "A key of scope `read` sees no full address and may not search for one.")
    return text.strip()


@blueprint.get("/accounts/<account_id>")
@limited_reads(READ)
@operation_id("deskAccount")
@tag(["desk"])
@document_response(WholeAccountShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def look_up(account_id: str) -> Response:
    """Show an account and where it is signed in."""
    return answer(await _account(id_of(account_id, UNKNOWN)))


async def _account(found: UUID) -> dict[str, Any]:
    """Return an account. Raises `ApiError` 404."""
    looks = await reader()
    try:
        async with services().database.begin() as work:
            row = await services().account_administration.get(work, found)
            shown = account_json(FoundAccount.of(row), looks.seen)
            confirmed_at = iso(row.confirmed_at)
    except UnknownAccount:
        raise ApiError(404, "not_found", UNKNOWN) from None
    sessions = [
        {
            "browser": browser_words(described(one.user_agent)),
            "address": one.address if looks.whole else None,
            "created_at": iso(one.created_at),
            "seen_at": iso(one.seen_at),
        }
        for one in await services().sessions.of_account(found)
    ]
    return {**shown, "confirmed_at": confirmed_at, "sessions": sessions}


@blueprint.post("/accounts/<account_id>/lock")
@limited_reads(API)
@operation_id("deskLockAccount")
@tag(["desk"])
@document_response(WholeAccountShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def lock(account_id: str) -> Response:
    """Lock an account: its sessions end, and nobody can sign in to it. The key owner's account is refused."""
    await _check_foreign(account_id)
    return await _act(account_id, services().people.lock)


@blueprint.post("/accounts/<account_id>/unlock")
@limited_reads(API)
@operation_id("deskUnlockAccount")
@tag(["desk"])
@document_response(WholeAccountShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def unlock(account_id: str) -> Response:
    """Unlock an account: its owner signs in again."""
    return await _act(account_id, services().people.unlock)


@blueprint.post("/accounts/<account_id>/role")
@limited_reads(API)
@operation_id("deskGrantRole")
@tag(["desk"])
@document_request(RoleBody)
@document_response(WholeAccountShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def role(account_id: str) -> Response:
    """Give an account a role, or take it away. The key owner's account is refused."""
    wanted = (await body_of(RoleBody)).role
    await _check_foreign(account_id)
    return await _act(account_id, lambda found, who: services().people.set_role(found, wanted, who))


@blueprint.post("/accounts/<account_id>/delete")
@limited_reads(API)
@operation_id("deskDeleteAccount")
@tag(["desk"])
@document_request(DeleteBody)
@document_response(WholeAccountShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def delete(account_id: str) -> Response:
    """Delete an account in a week; its owner is told, and may undo it. The address must be given, too."""
    typed, found = (await body_of(DeleteBody)).email.strip(), id_of(account_id, UNKNOWN)
    email = (await _account(found))["email"]
    if typed.lower() != email.lower():
        wrong("email", "Give the address of the account to delete it.")
    return await _act(account_id, services().deletion.delete)


@blueprint.post("/accounts/<account_id>/keep")
@limited_reads(API)
@operation_id("deskKeepAccount")
@tag(["desk"])
@document_response(WholeAccountShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def keep(account_id: str) -> Response:
    """Keep an account that is to be deleted."""
    return await _act(account_id, services().deletion.undo)


@blueprint.post("/accounts/<account_id>/new-password")
@limited_reads(ACTS)
@operation_id("deskSendNewPassword")
@tag(["desk"])
@document_response(MailSent, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def new_password(account_id: str) -> Response:
    """Send the account's owner a link to a new password."""
    found = id_of(account_id, UNKNOWN)
    try:
        mail_id = await services().people.send_new_password(found, await actor())
    except UnknownAccount:
        raise ApiError(404, "not_found", UNKNOWN) from None
    return answer({"object": "mail", "id": str(mail_id)})


@blueprint.get("/sign-ups")
@limited_reads(READ)
@operation_id("deskSignUps")
@tag(["desk"])
@document_querystring(SignUpQuery)
@document_response(SignUpList, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def sign_ups() -> Response:
    """List the newest 50 sign-ups that wait for confirmation, or those whose address matches the search."""
    looks, asked = await reader(), query_of(SignUpQuery)
    text = _search(asked.search, whole=looks.whole)
    async with services().database.begin() as work:
        found = await services().account_administration.sign_ups(work, text)
        shown = [sign_up_json(one, looks.seen) for one in found]
    return answer({"object": "list", "data": shown})


@blueprint.post("/sign-ups/<sign_up_id>/resend")
@limited_reads(ACTS)
@operation_id("deskResendSignUp")
@tag(["desk"])
@document_response(MailSent, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def resend(sign_up_id: str) -> Response:
    """Send the mail of an open sign-up again, within the limits that hold for its owner, too."""
    found = id_of(sign_up_id, NO_SIGN_UP)
    try:
        mail_id = await services().people.resend(found, await actor())
    except UnknownSignUp:
        raise ApiError(404, "not_found", NO_SIGN_UP) from None
    except TooSoon as error:
        raise ApiError(429, "rate_limit_exceeded", error_text(error)) from None
    return answer({"object": "mail", "id": str(mail_id)})


async def _check_foreign(account_id: str) -> None:
    """Raise `ApiError` where the account belongs to the key's owner, as on the desk."""
    if id_of(account_id, UNKNOWN) == (await current_key()).owner_id:
        raise ApiError(422, VALIDATION, "This is the account of the key's owner. Another operator can do it.")


async def _act(account_id: str, act: Callable[[UUID, Actor], Awaitable[Any]]) -> Response:
    """Call `act` on the account, and return the account as it is afterwards."""
    found = id_of(account_id, UNKNOWN)
    try:
        await act(found, await actor())
    except UnknownAccount:
        raise ApiError(404, "not_found", UNKNOWN) from None
    except LastOperator as error:
        raise ApiError(422, VALIDATION, error_text(error)) from None
    return answer(await _account(found))
