"""The frame of every page of the desk: navigation, alerts, and what the reader may do."""

from typing import Any

from quart import Response, current_app, request

from mailroom.desk.alerts.book import current_alerts
from mailroom.i18n.messages import gettext_noop, translated
from mailroom.kit import clock
from mailroom.web.browser import services
from mailroom.web.desk.access import staff
from mailroom.web.desk.alert_lines import in_frame
from mailroom.web.page import page

NAVIGATION = (
    ("/desk", gettext_noop("Overview")),
    ("/desk/mails", gettext_noop("Mails")),
    ("/desk/failures", gettext_noop("Failures")),
    ("/desk/tasks", gettext_noop("Tasks")),
    ("/desk/workers", gettext_noop("Workers")),
    ("/desk/people", gettext_noop("People")),
    ("/desk/alerts", gettext_noop("Alerts")),
    ("/desk/keys", gettext_noop("Keys")),
    ("/desk/webhooks", gettext_noop("Webhooks")),
    ("/desk/invitations", gettext_noop("Invitations")),
    ("/desk/audit", gettext_noop("Audit log")),
    ("/desk/branding", gettext_noop("Branding")),
    ("/desk/test-mail", gettext_noop("Test mail")),
)
"""The sections of the desk, in order. A section without a route is left out."""
FOR_OPERATORS = frozenset({"/desk/test-mail"})


async def desk_page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page of the desk; 404 for those without a role.

    Its template extends `desk/layout.html` and gets `acts`: True if the reader may change something. Every page
    shows the current alerts; a page that shows them itself passes `in_frame=False`.
    """
    account = await staff()
    values.setdefault("acts", account.is_operator)
    if values.pop("in_frame", True):
        async with services().database.begin_plain() as work:
            values["alerts"] = in_frame(await current_alerts(work), clock.now())
    return await page(template, status, rooms=_rooms(operator=account.is_operator), **values)


def _rooms(*, operator: bool) -> list[tuple[str, str, str | None]]:
    """Return address, label and `aria-current` of each section that the reader may open."""
    there = {rule.rule for rule in current_app.url_map.iter_rules()}
    return [
        (path, translated(label), _current(path))
        for path, label in NAVIGATION
        if path in there and (operator or path not in FOR_OPERATORS)
    ]


def _current(path: str) -> str | None:
    if request.path.rstrip("/") == path:
        return "page"
    return "true" if path != "/desk" and request.path.startswith(f"{path}/") else None
