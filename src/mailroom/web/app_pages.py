"""The pages of apps: their blueprints, under the rules of our own, and what their finished tasks offer."""

from typing import Any

from flask.sansio.blueprints import Blueprint
from quart import Quart

from mailroom.apps.app import TaskKind
from mailroom.apps.installed import InstalledApp
from mailroom.apps.places import thing_of
from mailroom.i18n.messages import gettext
from mailroom.services import Services, serve
from mailroom.settings import SettingsError
from mailroom.tasks.models import Task
from mailroom.web.pages.results import ResultBlock, ResultBlocks
from mailroom.web.parts import part_of, provide
from mailroom.web.rate_limits.limits import limits_of
from mailroom.web.security import SAFE_METHODS


def add_apps(app: Quart, services: Services) -> None:
    """Give `app` the pages of all apps. Raises `SettingsError` where a blueprint is missing or breaks a rule."""
    provide(app, ResultBlocks, ResultBlocks())
    if not services.apps:
        return

    async def serve_apps() -> None:
        serve(services)

    app.before_request(serve_apps)
    for installed in services.apps:
        for place in installed.app.blueprints:
            _add_blueprint(app, installed, thing_of(place, installed.who))
        for kind in installed.app.tasks:
            if kind.result_template:
                part_of(app, ResultBlocks)[kind.name] = _block(installed, kind)


def _add_blueprint(app: Quart, installed: InstalledApp, blueprint: Any) -> None:
    if not isinstance(blueprint, Blueprint):
        raise SettingsError(
            [gettext("%(who)s: this is no blueprint: %(name)s", who=installed.who, name=blueprint)]
        )
    before = {rule.rule: rule for rule in app.url_map.iter_rules()}
    ours = set(map(id, app.url_map.iter_rules()))
    try:
        app.register_blueprint(blueprint)
    except ValueError as error:
        raise SettingsError([f"{installed.who}: {error}"]) from None
    for rule in app.url_map.iter_rules():
        if id(rule) in ours:
            continue
        if rule.rule in before:
            words = gettext("%(who)s: the address %(path)s is taken already.", who=installed.who, path=rule.rule)
            raise SettingsError([words])
        if rule.websocket:  # nothing would check the origin of its handshake
            words = gettext(
                "%(who)s: %(path)s is a websocket, which apps cannot have.", who=installed.who, path=rule.rule
            )
            raise SettingsError([words])
        changing = sorted((rule.methods or set()) - SAFE_METHODS)
        if changing and not limits_of(app.view_functions[rule.endpoint]):
            words = gettext(
                "%(who)s: %(method)s %(path)s has no rate limit. Put @limited(CHANGE) above its function.",
                who=installed.who,
                method=changing[0],
                path=rule.rule,
            )
            raise SettingsError([words])


def _block(installed: InstalledApp, kind: TaskKind) -> ResultBlock:
    values = thing_of(kind.result_values, installed.who) if kind.result_values else None

    async def values_of(task: Task) -> dict[str, Any]:
        found: dict[str, Any] = await values(task.id) if values else {}
        return found

    return ResultBlock(kind.result_template, values_of)
