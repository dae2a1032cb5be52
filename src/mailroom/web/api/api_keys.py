"""`/api/v1/api-keys`, as Resend has it: make, list, revoke. For keys of scope `full` only."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Blueprint, Response, request
from quart_schema import document_querystring, document_request, document_response, operation_id, tag

from mailroom.api_keys.errors import InvalidKeyRequest, UnknownKey
from mailroom.api_keys.keys import Key, KeyRequest
from mailroom.api_keys.models import ApiKey
from mailroom.kit.domain_names import to_ascii
from mailroom.kit.ids import parse_id
from mailroom.web.api.emails.documents import refusals
from mailroom.web.api.keys import ADMINISTERS, actor_of, current_key, needs_key
from mailroom.web.api.queries import Cut, query_of
from mailroom.web.api.validation import in_words
from mailroom.web.browser import services
from mailroom.web.program_answers import answer
from mailroom.web.rate_limits.limits import API, limited_reads

blueprint = Blueprint("api_keys", __name__, url_prefix="/api/v1/api-keys")

SCOPES = {"full_access": "full", "sending_access": "sending", "read_access": "read"}
"""Resend's `permission` → our scope."""
PERMISSIONS = {scope: permission for permission, scope in SCOPES.items()}


class KeyBody(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str
    permission: str = Field("full_access", description="full_access, sending_access or read_access")
    domain: str | None = Field(None, description="the only domain that it may send From")
    domains: list[str] = []
    origins: list[str] = Field([], description="pages that may show where its mails are")
    test: bool = False
    per_minute: int | None = None
    per_hour: int | None = None
    per_day: int | None = None


class MadeKey(BaseModel):
    """A new key. Its token is shown only this once."""

    id: str
    token: str


class ListedKey(BaseModel):
    """A key as lists show it."""

    id: str
    name: str
    created_at: str
    last_used_at: str | None
    permission: str
    start: str = Field(description="its first characters")
    domains: list[str]
    origins: list[str]
    test: bool


class ListedKeys(BaseModel):
    """The keys that are not revoked."""

    object: str = "list"
    has_more: bool
    data: list[ListedKey]


class RevokedKey(BaseModel):
    """The key that was revoked."""

    object: str = "api_key"
    id: str
    deleted: bool = True


@blueprint.post("")
@limited_reads(API)
@operation_id("createApiKey")
@tag(["api keys"])
@document_request(KeyBody)
@document_response(MadeKey, 201)
@refusals
@needs_key(ADMINISTERS)
async def create() -> Response:
    """Make a key. Its token is shown only in this answer."""
    key = await current_key()
    wanted = _request(await request.get_json())
    _check_not_wider(key, wanted)
    async with services().database.begin() as work:
        row, secret = await services().api_keys.create(work, wanted, owner_id=key.owner_id)
        await services().audit_log.write(
            work, actor_of(key), "key.created", target="key", target_id=row.id, details={"scope": row.scope}
        )
    return answer({"id": str(row.id), "token": secret}, 201)


@blueprint.get("")
@limited_reads(API)
@operation_id("listApiKeys")
@tag(["api keys"])
@document_querystring(Cut)
@document_response(ListedKeys, 200)
@refusals
@needs_key(ADMINISTERS)
async def list_all() -> Response:
    """List the keys that are not revoked, the newest first."""
    key = await current_key()
    async with services().database.begin() as work:
        rows = await services().api_keys.list(work)
    seen, more = query_of(Cut).of([row for row in rows if _is_within(row, key)])
    return answer({"object": "list", "has_more": more, "data": [_listed(row) for row in seen]})


@blueprint.delete("/<key_id>")
@limited_reads(API)
@operation_id("revokeApiKey")
@tag(["api keys"])
@document_response(RevokedKey, 200)
@refusals
@needs_key(ADMINISTERS)
async def revoke(key_id: str) -> Response:
    """Revoke a key. It stops within seconds, in every process."""
    key, found = await current_key(), parse_id(key_id)
    if found is None:
        raise UnknownKey
    async with services().database.begin() as work:
        row = await services().api_keys.get(work, found)
        if not _is_within(row, key):
            raise UnknownKey
        await services().api_keys.revoke(work, found)
        await services().audit_log.write(work, actor_of(key), "key.revoked", target="key", target_id=found)
    return answer({"object": "api_key", "id": str(found), "deleted": True})


def _request(value: Any) -> KeyRequest:
    if not isinstance(value, dict):
        raise InvalidKeyRequest("body", "Send a JSON object.")
    try:
        body = KeyBody.model_validate(value)
    except ValidationError as error:
        wrong = in_words(error)
        raise InvalidKeyRequest(wrong.field, str(wrong)) from None
    if body.permission not in SCOPES:
        raise InvalidKeyRequest("permission", f"Give one of {', '.join(SCOPES)}.")
    try:
        domains = [to_ascii(domain) for domain in (*([body.domain] if body.domain else []), *body.domains)]
    except ValueError:
        raise InvalidKeyRequest("domains", "A domain looks like example.org.") from None
    return KeyRequest(
        body.name,
        scope=SCOPES[body.permission],
        domains=domains,
        origins=body.origins,
        test=body.test,
        per_minute=body.per_minute,
        per_hour=body.per_hour,
        per_day=body.per_day,
    )


def _check_not_wider(key: Key, wanted: KeyRequest) -> None:
    """Raise `InvalidKeyRequest` where the new key could do what this one may not."""
    if key.test and not wanted.test:
        raise InvalidKeyRequest("test", "A test key makes test keys only.")
    if key.domains and not (wanted.domains and set(wanted.domains) <= set(key.domains)):
        raise InvalidKeyRequest("domains", f"This key makes keys for {', '.join(key.domains)} only.")


def _is_within(row: ApiKey, key: Key) -> bool:
    """Tell whether `key` may see and revoke the key of `row`.

    A key that is bound to domains may do so only for keys bound to some of these, a test key only for test keys.
    """
    if key.test and not row.test:
        return False
    return not key.domains or (bool(row.domains) and set(row.domains) <= set(key.domains))


def _listed(row: ApiKey) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "permission": PERMISSIONS[row.scope],
        "start": row.start,
        "domains": row.domains,
        "origins": row.origins,
        "test": row.test,
    }
