"""OpenTelemetry: a trace runs from the request that puts a mail to the mail server's 250.

The row of a mail holds the span that put it (`mails.traceparent`), so a trace crosses processes, restarts and
days. Each attempt is a span below it, with one for each of its stages; they are made when the attempt has ended,
from the times that it has anyway. An attempt of a bulk mail begins a trace of its own and links to the request:
one request may put 100,000 mails. No span holds an address, a subject or a server's words.

The SDK itself reads OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mailroom.desk.processes.release import release
from mailroom.kit import tracing
from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.ledger.claims import RecordedState
from mailroom.mail.states import State

logger = logging.getLogger(__name__)

FLUSH = 2.0
"""Seconds that the end of a process waits for its last spans."""
METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Methods that spans name; a stranger may invent any other (OpenTelemetry's conventions for HTTP spans)."""
TROUBLE = frozenset({State.FAILED, State.EXPIRED, State.UNCERTAIN})


def exporting_to(endpoint: str, role: str) -> TracerProvider:
    """Return what collects spans and sends them to an OTLP collector over HTTP, in a thread of its own."""
    resource = Resource.create({"service.name": f"mailroom-{role}", "service.version": release()})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class OpenTelemetry:
    """Makes the spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("mailroom", release())
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Send what is left, and stop. Blocks for `FLUSH` at most.

        The SDK sends what is left when it shuts down, but waits up to 30 seconds for a collector that does not
        answer. A thread that does not keep the process alive waits in our place.
        """
        tracing.install(None)
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(FLUSH)
        if closing.is_alive():
            logger.warning("the collector did not answer in time; the last spans are lost")

    # -- where mails are put

    def traceparent(self) -> str | None:
        """Return the current span as W3C Trace Context has it; None without one that is recorded."""
        context = get_current_span().get_span_context()
        if not context.is_valid or not context.trace_flags.sampled:
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Make a span of the block. Of an error it holds only the type: the message may hold an address."""
        with self._tracer.start_as_current_span(
            name, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    # -- requests

    def request_began(
        self, method: str, route: str | None, traceparent: str | None, arrived: int
    ) -> tuple[Span, object]:
        """Begin the span of a request, at the time `arrived` (nanoseconds since 1970).

        `traceparent` is the caller's. Give what is returned to `request_ended`.
        """
        known = method in METHODS
        attributes = {
            "http.request.method": method if known else "_OTHER",
            **({"http.route": route} if route else {}),
        }
        span = self._tracer.start_span(
            " ".join([method if known else "HTTP", *([route] if route else [])]),
            context=self._parent(traceparent),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=arrived,
        )
        return span, attach(set_span_in_context(span))

    def request_ended(self, began: tuple[Span, object], status: int) -> None:
        """End the span of a request."""
        span, token = began
        span.set_attribute("http.response.status_code", status)
        if status >= 500:  # noqa: PLR2004
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        detach(token)  # type: ignore[arg-type]  # what `attach` returned

    # -- attempts

    def attempt_ended(self, attempt: RunningAttempt, recorded: RecordedState) -> None:
        """Make the spans of an attempt whose ending is recorded. Times are PostgreSQL's."""
        claim, ending = attempt.claim, attempt.ending
        assert ending is not None
        put = get_current_span(self._parent(claim.traceparent)).get_span_context()
        is_bulk = claim.stream == "bulk"
        state, code = ending.decision.state, ending.result.code
        facts: dict[str, str | int] = {
            "messaging.system": "smtp",
            "messaging.operation.type": "send",
            "mailroom.mail.id": str(claim.id),
            "mailroom.mail.kind": claim.kind,
            "mailroom.mail.stream": claim.stream,
            "mailroom.attempt": claim.attempt,
            "mailroom.outcome": str(state),
            "server.address": attempt.server,
        }
        if ending.result.reason:
            facts["mailroom.reason"] = str(ending.result.reason)
        if code:
            facts["mailroom.smtp.code"] = code
        span = self._tracer.start_span(
            "deliver mail",
            context=Context() if is_bulk else _below(put),
            kind=SpanKind.CONSUMER,
            links=[Link(put)] if put.is_valid and is_bulk else [],
            attributes=facts,
            start_time=_nanoseconds(claim.claimed_at),
        )
        context, end = set_span_in_context(span, Context()), recorded.changed_at
        stages = (
            ("connect", claim.claimed_at, attempt.connected_at),
            ("sender and recipient", attempt.connected_at, attempt.handing_over_at),
            ("content until the reply", attempt.handing_over_at, end),
        )
        for name, began, ended in stages:
            if began and ended:
                self._stage(name, context, began, ended)
        if state in TROUBLE:
            span.set_status(Status(StatusCode.ERROR, str(ending.result.reason or state)))
        span.end(_nanoseconds(end))

    def _stage(self, name: str, context: Context, began: datetime, ended: datetime) -> None:
        start = _nanoseconds(began)
        span = self._tracer.start_span(name, context=context, kind=SpanKind.CLIENT, start_time=start)
        span.end(max(start, _nanoseconds(ended)))

    def _parent(self, traceparent: str | None) -> Context:
        """Return the context of a traceparent; an empty one if there is none, or it makes no sense."""
        return self._propagator.extract({"traceparent": traceparent} if traceparent else {}, Context())


def _below(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context()) if parent.is_valid else Context()


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
