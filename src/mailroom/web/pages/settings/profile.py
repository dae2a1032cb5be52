"""What members choose: name, language and time zone, and which mails they want."""

from quart import Blueprint, Response

from mailroom.accounts.profiles import time_zones
from mailroom.accounts.security.security_log import EventKind
from mailroom.i18n import languages
from mailroom.i18n.messages import gettext, gettext_noop, translated
from mailroom.web.browser import services
from mailroom.web.forms.fields import ProfileForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice, take_notice
from mailroom.web.forms.return_to import member
from mailroom.web.language import keep_language
from mailroom.web.page import page
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import recent_member
from mailroom.web.refused import FORM_ERRORS, Refused, refuse, take, typed

blueprint = Blueprint("profile", __name__)

PROFILE, NOTIFICATIONS = "/account/profile", "/account/notifications"
CHOICES = (
    (EventKind.SIGNED_IN, gettext_noop("Somebody signs in, also from a browser that you know")),
    (EventKind.SESSION_ENDED, gettext_noop("A browser is signed out from another one")),
    (EventKind.SESSIONS_ENDED, gettext_noop("Every other browser is signed out")),
    (EventKind.EXPORTED, gettext_noop("An export of your data is asked for")),
)
"""The mails that the owner can turn on and off."""


@blueprint.get(PROFILE)
async def profile_form() -> Response:
    """Show what the account has chosen."""
    _, account = await member()
    refused = take()
    if not refused.values:
        mine = {"name": account.name, "language": account.language, "time_zone": account.time_zone}
        refused = Refused({name: value or "" for name, value in mine.items()})
    return await _profile_form(refused)


async def _profile_form(refused: Refused) -> Response:
    own = gettext("As the browser asks for")
    return await page(
        "settings/profile.html",
        refused.status,
        values=refused.values,
        messages=refused.messages,
        languages=[("", own), *((tag, languages.name_of(tag)) for tag in languages.shipped())],
        time_zones=[("", gettext("As the browser has it")), *((one, _readable(one)) for one in time_zones())],
        notice=take_notice(),
    )


def _readable(zone: str) -> str:
    return zone.replace("_", " ")


@blueprint.post(PROFILE)
@limits.limited(limits.CHANGE)
async def save_profile() -> Response:
    """Keep what was chosen."""
    session, _ = await member()
    values = await sent_values()
    try:
        sent = check(ProfileForm, values)
        await services().profiles.save(session, name=sent.name, language=sent.language, time_zone=sent.time_zone)
    except FORM_ERRORS as error:
        return await refuse(error, _profile_form, typed(values, "name", "language", "time_zone"))
    keep_language(sent.language)
    return redirect_with_notice(PROFILE, "saved")


@blueprint.get(NOTIFICATIONS)
async def notifications_form() -> Response:
    """Show which mails the account gets."""
    session, _ = await member()
    chosen = await services().profiles.notices(session)
    choices = [(str(kind), translated(words), kind in chosen) for kind, words in CHOICES]
    return await page("settings/notifications.html", choices=choices, notice=take_notice())


@blueprint.post(NOTIFICATIONS)
@limits.limited(limits.CHANGE)
async def save_notifications() -> Response:
    """Save which mails the account gets. It takes a recent sign-in: a thief would want fewer mails."""
    session, _ = await recent_member()
    values = await sent_values()
    await services().profiles.choose_notices(session, [str(kind) for kind, _ in CHOICES if values.get(kind)])
    return redirect_with_notice(NOTIFICATIONS, "saved")
