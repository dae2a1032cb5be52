"""Alerts: what is wrong and what was, who is told, a test alert, and silences."""

from quart import Blueprint, Response, abort, request

from mailroom.desk.alerts.acts import change_silence, send_test
from mailroom.desk.alerts.book import ALL, current_alerts, past_alerts, silences
from mailroom.desk.alerts.rules import RULES
from mailroom.i18n.alert_words import TITLES
from mailroom.i18n.messages import gettext, translated
from mailroom.kit import clock
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, masked, operator, staff
from mailroom.web.desk.alert_lines import alert_lines
from mailroom.web.desk.frame import desk_page
from mailroom.web.forms.fields import sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits

blueprint = Blueprint("desk_alerts", __name__, url_prefix="/desk")

HOURS = (1, 8, 24, 72)


@blueprint.get("/alerts")
async def alerts() -> Response:
    """Show what is wrong and what was; operators also get the forms that silence a rule and send a test."""
    account = await staff()
    async with services().database.begin_plain() as work:
        now, past, quiet = await current_alerts(work), await past_alerts(work), await silences(work)
    shown = str if account.is_operator else masked
    to = [shown(address) for address in await services().teller.addresses()]
    return await desk_page(
        "desk/alerts_page.html",
        in_frame=False,
        lines=alert_lines(now, clock.now()),
        past=alert_lines(past, clock.now()),
        quiet=[(one.rule, _title(one.rule), one.until, shown(one.by_name)) for one in quiet],
        rules=[(ALL, _title(ALL)), *((rule, _title(rule)) for rule in RULES)],
        hours=HOURS,
        to=to,
        tested=request.args.get("tested"),
    )


def _title(rule: str) -> str:
    return gettext("All alerts") if rule == ALL else translated(TITLES.get(rule, rule))


@blueprint.post("/alerts/silence")
@limits.limited(limits.CHANGE)
async def silence_rule() -> Response:
    """Silence a rule for some hours; 0 hours end the silence."""
    account, values = await operator(), await sent_values()
    rule, text = str(values.get("rule", "")), str(values.get("hours", ""))
    if (rule != ALL and rule not in RULES) or text not in {"0", *map(str, HOURS)}:
        abort(400)
    have = services()
    await change_silence(have.database, have.audit_log, actor_of(account), rule, int(text))
    return redirect("/desk/alerts")


@blueprint.post("/alerts/test")
@limits.limited(limits.RESEND)
async def test() -> Response:
    """Mail a test alert now, in the same way as other alerts, and say whether the mail server accepted it."""
    account, have = await operator(), services()
    tested = await send_test(have.database, have.audit_log, actor_of(account), have.teller)
    return redirect(f"/desk/alerts?tested={'no' if tested.problem else 'yes'}")
