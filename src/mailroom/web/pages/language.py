"""The choice of a language at the foot of every page, for whoever is not signed in, too."""

from quart import Blueprint, Response

from mailroom.i18n import languages
from mailroom.web.browser import current_session, services
from mailroom.web.errors import page_above
from mailroom.web.forms.fields import sent_values
from mailroom.web.forms.return_to import safe_path
from mailroom.web.language import keep_language
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits

blueprint = Blueprint("language", __name__)


@blueprint.post("/language")
@limits.limited(limits.CHANGE)
async def choose() -> Response:
    """Keep the language, in the browser and for the account, and go back to the page."""
    values = await sent_values()
    language = str(values.get("language", ""))
    if language in languages.shipped():
        keep_language(language)
        session = await current_session()
        if session and session.account:
            await services().profiles.choose_language(session, language)
    path, _, query = safe_path(values.get("next")).partition("?")
    page = page_above(path)  # the answer to a form has no page of its own
    return redirect(f"{page}?{query}" if query and page == path else page)
