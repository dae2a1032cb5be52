"""The web application: its blueprints, and what applies to all of them."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask.sansio.blueprints import Blueprint
from jinja2 import Environment
from quart import Quart, Response
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.routing import MapAdapter

from mailroom.services import Services
from mailroom.web import errors, health, recent_sign_in, security
from mailroom.web.api import api_keys, mail_actions, tasks, webhooks
from mailroom.web.api import mails as mail_search_api
from mailroom.web.api.desk import ROOMS as DESK_API
from mailroom.web.api.emails import routes as emails
from mailroom.web.api.emails.payload import LargeTurn
from mailroom.web.api.waits import Waits
from mailroom.web.app_pages import add_apps
from mailroom.web.brand_files import brand_files
from mailroom.web.browser import write_cookie
from mailroom.web.desk import (
    access,
    alerts,
    audit,
    branding,
    bulk,
    failures,
    invitations,
    keys,
    mail,
    overview,
    people,
    trial_mail,
    workers,
)
from mailroom.web.desk import mails as desk_mails
from mailroom.web.desk import tasks as desk_tasks
from mailroom.web.desk import webhooks as desk_webhooks
from mailroom.web.embed import routes as embed
from mailroom.web.embed import tasks as external_tasks
from mailroom.web.language import choose_language, tell_language
from mailroom.web.link_endings import shorten_links
from mailroom.web.openapi.document import document
from mailroom.web.page_templates import page_templates
from mailroom.web.pages import (
    account,
    accounts,
    address,
    api_docs,
    confirm,
    home,
    language,
    leaving,
    mails,
    password,
    providers,
    second_step,
    security_history,
)
from mailroom.web.pages import tasks as task_pages
from mailroom.web.pages.settings import confirm as recent
from mailroom.web.pages.settings import data, factors, passkeys, profile, sessions
from mailroom.web.parts import provide
from mailroom.web.rate_limits import limits
from mailroom.web.rate_limits.store import LimitStore
from mailroom.web.readiness import Readiness
from mailroom.web.refused import drop_cookie
from mailroom.web.requests import read_requests
from mailroom.web.site_path import SitePath, check_path
from mailroom.web.static_files import StaticFiles, serve_static

ANY_NAME = "localhost"


class _Application(Quart):
    """Quart, but it starts no thread for each page and does not choose a route by the Host header."""

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Return the adapter that finds the route of a request. The routes are the same under every host name.

        Werkzeug raises for an invalid Host, and Quart answers that with 500. `security.guard` has the right
        answer, but runs later.
        """
        if request is None:
            return super().create_url_adapter(None)
        query = request.query_string.decode(errors="replace")
        place = request.root_path, None, request.scheme, request.method, request.path, query
        return self.url_map.bind(ANY_NAME, *place)

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Add a blueprint without Flask's context processor: it is no coroutine, so Quart would start a thread.

        Quart has its own context processor for the whole application.
        """
        super().register_blueprint(blueprint, **options)
        processors = self.template_context_processors[blueprint.name]
        processors[:] = [one for one in processors if one.__module__ != "flask.templating"]


def create_app(services: Services) -> Quart:
    """Return the web application over `services`, which the caller opens and closes.

    It opens its own connection to Redis, for the rate limits, when needed and closes it after serving. Raises
    `SettingsError` where the pages of an app cannot be loaded.
    """
    settings = services.settings
    app = _Application("mailroom.web", root_path=str(Path(__file__).parent), static_folder=None)
    provide(app, Services, services)
    provide(app, Waits, Waits())
    provide(app, LargeTurn, LargeTurn())
    provide(app, Readiness, Readiness(services.database))
    provide(app, overview.Readings, overview.Readings(services.database))
    app.url_map.strict_slashes = False
    files = StaticFiles(brand_files(settings.brand))
    provide(app, StaticFiles, files)
    provide(app, Environment, page_templates(settings.brand, files, services.apps.folders("templates")))
    app.before_request(choose_language)
    app.before_websocket(choose_language)
    app.after_request(tell_language)
    app.after_request(stay_on_this_site)

    security.protect(app, settings)
    read_requests(app)
    shorten_links(app)
    serve_static(app, files)
    store = LimitStore(settings.limits)
    limits.limit(app, store)
    access.protect(app)
    errors.handle(app)
    recent_sign_in.handle(app)
    app.after_request(write_cookie)
    app.after_request(drop_cookie)
    document(app)
    for room in (
        health,
        home,
        accounts,
        confirm,
        password,
        mails,
        account,
        address,
        language,
        leaving,
        security_history,
        second_step,
        providers,
        recent,
        factors,
        passkeys,
        profile,
        sessions,
        data,
        task_pages,
        tasks,
        emails,
        mail_search_api,
        mail_actions,
        api_keys,
        webhooks,
        *DESK_API,
        embed,
        external_tasks,
        overview,
        workers,
        alerts,
        api_docs,
        desk_mails,
        bulk,
        mail,
        failures,
        desk_tasks,
        people,
        keys,
        invitations,
        audit,
        desk_webhooks,
        branding,
        trial_mail,
    ):
        app.register_blueprint(room.blueprint)
    add_apps(app, services)
    if settings.mailroom_inbox is not None:
        from mailroom.web.pages import inbox  # for the embedded stack; other processes load nothing of it

        app.register_blueprint(inbox.make_blueprint(settings.mailroom_inbox))
    if settings.site_path:
        check_path(settings.site_path, app.url_map)
        app.asgi_app = SitePath(app.asgi_app, settings.site_path)  # type: ignore[method-assign,assignment]
    return app


async def stay_on_this_site(response: Response) -> Response:
    """Reduce a redirect of the router to its path: the browser knows the scheme and host that it uses."""
    where = urlsplit(response.headers.get("Location", ""))
    if where.netloc == ANY_NAME:
        query = f"?{where.query}" if where.query else ""
        response.headers["Location"] = "/" + where.path.lstrip("/") + query
    return response
