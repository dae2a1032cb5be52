"""Invitations: whom operators invited to sign up, the state of each mail, and a form that invites somebody."""

from contextlib import suppress
from dataclasses import dataclass

from quart import Blueprint, Response, abort

from mailroom.accounts.errors import InvalidAddress
from mailroom.accounts.sign_up.errors import AlreadyMember, UnknownInvitation
from mailroom.accounts.sign_up.invitations import InvitationView
from mailroom.i18n.messages import gettext_noop, translated
from mailroom.i18n.sentences import error_text
from mailroom.kit.ids import parse_id
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, masked, operator, staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.forms.fields import AddressForm, Invalid, check, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, refuse, take, typed
from mailroom.web.views.words import STATES

blueprint = Blueprint("desk_invitations", __name__, url_prefix="/desk")

WORDS = {
    "open": gettext_noop("open"),
    "used": gettext_noop("signed up"),
    "expired": gettext_noop("expired"),
    "revoked": gettext_noop("revoked"),
}
LOOKS = {"open": "busy", "used": "good", "expired": "unsure", "revoked": "bad"}


@dataclass(frozen=True, slots=True)
class Line:
    """An invitation in the list; `mail` is the word for the state of its mail."""

    invitation: InvitationView
    email: str
    word: str
    mood: str
    mail: str


def _line(one: InvitationView, *, whole: bool) -> Line:
    mail = translated(STATES[one.mail_state].word) if one.mail_state in STATES else ""
    email = one.email if whole else masked(one.email)
    return Line(one, email, translated(WORDS[one.state]), LOOKS[one.state], mail)


@blueprint.get("/invitations")
async def invitations() -> Response:
    """List the invitations; operators get the form that invites, too."""
    return await _page(take())


async def _page(refused: Refused) -> Response:
    account = await staff()
    async with services().database.begin() as work:
        found = await services().invitations.list(work)
    return await desk_page(
        "desk/invitations.html",
        refused.status,
        lines=[_line(one, whole=account.is_operator) for one in found],
        values=refused.values,
        messages=refused.messages,
    )


@blueprint.post("/invitations")
@limits.limited(limits.CHANGE)
async def create() -> Response:
    """Invite somebody, and go on to the live page of the mail."""
    account, values = await operator(), await sent_values()
    try:
        email = check(AddressForm, values).email
        bound = not values.get("anyone")
        made = await services().acts.invite(actor_of(account), email, bound=bound, inviter_id=account.id)
    except (Invalid, InvalidAddress, AlreadyMember) as error:
        refusal = error if isinstance(error, Invalid) else Invalid({"email": error_text(error)})
        return await refuse(refusal, _page, typed(values, "email", "anyone"))
    return redirect(f"/mails/{made.mail_id}")


@blueprint.post("/invitations/<invitation_id>/revoke")
@limits.limited(limits.CHANGE)
async def revoke(invitation_id: str) -> Response:
    """Take an invitation back: its link does not work any more."""
    account, found = await operator(), parse_id(invitation_id)
    if found is None:
        abort(404)
    with suppress(UnknownInvitation):  # used or revoked meanwhile: the list says which
        await services().acts.revoke_invitation(actor_of(account), found)
    return redirect("/desk/invitations")
