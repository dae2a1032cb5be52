"""Alerts, for programs: what is wrong and what was, silences, and a test alert."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_request, document_response, operation_id, tag

from mailroom.desk.alerts.acts import LONGEST_SILENCE, change_silence, send_test
from mailroom.desk.alerts.book import ALL, AlertView, current_alerts, past_alerts, silences
from mailroom.desk.alerts.rules import RULES
from mailroom.desk.as_json import alert_json, silence_json
from mailroom.i18n.alert_words import alert_words
from mailroom.kit import clock
from mailroom.web.api.desk.asked import Body, actor, body_of, reader, wrong
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ACTS_ON_ALL, LOOKS_AT_ALL, needs_key
from mailroom.web.browser import services
from mailroom.web.program_answers import answer
from mailroom.web.rate_limits.limits import ACTS, API, READ, limited_reads

blueprint = Blueprint("desk_api_alerts", __name__, url_prefix="/api/v1/desk/alerts")


class AlertShown(BaseModel):
    """Something that is or was wrong."""

    id: str
    rule: str
    subject: str = Field(description="which one, where a rule watches several: a host, a certificate")
    firing: bool = Field(description="false where it may pass by itself, and where it has ended")
    since: str
    fired_at: str | None
    ended_at: str | None
    silenced_until: str | None
    facts: dict[str, Any]
    title: str
    sentence: str
    advice: str


class SilenceShown(BaseModel):
    """A silenced rule: nobody is told of its alerts."""

    rule: str = Field(description="`*` for every rule")
    until: str
    by: str


class AlertsShown(BaseModel):
    """What is wrong now, what was in the last seven days, and who is told."""

    object: str = "list"
    data: list[AlertShown]
    past: list[AlertShown]
    rules: list[str]
    silences: list[SilenceShown]
    to: list[str] = Field(description="whom alerts go to")


class SilenceBody(Body):
    """Which rule to silence, and for how long."""

    rule: str = Field(description="`*` for every rule")
    hours: int = Field(ge=0, le=LONGEST_SILENCE, description="0: tell of it again")


class SilenceChanged(BaseModel):
    """The silence that was begun, or lifted."""

    object: str = "silence"
    rule: str
    hours: int


class TestShown(BaseModel):
    """What became of a test alert."""

    object: str = "test"
    to: list[str]
    problem: str | None = Field(description="null where the mail server took it")


@blueprint.get("")
@limited_reads(READ)
@operation_id("deskAlerts")
@tag(["desk"])
@document_response(AlertsShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def list_alerts() -> Response:
    """List what is wrong, what was, and what is silenced."""
    seen = (await reader()).seen
    async with services().database.begin_plain() as work:
        now, past, quiet = await current_alerts(work), await past_alerts(work), await silences(work)
    to = await services().teller.addresses()
    return answer(
        {
            "object": "list",
            "data": [_shown(one) for one in now],
            "past": [_shown(one) for one in past],
            "rules": list(RULES),
            "silences": [silence_json(one, seen) for one in quiet],
            "to": [seen(one) for one in to],
        }
    )


def _shown(alert: AlertView) -> dict[str, Any]:
    return alert_json(alert, asdict(alert_words(alert.rule, alert.facts, alert.began_at, clock.now())))


@blueprint.post("/silence")
@limited_reads(API)
@operation_id("deskSilenceAlert")
@tag(["desk"])
@document_request(SilenceBody)
@document_response(SilenceChanged, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def silence() -> Response:
    """Silence a rule's alerts for some hours; 0 hours end the silence. The alerts are still shown."""
    body, have = await body_of(SilenceBody), services()
    if body.rule != ALL and body.rule not in RULES:
        wrong("rule", f"Give {ALL} or one of {', '.join(RULES)}.")
    await change_silence(have.database, have.audit_log, await actor(), body.rule, body.hours)
    return answer({"object": "silence", "rule": body.rule, "hours": body.hours})


@blueprint.post("/test")
@limited_reads(ACTS)
@operation_id("deskTestAlert")
@tag(["desk"])
@document_response(TestShown, 200)
@refusals
@needs_key(ACTS_ON_ALL)
async def test() -> Response:
    """Mail a test alert now, in the same way as other alerts, and tell whether the mail server accepted it."""
    have = services()
    tested = await send_test(have.database, have.audit_log, await actor(), have.teller)
    return answer({"object": "test", "to": list(tested.to), "problem": tested.problem})
