"""Webhook endpoints: made, changed, listed, removed; and their deliveries, each of which can be sent again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update

from mailroom.api_keys.keys import Key
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import new_id
from mailroom.kit.secret_box import SecretBox
from mailroom.webhooks import signing
from mailroom.webhooks.models import WebhookDelivery, WebhookEndpoint
from mailroom.webhooks.payloads import TYPES
from mailroom.webhooks.targets import check_url

MOST = 50
"""The most endpoints in all."""
BY_HAND = "by hand"
REPLAY = """
update webhook_deliveries set state = 'waiting', next_at = now(), attempts = 0, ended_at = null, error = null
where id = %(id)s and endpoint_id = %(endpoint_id)s and next_at is null returning id
"""
DROP_WAITING = """
update webhook_deliveries set state = 'failed', error = 'disabled', next_at = null, ended_at = now()
where endpoint_id = %(id)s and next_at is not null returning id
"""


class UnknownWebhook(MailroomError):
    """There is no such webhook."""


class UnknownDelivery(MailroomError):
    """There is no such delivery, or it is being sent already."""


class InvalidWebhook(MailroomError):
    """A webhook cannot be like this. `field` names what to mend."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class Webhooks:
    """The endpoints. A key that sees only its own mails sees only its own endpoints."""

    def __init__(self, box: SecretBox, *, private: bool) -> None:
        """`private`: endpoints may be in private networks (WEBHOOK_PRIVATE_NETWORKS)."""
        self._box = box
        self._private = private

    def check(self, url: str) -> None:
        """Raise `InvalidUrl` or `ForbiddenTarget` for an address that no endpoint may have."""
        check_url(url, private=self._private)

    async def create(
        self, work: UnitOfWork, url: str, events: Sequence[str], *, key: Key | None
    ) -> tuple[WebhookEndpoint, str]:
        """Make an endpoint; return it and its signing secret.

        Raises `InvalidWebhook`, `InvalidUrl`, `ForbiddenTarget`.
        """
        self.check(url)
        _check_events(events)
        if len((await work.session.scalars(select(WebhookEndpoint.id).limit(MOST))).all()) >= MOST:
            raise InvalidWebhook("endpoint", f"There are {MOST} webhooks already; remove one first.")
        secret = signing.new_secret()
        endpoint = WebhookEndpoint(
            id=new_id(),
            url=url,
            events=sorted(set(events)),
            secret=self._box.close(secret),
            key_id=key.id if key else None,
            own_only=key.sees_only_its_own if key else False,
            owner_id=key.owner_id if key else None,
            created_at=clock.now(),
        )
        work.session.add(endpoint)
        await work.session.flush()
        return endpoint, signing.shown(secret)

    async def list(self, work: UnitOfWork, key: Key | None) -> Sequence[WebhookEndpoint]:
        """Return the endpoints that this key may see (none given: all), the newest first."""
        query = select(WebhookEndpoint).order_by(WebhookEndpoint.id.desc())
        if key and key.sees_only_its_own:
            query = query.where(WebhookEndpoint.key_id == key.id)
        return (await work.session.scalars(query)).all()

    async def get(self, work: UnitOfWork, webhook_id: UUID, key: Key | None) -> WebhookEndpoint:
        """Return one endpoint. Raises `UnknownWebhook`, also for another key's."""
        endpoint = await work.session.get(WebhookEndpoint, webhook_id)
        if endpoint is None or (key and key.sees_only_its_own and endpoint.key_id != key.id):
            raise UnknownWebhook
        return endpoint

    def secret_of(self, endpoint: WebhookEndpoint) -> str:
        """Return the signing secret as receivers configure it. Raises `CannotOpen`."""
        return signing.shown(self._box.open(endpoint.secret))

    async def change(
        self,
        work: UnitOfWork,
        endpoint: WebhookEndpoint,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change what is given. Raises `InvalidWebhook`, `InvalidUrl`, `ForbiddenTarget`."""
        values: dict[str, Any] = {}
        if url is not None:
            self.check(url)
            values["url"] = url
        if events is not None:
            _check_events(events)
            values["events"] = sorted(set(events))
        if enabled is True:
            values |= {"disabled_at": None, "disabled_reason": None, "failing_since": None}
        elif enabled is False and endpoint.disabled_at is None:
            values |= {"disabled_at": clock.now(), "disabled_reason": BY_HAND}
            await work.fetch(DROP_WAITING, {"id": endpoint.id})
        if values:
            await work.session.execute(
                update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id).values(**values)
            )

    async def remove(self, work: UnitOfWork, endpoint: WebhookEndpoint) -> None:
        """Remove an endpoint and its deliveries."""
        await work.session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))

    async def deliveries(
        self, work: UnitOfWork, endpoint: WebhookEndpoint, *, before: int | None = None, limit: int = 50
    ) -> Sequence[WebhookDelivery]:
        """Return the newest deliveries, those before the number `before` if given."""
        query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
        if before:
            query = query.where(WebhookDelivery.number < before)
        return (await work.session.scalars(query.order_by(WebhookDelivery.number.desc()).limit(limit))).all()

    async def replay(self, work: UnitOfWork, endpoint: WebhookEndpoint, delivery_id: UUID) -> None:
        """Send a delivery again, under its id. Raises `UnknownDelivery`."""
        if not await work.fetch(REPLAY, {"id": delivery_id, "endpoint_id": endpoint.id}):
            raise UnknownDelivery


def _check_events(events: Sequence[str]) -> None:
    unknown = sorted(set(events) - TYPES)
    if unknown or not events:
        raise InvalidWebhook("events", f"Give some of {', '.join(sorted(TYPES))}.")
