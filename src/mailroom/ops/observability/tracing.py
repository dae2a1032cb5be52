"""Starts OpenTelemetry if OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise nothing of it is loaded."""

from typing import TYPE_CHECKING

from mailroom.kit import tracing
from mailroom.settings import Settings

if TYPE_CHECKING:
    from mailroom.ops.observability.otel import OpenTelemetry


def start_tracing(settings: Settings, role: str) -> "OpenTelemetry | None":
    """Have this process trace as ``mailroom <role>``; return None if tracing is off. The caller closes it."""
    if not settings.otel_exporter_otlp_endpoint:
        return None
    from mailroom.ops.observability.otel import OpenTelemetry, exporting_to

    started = OpenTelemetry(exporting_to(settings.otel_exporter_otlp_endpoint, role))
    tracing.install(started)
    return started
