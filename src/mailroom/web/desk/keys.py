"""API keys: a list with the mails of each, a form that makes one, and revoking one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from quart import Blueprint, Response, abort, request

from mailroom.api_keys.errors import UnknownKey
from mailroom.api_keys.keys import SCOPES
from mailroom.api_keys.models import ApiKey, KeyRefusal
from mailroom.desk.key_traffic import KeyTraffic, key_traffic
from mailroom.i18n.code_words import SCOPES as SCOPE_WORDS
from mailroom.i18n.code_words import labelled, word_of
from mailroom.i18n.formats import listed, number
from mailroom.i18n.messages import gettext, translated
from mailroom.kit.ids import parse_id
from mailroom.web.browser import services
from mailroom.web.desk.access import actor_of, operator
from mailroom.web.desk.frame import desk_page
from mailroom.web.desk.key_form import MESSAGES, key_request
from mailroom.web.forms.fields import Invalid, sent_values
from mailroom.web.page import redirect
from mailroom.web.rate_limits import limits
from mailroom.web.refused import Refused, refuse, take, typed
from mailroom.web.views.words import STATES

blueprint = Blueprint("desk_keys", __name__, url_prefix="/desk")


@dataclass(frozen=True, slots=True)
class Line:
    """One key, its limits, and the mails of its newest messages of the last 24 hours by state, all in words."""

    key: ApiKey
    limits: str
    traffic: str
    newest: int | None = None
    """How many messages were counted, if there are more; else None."""
    refusal: KeyRefusal | None = None
    """The key's newest request that was refused."""

    @classmethod
    def of(cls, key: ApiKey, counts: Mapping[UUID, KeyTraffic], refusal: KeyRefusal | None = None) -> Self:
        """Return the line of a key."""
        known = counts.get(key.id, KeyTraffic())
        states = [labelled(translated(STATES[state].word), number(n)) for state, n in known.states.most_common()]
        return cls(key, _limits(key), listed(states), known.newest, refusal)


def _limits(key: ApiKey) -> str:
    """Return how much a key may send: `10 a minute, 500 a day`; empty if it has no limit."""
    said: list[str] = []
    if key.per_minute:
        said.append(gettext("%(number)s a minute", number=number(key.per_minute)))
    if key.per_hour:
        said.append(gettext("%(number)s an hour", number=number(key.per_hour)))
    if key.per_day:
        said.append(gettext("%(number)s a day", number=number(key.per_day)))
    return listed(said)


@blueprint.get("/keys")
async def keys() -> Response:
    """List the keys; operators get the form that makes one, too."""
    return await _page(take())


async def _page(refused: Refused) -> Response:
    revoked = "revoked" in request.args
    async with services().database.begin() as work:
        rows = await services().api_keys.list(work, revoked=revoked)
        counts = await key_traffic(work, [row.id for row in rows])
        refusals = await services().key_refusals.last_of(work, [row.id for row in rows])
    return await desk_page(
        "desk/keys.html",
        refused.status,
        lines=[Line.of(row, counts, refusals.get(row.id)) for row in rows],
        revoked=revoked,
        scopes=[(scope, word_of(scope, SCOPE_WORDS)) for scope in SCOPES],
        values=refused.values,
        messages=refused.messages,
    )


@blueprint.get("/keys/<key_id>")
async def one_key(key_id: str) -> Response:
    """Show a key with its mails of the last 24 hours, and its requests that were refused."""
    found = parse_id(key_id)
    if found is None:
        abort(404)
    async with services().database.begin() as work:
        try:
            row = await services().api_keys.get(work, found)
        except UnknownKey:
            abort(404)
        counts = await key_traffic(work, [found])
        refusals = await services().key_refusals.newest(work, found)
    return await desk_page("desk/key.html", line=Line.of(row, counts), refusals=refusals)


@blueprint.post("/keys")
@limits.limited(limits.CHANGE)
async def create() -> Response:
    """Make a key and show it, this once."""
    account, values = await operator(), await sent_values()
    try:
        wanted = key_request(values)
    except Invalid as error:
        return await refuse(error, _page, typed(values, *MESSAGES, "test"))
    async with services().database.begin() as work:
        row, secret = await services().api_keys.create(work, wanted, owner_id=account.id)
        await services().audit_log.write(
            work, actor_of(account), "key.created", target="key", target_id=row.id, details={"scope": row.scope}
        )
    made = await desk_page("desk/made_key.html", 201, key=row, secret=secret)
    made.headers["Cache-Control"] = "no-store"
    return made


@blueprint.post("/keys/<key_id>/revoke")
@limits.limited(limits.CHANGE)
async def revoke(key_id: str) -> Response:
    """Revoke a key: it stops within seconds, in every process."""
    account, found = await operator(), parse_id(key_id)
    if found is None:
        abort(404)
    async with services().database.begin() as work:
        try:
            row = await services().api_keys.get(work, found)
        except UnknownKey:
            abort(404)
        if row.revoked_at is None:
            await services().api_keys.revoke(work, found)
            await services().audit_log.write(work, actor_of(account), "key.revoked", target="key", target_id=found)
    return redirect("/desk/keys")
