"""Signing in, signing up and linking by way of another site (OpenID Connect).

A form of ours leads to a page that goes on to the other site by itself, without a script. The form cannot lead
there directly: `form-action` of our content policy applies to redirects, too.
"""

from quart import Blueprint, Response, request

from mailroom.accounts.providers.errors import UnknownAnswer, UnknownIdentity
from mailroom.accounts.providers.requests import Purpose
from mailroom.accounts.providers.sign_in import Answer, Outcome
from mailroom.accounts.views import SecondStepNeeded, Session
from mailroom.kit.ids import parse_id
from mailroom.web import browser
from mailroom.web.browser import current_or_new_session, current_session, services
from mailroom.web.forms.fields import StepCodeForm, check, sent_values
from mailroom.web.forms.notices import redirect_with_notice
from mailroom.web.forms.return_to import DEFAULT, member, safe_path, second_step_address
from mailroom.web.page import keep_private, page, redirect
from mailroom.web.pages.settings import confirm as recent
from mailroom.web.rate_limits import limits
from mailroom.web.recent_sign_in import PAGE, SECURITY, recent_member
from mailroom.web.refused import FORM_ERRORS, refuse

blueprint = Blueprint("providers", __name__)

LONGEST = 8_000
"""Characters of a parameter that a provider sends; longer ones are ignored."""


@blueprint.post("/sign-in/with/<name>")
@limits.limited(limits.SIGN_IN)
async def sign_in(name: str) -> Response:
    """Send the browser to a provider to sign in, or up."""
    values = await sent_values()
    asked = safe_path(values.get("next"))
    session = await current_or_new_session()
    if session.account:
        return redirect(asked or DEFAULT)
    on = {
        "next": asked,
        "keep": "yes" if values.get("keep") else "",
        "invitation": str(values.get("invitation", ""))[:100],
    }
    return await _going_on(name, session, Purpose.SIGN_IN, on, back="/sign-in")


@blueprint.post("/account/confirm/with/<name>")
@limits.limited(limits.SIGN_IN, also=limits.by_member)
async def confirm(name: str) -> Response:
    """Send a member to a provider to confirm who it is; with two steps, check a code before that.

    The code is checked only if the provider is linked and answers.
    """
    session, account = await member()
    values = await sent_values()
    intent = str(values.get("intent", ""))[:4000]
    there = await services().provider_sign_ins.begin(name, session, Purpose.RECENT, {"intent": intent})
    if account.has_two_steps:
        try:
            sent = check(StepCodeForm, values)
            await services().recent_sign_in.second_step(session, sent.step_code, browser.origin())
        except FORM_ERRORS as error:
            return await refuse(error, lambda it: recent.show(session, intent, it), {"intent": intent}, at=PAGE)
    return await _way_there(name, there, back=SECURITY)


@blueprint.post("/account/identities/link/<name>")
@limits.limited(limits.SIGN_IN)
async def link(name: str) -> Response:
    """Send a member to a provider, to link the account there with the one here."""
    session, _ = await recent_member()
    return await _going_on(name, session, Purpose.LINK, {}, back=SECURITY)


@blueprint.post("/account/identities/<identity_id>/unlink")
@limits.limited(limits.CHANGE)
async def unlink(identity_id: str) -> Response:
    """Remove a link of the account."""
    session, _ = await recent_member()
    found = parse_id(identity_id)
    if found is None:
        raise UnknownIdentity
    await services().identities.unlink(session, found, browser.origin())
    return redirect(SECURITY)


@blueprint.get("/sign-in/with/<name>/callback")
@limits.limited_reads(limits.SIGN_IN)
async def answer(name: str) -> Response:
    """Take a provider's answer from a browser. It counts once, and only in the browser that was sent there."""
    sent = {key: value for key, value in request.args.items() if len(value) <= LONGEST}
    brought = Answer(sent.get("state", ""), sent.get("code", ""), sent.get("iss"), sent.get("error"))
    session = await current_session()
    outcome = await services().provider_sign_ins.take(name, brought, session, browser.origin())
    return keep_private(_way_on(outcome, session))


def _way_on(outcome: Outcome, session: Session | None) -> Response:
    asked = safe_path(outcome.on.get("next"))
    if outcome.ticket:
        return redirect(f"/mails/{outcome.ticket}")
    if isinstance(outcome.started, SecondStepNeeded):
        browser.begin(outcome.started.started)
        return redirect(second_step_address(asked))
    if outcome.started:
        browser.begin(outcome.started)
        return redirect(asked or DEFAULT)
    if outcome.purpose is Purpose.LINK:
        return redirect_with_notice(SECURITY, "linked")
    return redirect(recent.way_on(session, outcome.on.get("intent", "")) if session else SECURITY)


async def _going_on(name: str, session: Session, purpose: Purpose, on: dict[str, str], *, back: str) -> Response:
    address = await services().provider_sign_ins.begin(name, session, purpose, on)
    return await _way_there(name, address, back=back)


async def _way_there(name: str, address: str, *, back: str) -> Response:
    label = next((one.label for one in services().settings.sign_in_providers if one.name == name), None)
    if label is None:
        raise UnknownAnswer
    return keep_private(await page("going_on.html", provider=label, address=address, back=back))
