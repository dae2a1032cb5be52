"""A test mail: an operator sends one and watches it go."""

from quart import Blueprint, Response

from mailroom.accounts.addresses.address import Address
from mailroom.i18n.messages import gettext
from mailroom.ops.mails import PLAIN
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, operator
from mailroom.web.desk.frame import desk_page
from mailroom.web.forms.fields import AddressForm, check, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take, typed

blueprint = Blueprint("desk_test_mail", __name__, url_prefix="/desk")


@blueprint.get("/test-mail")
async def form() -> Response:
    """Show the form."""
    return await _page(take())


async def _page(refused: Refused) -> Response:
    account = await operator()
    return await desk_page(
        "desk/test_mail.html",
        refused.status,
        values=refused.values or {"email": account.email},
        messages=refused.messages,
    )


@blueprint.post("/test-mail")
@limits.limited(limits.SIGN_UP)
async def send() -> Response:
    """Send a plain mail, as `mailroom send` does, and go on to its live page."""
    account, values = await operator(), await sent_values()
    try:
        to = Address.parse(check(AddressForm, values).email).email
    except FORM_ERRORS as error:
        return await refuse(error, _page, typed(values, "email"))
    site = services().settings.brand.site
    words = {
        "subject": gettext("Test mail from %(site)s", site=site),
        "text": gettext("An operator of %(site)s sent this mail to see whether mail arrives.", site=site),
    }
    async with services().database.begin() as work:
        ticket = await services().outbox.put(work, PLAIN, to, words, owner_id=account.id)
        await services().audit_log.write(
            work, actor_of(account), "mail.tested", target="mail", target_id=ticket, details={"to": to}
        )
    return redirect(f"/mails/{ticket}")
