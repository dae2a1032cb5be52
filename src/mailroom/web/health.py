"""For platforms: is the process alive, is it ready, and its metrics."""

import asyncio
import hmac
from importlib import import_module

from quart import Blueprint, Response, abort, json, request
from quart_schema import hide

from mailroom.desk.alerts.book import current_alerts
from mailroom.web.browser import services
from mailroom.web.parts import current
from mailroom.web.rate_limits.store import LimitStore
from mailroom.web.readiness import AWAY, OK, PATIENCE, Readiness

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@blueprint.get("/up")  # where Kamal and Rails hosts look
@hide
async def healthz() -> Response:
    """Say that this process is alive, without asking any other server."""
    return _json({"alive": True}, 200)


@blueprint.get("/readyz")
@hide
async def readyz() -> Response:
    """Say whether PostgreSQL takes writes and Redis answers: 200, or 503 with what is wrong.

    With `?deep` the answer is also 503 while an alert fires, and names its rule. That is for monitoring: no host
    should take a web process out of service because no worker runs.
    """
    asked = current(Readiness).of_database(), current(LimitStore).ping(PATIENCE)
    database, redis = await asyncio.gather(*asked)
    checks = {"database": database, "redis": OK if redis else AWAY}
    ready = database == OK and redis
    if "deep" in request.args and database == OK:
        async with services().database.begin_plain() as work:
            firing = [alert.rule for alert in await current_alerts(work) if alert.firing]
        return _json({"ready": ready, "checks": checks, "alerts": firing}, 200 if ready and not firing else 503)
    return _json({"ready": ready, "checks": checks}, 200 if ready else 503)


@blueprint.get("/metrics")
@hide
async def metrics() -> Response:
    """Return the metrics for Prometheus to `Authorization: Bearer <METRICS_TOKEN>`; 404 to everyone else."""
    token = services().settings.metrics_token.get_secret_value()
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        abort(404)
    body: bytes = await import_module("mailroom.ops.observability.metrics").render(
        services()
    )  # imported only when it is used
    return Response(body, content_type="text/plain; version=0.0.4; charset=utf-8")


def _json(body: object, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
