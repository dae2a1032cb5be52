"""Alerts: what is and was wrong, whom they go to, a test, and silences."""

from datetime import timedelta

from quart import Blueprint, Response, abort, request

from mailroom.desk.alerts.book import ALL, current_alerts, end_silence, past_alerts, silence
from mailroom.desk.alerts.rules import RULES
from mailroom.desk.alerts.teller import Words
from mailroom.i18n.alert_words import TITLES, alert_words
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
SILENCES = "select rule, until, by_name from alert_silences where until > now() order by rule"


@blueprint.get("/alerts")
async def alerts() -> Response:
    """Show what is wrong and what was, and for operators how to silence and to test."""
    account = await staff()
    async with services().database.begin_plain() as work:
        now, past = await current_alerts(work), await past_alerts(work)
        quiet: list[tuple[str, object, str]] = await work.fetch(SILENCES, {})
    shown = str if account.is_operator else masked
    to = [shown(address) for address in await services().teller.addresses()]
    return await desk_page(
        "desk/alerts_page.html",
        in_frame=False,
        lines=alert_lines(now, clock.now()),
        past=alert_lines(past, clock.now()),
        quiet=[(rule, _title(rule), until, shown(name)) for rule, until, name in quiet],
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
    """Tell nobody of a rule for some hours; none: tell again."""
    account, values = await operator(), await sent_values()
    rule, text = str(values.get("rule", "")), str(values.get("hours", ""))
    if (rule != ALL and rule not in RULES) or text not in {"0", *map(str, HOURS)}:
        abort(400)
    hours = int(text)
    async with services().database.begin() as work:
        if hours:
            await silence(work, rule, timedelta(hours=hours), account.email)
        else:
            await end_silence(work, rule)
        action = "alert.silenced" if hours else "alert.unsilenced"
        details = {"hours": hours}
        await services().audit_log.write(
            work, actor_of(account), action, target="alert", target_id=rule, details=details
        )
    return redirect("/desk/alerts")


@blueprint.post("/alerts/test")
@limits.limited(limits.RESEND)
async def test() -> Response:
    """Mail a test alert now, the way that alerts go; say whether the mail server took it."""
    account, teller, now = await operator(), services().teller, clock.now()
    words = alert_words("test", {}, now, now)
    to = await teller.addresses()
    label = services().settings.brand.label
    problem = await teller.send(to, Words(f"[{label}] {words.title}", f"{words.sentence}\n{words.advice}\n"))
    async with services().database.begin() as work:
        details = {"to": len(to), "problem": problem or ""}
        await services().audit_log.write(work, actor_of(account), "alert.tested", target="alert", details=details)
    if problem is None:
        return redirect("/desk/alerts?tested=yes")
    return redirect("/desk/alerts?tested=no")
