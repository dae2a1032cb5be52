"""Makes pages: fills a template with its values and with those of the layout."""

from typing import Any

from jinja2 import Environment
from quart import Response, g, request

from mailroom.web.app_links import links_for
from mailroom.web.browser import client, current_session, services
from mailroom.web.parts import current
from mailroom.web.security import hide_address, is_trustworthy
from mailroom.web.site_path import in_pages


async def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page; the session is looked up for the head of the page."""
    return _render(template, status, viewer=await current_session(), **values)


async def page_without_lookup(template: str, status: int, **values: Any) -> Response:
    """Return a page without asking the database, which may be broken."""
    return _render(template, status, viewer=g.get("mailroom_session"), **values)


async def visitor_page(template: str, **values: Any) -> Response:
    """Return a page as somebody who is not signed in sees it."""
    return _render(template, 200, viewer=None, **values)


def _render(template: str, status: int, **values: Any) -> Response:
    values.setdefault("has_inbox", services().settings.mailroom_inbox is not None)
    values.setdefault("app_links", links_for(values["viewer"], services()))
    values.setdefault("takes_strangers", services().settings.registration_rule.takes_strangers)
    text = (
        current(Environment)
        .get_template(template)
        .render(path=request.path, query=request.query_string.decode(errors="replace"), **values)
    )
    return Response(in_pages(text, services().settings.site_path), status, content_type="text/html; charset=utf-8")


def redirect(address: str) -> Response:
    """Redirect the browser to `address` with a GET (303)."""
    return Response("", 303, headers={"Location": address})


def keep_private(response: Response) -> Response:
    """Return `response`, whose page has a token in its address, such that the token is sent nowhere else."""
    asked = client()
    return hide_address(response, secure=is_trustworthy(asked.scheme, asked.host))
