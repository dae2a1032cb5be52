"""The page that shows the API: its OpenAPI document, for people."""

from collections.abc import Sequence

from quart import Blueprint, Response, current_app

from mailroom.web.browser import services
from mailroom.web.openapi import sample as api_sample
from mailroom.web.openapi.document import current_document
from mailroom.web.openapi.reference import Subject, subjects_of
from mailroom.web.page import page
from mailroom.web.program_answers import MEANINGS
from mailroom.web.rate_limits.limits import READ, limited_reads

blueprint = Blueprint("api_docs", __name__)

_KEPT = "mailroom_api_docs"


@blueprint.get("/api/docs")
@limited_reads(READ)
async def api_docs() -> Response:
    """Show every route of the API, with what it takes and answers."""
    return await page(
        "api_docs.html",
        base=f"{services().settings.public_url}/api/v1",
        sender=services().settings.from_header,
        sample=api_sample,
        subjects=_subjects(),
        errors=[(name, status, meaning) for name, (status, meaning) in MEANINGS.items()],
    )


def _subjects() -> Sequence[Subject]:
    """Return the document as the page shows it. The application makes it once, since its routes do not change."""
    kept = current_app.extensions
    if _KEPT not in kept:
        kept[_KEPT] = subjects_of(current_document())
    found: Sequence[Subject] = kept[_KEPT]
    return found
