"""The operator's name, logo and colours: what is set, notes about it, and how a page and a mail look."""

from quart import Blueprint, Response, abort, g, request

from mailroom.accounts.sign_up.sign_ups import CONFIRM
from mailroom.ops.doctor.branding import notes
from mailroom.web.brand_files import SCHEMES, forced
from mailroom.web.browser import services
from mailroom.web.desk.access import staff
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.mail import CONTENT_POLICY
from mailroom.web.forms import sign_up_traps
from mailroom.web.page import visitor_page

blueprint = Blueprint("desk_branding", __name__, url_prefix="/desk/branding")


@blueprint.get("")
async def branding() -> Response:
    """Show the settings, and four frames: a page and a mail, in light and dark."""
    settings = services().settings
    given = {
        "PRODUCT_NAME": settings.product_name,
        "LOGO": str(settings.logo or ""),
        "ACCENT_COLOR": settings.accent_color,
        "SUPPORT_ADDRESS": settings.support_address,
        "PRIVACY_URL": settings.privacy_url,
        "IMPRINT_URL": settings.imprint_url,
        "MAIL_FROM": settings.from_header,
    }
    return await desk_page("desk/branding.html", given=given, notes=notes(settings.brand), schemes=SCHEMES)


@blueprint.get("/page")
async def sample_page() -> Response:
    """Show the sign-up page to a frame, as visitors see it in one of the schemes."""
    await staff()
    g.mailroom_frame_ancestors = "'self'"
    return await visitor_page(
        "sign_up.html",
        scheme=_scheme(),
        takes_strangers=True,
        has_inbox=False,
        values={},
        messages={},
        invited=None,
        bait=sign_up_traps.BAIT,
        begun="",
    )


@blueprint.get("/mail")
async def sample_mail() -> Response:
    """Show the mail of a sign-up to a frame, in one of the schemes."""
    account = await staff()
    html = services().mail_desk.specimen(CONFIRM, account.email).html
    response = Response(forced(html, _scheme()), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _scheme() -> str:
    scheme = request.args.get("scheme", "light")
    if scheme not in SCHEMES:
        abort(404)
    return scheme
