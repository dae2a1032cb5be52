"""The key of a request: who asks, and whether its scope allows it."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from quart import g, request
from quart_schema import security_scheme

from mailroom.api_keys.errors import InvalidKey, MissingKey, RestrictedKey
from mailroom.api_keys.keys import Key
from mailroom.desk.audit_log import Actor
from mailroom.web.api.queries import check_parameters
from mailroom.web.browser import client_address, services
from mailroom.web.openapi.document import KEY

View = TypeVar("View", bound=Callable[..., Awaitable[Any]])

SENDS, READS, ADMINISTERS = "sends", "reads", "administers"
LOOKS_AT_ALL, ACTS_ON_ALL = "looks at all", "acts on all"
ALLOWED = {
    SENDS: frozenset({"sending", "full"}),
    READS: frozenset({"sending", "read", "full"}),
    ADMINISTERS: frozenset({"full"}),
    LOOKS_AT_ALL: frozenset({"read", "full"}),
    ACTS_ON_ALL: frozenset({"full"}),
}
"""What a route does → the scopes that allow it. A key of scope `sending` reads its own mails only."""
OF_ALL = frozenset({LOOKS_AT_ALL, ACTS_ON_ALL})
"""What the desk does. It concerns everybody's mails, so keys that see only their own mails are refused."""


def needs_key(what: str) -> Callable[[View], View]:
    """Mark a route that only programs with a key may use. Raises `MissingKey`, `InvalidKey`, `RestrictedKey`.

    The query is checked after the key: see `queries.py`.
    """

    def mark(view: View) -> View:
        @wraps(view)
        async def guarded(*arguments: Any, **options: Any) -> Any:
            key = await current_key()
            if key.scope not in ALLOWED[what]:
                scopes = ", ".join(sorted(ALLOWED[what]))
                raise RestrictedKey(f"This API key has the scope `{key.scope}`. This needs one of: {scopes}.")
            if what in OF_ALL and key.sees_only_its_own:
                raise RestrictedKey(
                    "This API key is bound to a domain or is a test key. The desk shows everybody's."
                )
            check_parameters()
            return await view(*arguments, **options)

        documented: View = security_scheme([{KEY: []}])(guarded)  # type: ignore[assignment]  # as mark got it
        return documented

    return mark


async def current_key() -> Key:
    """Return the key of this request; the first call looks it up. Raises `MissingKey`, `InvalidKey`."""
    if "mailroom_key" not in g:
        g.mailroom_key = await services().api_keys.authenticate(_secret())
    found: Key = g.mailroom_key
    return found


def actor_of(key: Key) -> Actor:
    """Return the key as the audit log has it."""
    return Actor("key", key.name, key.id, client_address())


def _secret() -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        raise MissingKey
    if scheme.lower() != "bearer" or not secret.strip():
        raise InvalidKey
    return secret.strip()
