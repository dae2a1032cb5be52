"""The audit log, newest first, in pages; on request only the entries of one actor or one target."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from quart import Blueprint, Response, request

from mailroom.desk.models import AuditEntry
from mailroom.kit.database import LARGEST_BIGINT
from mailroom.kit.ids import parse_id
from mailroom.web.browser import services
from mailroom.web.desk.access import masked, staff
from mailroom.web.desk.frame import desk_page

blueprint = Blueprint("desk_audit", __name__, url_prefix="/desk")

SHOWN = 50
"""Entries on a page."""
LONGEST = 100
"""Characters of a target's id."""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, as far as the reader may see it."""

    at: datetime
    actor: str
    actor_name: str
    actor_href: str | None
    action: str
    target: str
    target_id: str
    target_href: str | None
    client: str | None
    details: str


def _line(entry: AuditEntry, *, whole: bool) -> Line:
    details = ", ".join(f"{name}: {value}" for name, value in sorted(entry.details.items()))
    seen = str if whole else masked
    return Line(
        entry.at,
        entry.actor,
        seen(entry.actor_name),
        f"/desk/audit?{urlencode({'actor': entry.actor_id})}" if entry.actor_id else None,
        entry.action,
        entry.target or "",
        seen(entry.target_id or ""),
        f"/desk/audit?{urlencode({'target': entry.target_id})}" if entry.target_id else None,
        entry.client if whole else None,
        seen(details),
    )


@blueprint.get("/audit")
async def audit() -> Response:
    """Show a page of the log. A viewer sees no full mail address and no client's address."""
    account = await staff()
    actor = parse_id(request.args.get("actor", ""))
    target = request.args.get("target", "")[:LONGEST] or None
    before = _number(request.args.get("before", ""))
    async with services().database.begin() as work:
        found = await services().audit_log.entries(
            work, actor_id=actor, target_id=target, before=before, limit=SHOWN + 1
        )
    filters = {name: str(value) for name, value in (("actor", actor), ("target", target)) if value}
    last = found[SHOWN - 1].id if len(found) > SHOWN else None
    return await desk_page(
        "desk/audit.html",
        lines=[_line(entry, whole=account.is_operator) for entry in found[:SHOWN]],
        filtered=bool(filters),
        newest=f"/desk/audit?{urlencode(filters)}" if filters else "/desk/audit",
        older=f"/desk/audit?{urlencode({**filters, 'before': last})}" if last else None,
        paged=before is not None,
    )


def _number(text: str) -> int | None:
    return min(int(text), LARGEST_BIGINT) if text.isascii() and text.isdigit() and len(text) < LONGEST else None
