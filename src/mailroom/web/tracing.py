"""A span for each request, where this process traces (`ops/observability/otel.py`)."""

from quart import Quart, Response, g, request

from mailroom.ops.observability.otel import OpenTelemetry
from mailroom.web.program_answers import is_program_path

LEFT_OUT = ("/static/", "/healthz", "/up", "/readyz", "/metrics")
"""What is asked every few seconds and puts no mail. Websockets have no span: they live for hours."""


def trace_requests(app: Quart, tracing: OpenTelemetry) -> None:
    """Make a span of each request. A program's `traceparent` is taken; a stranger's page cannot name a trace."""

    async def begin() -> None:
        if request.path.startswith(LEFT_OUT):
            return
        told = request.headers.get("traceparent") if is_program_path(request.path) else None
        rule = request.url_rule.rule if request.url_rule else None
        g.mailroom_span = tracing.request_began(request.method, rule, told)

    async def end(response: Response) -> Response:
        began = g.pop("mailroom_span", None)
        if began is not None:
            tracing.request_ended(began, response.status_code)
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request_funcs.setdefault(None, []).insert(0, end)  # called in reverse order: the last
