"""A span for each request, if this process traces (`ops/observability/otel.py`)."""

import time

from quart import Quart, Response, g, request

from mailroom.kit.errors import MailroomError
from mailroom.ops.observability.otel import OpenTelemetry
from mailroom.web.api.keys import current_key
from mailroom.web.program_answers import is_program_path

LEFT_OUT = ("/static/", "/healthz", "/up", "/readyz", "/metrics")
"""Paths that are asked for often and put no mail. Websockets have no span, either: they last for hours."""


def trace_requests(app: Quart, tracing: OpenTelemetry) -> None:
    """Make a span for each request.

    A `traceparent` is accepted only from programs with a valid key: its sender chooses what is recorded, and in
    which trace.
    """

    async def arrive() -> None:
        if not request.path.startswith(LEFT_OUT):
            g.mailroom_arrived = time.time_ns()

    async def begin() -> None:
        if "mailroom_arrived" in g:
            _begin(tracing, await _told())

    async def end(response: Response) -> Response:
        if "mailroom_arrived" in g and "mailroom_span" not in g:
            _begin(tracing, None)  # it was refused before anybody asked for its key
        began = g.pop("mailroom_span", None)
        if began is not None:
            tracing.request_ended(began, response.status_code)
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, arrive)
    app.before_request(begin)  # after the rate limits: it may look for a key
    app.after_request_funcs.setdefault(None, []).insert(0, end)  # called in reverse order: this one last


def _begin(tracing: OpenTelemetry, told: str | None) -> None:
    rule = request.url_rule.rule if request.url_rule else None
    g.mailroom_span = tracing.request_began(request.method, rule, told, g.mailroom_arrived)


async def _told() -> str | None:
    """Return the `traceparent` of a program with a valid key, else None."""
    told = request.headers.get("traceparent")
    if not told or not is_program_path(request.path):
        return None
    try:
        await current_key()
    except MailroomError:  # the view answers that
        return None
    return told
