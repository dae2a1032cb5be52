"""Traces, as a collector gets them over a real socket: from a program's request to the mail server's reply."""

import asyncio
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import text

from mailroom.api_keys.keys import KeyRequest
from mailroom.bootstrap.web import create_web
from mailroom.kit import tracing
from mailroom.mail.delivery.attempt import RunningAttempt
from mailroom.mail.ledger.claims import RecordedState
from mailroom.ops.observability.otel import OpenTelemetry, exporting_to
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.web.parts import part_of
from tests.integration.mail.delivery.test_deliverer import Make, make, sink, templates
from tests.integration.web.api.conftest import Program
from tests.sink import Fault, Sink

__all__ = ["make", "sink", "templates"]

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass
class Collector:
    """An OTLP collector on loopback."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.raw += body
            told = ExportTraceServiceRequest.FromString(body)
            found.spans += [one for of in told.resource_spans for scope in of.scope_spans for one in scope.spans]
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


async def test_a_trace_runs_from_a_programs_request_to_the_250_and_bulk_mails_link_to_theirs(
    settings: Settings, collector: Collector, make: Make, sink: Sink
) -> None:
    told = settings.model_copy(
        update={"public_url": "http://localhost", "otel_exporter_otlp_endpoint": collector.url}
    )
    async with create_web(told).test_app() as app:
        services = part_of(app.app, Services)
        async with services.database.begin() as work:
            _, secret = await services.api_keys.create(work, KeyRequest("shop"))
        program, under = Program(app, secret), {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        for to, more in (
            ("ann@example.org", {}),
            ("bob@example.org", {}),
            ("cleo@example.org", {"stream": "bulk"}),
        ):
            await program.send(under=under, to=to, subject="Secret-subject", **more)
        await app.test_client().get("/healthz")
    assert tracing.installed() is None

    sink.faults.append(Fault("rcpt", "550 5.1.1 no such mailbox", recipient="bob@example.org"))
    traces = OpenTelemetry(exporting_to(collector.url, "worker"))
    post = make(spans=traces)
    async with post.database.begin() as work:
        query = text("select recipient, id, traceparent from mails order by recipient")
        mails = {row[0].partition("@")[0]: (row[1], row[2]) for row in await work.session.execute(query)}
    for name in ("ann", "bob"):
        await post.delivery.deliver(mails[name][0])
    await post.delivery.deliver_many([mails["cleo"][0]])
    for _ in range(100):
        if len(sink.accepted) == 2 and not post.delivery.in_hand:
            break
        await asyncio.sleep(0.05)
    traces.close()

    requests = {span.span_id.hex(): span for span in collector.named("POST /api/v1/emails")}
    assert len(requests) == 3 and not [span for span in collector.spans if "healthz" in span.name]
    assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in requests.values()} == {(TRACE, CALLER)}
    sent = {_facts(span)["mailroom.mail.id"]: span for span in collector.named("deliver mail")}
    ann, bob, cleo = (sent[str(mails[name][0])] for name in ("ann", "bob", "cleo"))
    for name, span in (("ann", ann), ("bob", bob)):
        assert mails[name][1] == f"00-{TRACE}-{span.parent_span_id.hex()}-01"
        assert span.trace_id.hex() == TRACE and span.parent_span_id.hex() in requests
    assert _facts(ann)["mailroom.outcome"] == "sent" and _facts(ann)["mailroom.smtp.code"] == "250"
    assert _facts(bob)["mailroom.outcome"] == "failed" and bob.status.code == 2
    stages = [span.name for span in collector.spans if span.parent_span_id == ann.span_id]
    assert stages == ["connect", "sender and recipient", "content until the reply"]
    assert cleo.trace_id.hex() != TRACE and not cleo.parent_span_id
    [link] = cleo.links
    assert link.trace_id.hex() == TRACE and link.span_id.hex() in requests
    for word in (b"example.org", b"Secret-subject", b"no such mailbox"):
        assert word not in collector.raw, word


async def test_a_stranger_names_no_trace_and_no_method_and_an_errors_words_stay_here(
    settings: Settings, collector: Collector
) -> None:
    told = settings.model_copy(
        update={"public_url": "http://localhost", "otel_exporter_otlp_endpoint": collector.url}
    )
    stranger = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    async with create_web(told).test_app() as app:
        client = app.test_client()
        for headers in (stranger, {**stranger, "Authorization": "Bearer made-up"}):
            assert (await client.get("/api/v1/emails", headers=headers)).status_code in {401, 403}
        await client.get("/account", headers=stranger)
        await client.open("/account", method="BREW-123", headers=stranger)
        await client.get("/api/v1/emails?tag=%00", headers=stranger)  # refused before anything else is asked
        traces = tracing.installed()
        assert traces is not None
        with pytest.raises(ValueError, match="zoe"), traces.span("SMTP DATA"):
            raise ValueError("zoe@example.org does not exist")
    names = sorted(span.name for span in collector.spans)
    assert names == ["GET /account", *["GET /api/v1/emails"] * 3, "HTTP", "SMTP DATA"], names
    assert not [span for span in collector.spans if span.trace_id.hex() == TRACE or span.parent_span_id]
    assert _facts(collector.named("HTTP")[0])["http.request.method"] == "_OTHER"
    [failed] = collector.named("SMTP DATA")
    assert (failed.status.code, failed.status.message) == (2, "ValueError")
    assert b"zoe" not in collector.raw and b"BREW" not in collector.raw


class BrokenSpans:
    """Makes spans with a fault."""

    def attempt_ended(self, attempt: RunningAttempt, recorded: RecordedState) -> None:
        raise RuntimeError("no spans today")


async def test_a_fault_in_tracing_is_logged_and_the_mails_end_is_shown_all_the_same(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    post = make(spans=BrokenSpans())
    mail_id = await post.promise()
    shown = await post.delivery.deliver(mail_id)
    assert shown is not None and shown.final
    assert post.states(mail_id)[-1] == "sent/accepted"
    assert f"an attempt of mail {mail_id} is missing in the traces" in caplog.text


def test_a_collector_that_does_not_answer_holds_up_no_stop(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = OpenTelemetry(exporting_to(f"http://127.0.0.1:{silent.getsockname()[1]}", "worker"))
        with traces.span("a request"):
            pass
        began = time.monotonic()
        traces.close()
        assert time.monotonic() - began < 3.5
    assert "the collector did not answer in time" in caplog.text


def _facts(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in span.attributes}


def test_without_a_collector_nothing_that_traces_is_loaded(environment: dict[str, str]) -> None:
    # redis-py loads OpenTelemetry's metrics by itself where they are installed, as they are here.
    code = (
        "import sys, mailroom.asgi, mailroom.worker, mailroom.bootstrap.submission\n"
        "ours = ('mailroom.ops.observability.otel', 'mailroom.web.tracing', 'opentelemetry.exporter.otlp')\n"
        "print([name for name in ours if name in sys.modules])"
    )
    run = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
