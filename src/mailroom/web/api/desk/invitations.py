"""Invitations for programs: list, make, take back."""

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_request, document_response, operation_id, tag

from mailroom.accounts.errors import InvalidAddress
from mailroom.accounts.sign_up.errors import AlreadyMember, UnknownInvitation
from mailroom.desk.as_json import invitation_json
from mailroom.i18n.sentences import error_text
from mailroom.web.api.desk.asked import Body, actor, body_of, id_of, reader, wrong
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ACTS_ON_ALL, LOOKS_AT_ALL, current_key, needs_key
from mailroom.web.browser import services
from mailroom.web.program_answers import ApiError, answer
from mailroom.web.rate_limits.limits import API, READ, limited_reads

blueprint = Blueprint("desk_api_invitations", __name__, url_prefix="/api/v1/desk/invitations")

UNKNOWN = "There is no such invitation, or it is used or revoked."


class InvitationShown(BaseModel):
    """An invitation to sign up."""

    id: str
    email: str
    bound: bool = Field(description="true where only this address may sign up with it")
    state: str = Field(description="open, used, expired or revoked")
    mail_id: str
    mail_state: str
    created_at: str
    expires_at: str


class InvitationList(BaseModel):
    """The newest 100 invitations."""

    object: str = "list"
    data: list[InvitationShown]


class InvitationBody(Body):
    """Whom to invite."""

    email: str = Field(max_length=1000)
    anyone: bool = Field(False, description="true: everybody who has the link may sign up, with any address")


class InvitationRevoked(BaseModel):
    """The invitation that was taken back."""

    object: str = "invitation"
    id: str
    revoked: bool = True


@blueprint.get("")
@limited_reads(READ)
@operation_id("deskInvitations")
@tag(["desk"])
@document_response(InvitationList, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def list_all() -> Response:
    """List the newest invitations, each with the state of its mail."""
    seen = (await reader()).seen
    async with services().database.begin() as work:
        found = await services().invitations.list(work)
    return answer({"object": "list", "data": [invitation_json(one, seen) for one in found]})


@blueprint.post("")
@limited_reads(API)
@operation_id("deskInvite")
@tag(["desk"])
@document_request(InvitationBody)
@document_response(InvitationShown, 201)
@refusals
@needs_key(ACTS_ON_ALL)
async def create() -> Response:
    """Invite somebody by mail."""
    body, key = await body_of(InvitationBody), await current_key()
    try:
        made = await services().acts.invite(
            await actor(), body.email, bound=not body.anyone, inviter_id=key.owner_id
        )
    except (InvalidAddress, AlreadyMember) as error:
        wrong("email", error_text(error))
    return answer(invitation_json(made), 201)


@blueprint.post("/<invitation_id>/revoke")
@limited_reads(API)
@operation_id("deskRevokeInvitation")
@tag(["desk"])
@document_response(InvitationRevoked, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def revoke(invitation_id: str) -> Response:
    """Take an invitation back: its link does not work any more."""
    found = id_of(invitation_id, UNKNOWN)
    try:
        await services().acts.revoke_invitation(await actor(), found)
    except UnknownInvitation:
        raise ApiError(404, "not_found", UNKNOWN) from None
    return answer({"object": "invitation", "id": str(found), "revoked": True})
