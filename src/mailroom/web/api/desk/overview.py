"""The overview for programs: what waits, how much went out and how fast."""

from typing import Any

from pydantic import BaseModel, Field
from quart import Blueprint, Response
from quart_schema import document_response, operation_id, tag

from mailroom.kit.clock import iso
from mailroom.statistics.readings import Point
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import LOOKS_AT_ALL, needs_key
from mailroom.web.desk.overview import Readings
from mailroom.web.parts import current
from mailroom.web.program_answers import answer
from mailroom.web.rate_limits.limits import READ, limited_reads

blueprint = Blueprint("desk_api_overview", __name__, url_prefix="/api/v1/desk/overview")


class BacklogShown(BaseModel):
    """Mails that wait. Counts stop at 10,001, which means: more than 10,000."""

    queued: int
    retrying: int
    scheduled: int
    sending: int
    held: int = Field(description="wait for a person's decision")
    oldest: str | None = Field(description="since when the oldest waits that could be sent at once")
    oldest_bulk: str | None


class PeriodShown(BaseModel):
    """What happened in a time. Times are seconds."""

    created: int
    sent: int
    failed: int
    attempts: int
    p50: float | None = Field(description="from the commit to the acceptance, as p99")
    p99: float | None
    wait_p99: float | None = Field(description="from the moment it was due to its claim")


class OverviewShown(BaseModel):
    """The state of this Mailroom, read at most four seconds ago."""

    object: str = "overview"
    at: str
    workers: int = Field(description="that live")
    alerts: int = Field(description="that fire")
    backlog: BacklogShown
    periods: dict[str, PeriodShown] = Field(description="the last hour, day and week")


@blueprint.get("")
@limited_reads(READ)
@operation_id("deskOverview")
@tag(["desk"])
@document_response(OverviewShown, 200)
@refusals
@needs_key(LOOKS_AT_ALL)
async def overview() -> Response:
    """Tell what waits, and how much went out in the last hour, day and week."""
    reading = await current(Readings).get()
    waits = reading.backlog
    return answer(
        {
            "object": "overview",
            "at": iso(reading.at),
            "workers": sum(one.role == "worker" and one.state == "alive" for one in reading.processes),
            "alerts": sum(one.firing for one in reading.alerts),
            "backlog": {
                **{name: getattr(waits, name) for name in ("queued", "retrying", "scheduled", "sending", "held")},
                "oldest": iso(waits.oldest),
                "oldest_bulk": iso(waits.oldest_bulk),
            },
            "periods": {name: _period(shown.whole) for name, shown in reading.series.items()},
        }
    )


def _period(whole: Point) -> dict[str, Any]:
    names = ("created", "sent", "failed", "attempts", "p50", "p99", "wait_p99")
    return {name: getattr(whole, name) for name in names}
