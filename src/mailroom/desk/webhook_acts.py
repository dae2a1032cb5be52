"""Acts on webhooks, for desk, API and shell: each is noted in the audit log."""

from collections.abc import Sequence
from uuid import UUID

from mailroom.api_keys.keys import Key
from mailroom.desk.audit_log import Actor, AuditLog
from mailroom.kit.database import Database, UnitOfWork
from mailroom.webhooks.endpoints import Webhooks
from mailroom.webhooks.models import WebhookEndpoint


class WebhookActs:
    """Adds, changes and removes endpoints, and sends deliveries again, with the entry in the audit log.

    If a `key` is given, only endpoints that it may see can be changed: see `Webhooks`. All raise `UnknownWebhook`.
    """

    def __init__(self, database: Database, webhooks: Webhooks, audit_log: AuditLog) -> None:
        self._database = database
        self._webhooks = webhooks
        self._audit_log = audit_log

    async def create(
        self, actor: Actor, url: str, events: Sequence[str], *, key: Key | None = None
    ) -> tuple[WebhookEndpoint, str]:
        """Make an endpoint; return it and its signing secret. Raises as `Webhooks.create` does."""
        async with self._database.begin() as work:
            endpoint, secret = await self._webhooks.create(work, url, events, key=key)
            await self._note(work, actor, "webhook.created", endpoint.id)
        return endpoint, secret

    async def change(
        self,
        actor: Actor,
        webhook_id: UUID,
        *,
        key: Key | None = None,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change what is given. Raises as `Webhooks.change` does."""
        async with self._database.begin() as work:
            endpoint = await self._webhooks.get(work, webhook_id, key)
            await self._webhooks.change(work, endpoint, url=url, events=events, enabled=enabled)
            await self._note(work, actor, "webhook.changed", endpoint.id)

    async def remove(self, actor: Actor, webhook_id: UUID, *, key: Key | None = None) -> None:
        """Remove an endpoint and its deliveries."""
        async with self._database.begin() as work:
            endpoint = await self._webhooks.get(work, webhook_id, key)
            await self._webhooks.remove(work, endpoint)
            await self._note(work, actor, "webhook.removed", endpoint.id)

    async def replay(self, actor: Actor, webhook_id: UUID, delivery_id: UUID, *, key: Key | None = None) -> None:
        """Send a delivery again, under its id. Raises `UnknownDelivery`."""
        async with self._database.begin() as work:
            endpoint = await self._webhooks.get(work, webhook_id, key)
            await self._webhooks.replay(work, endpoint, delivery_id)
            await self._note(work, actor, "webhook.replayed", endpoint.id)

    async def _note(self, work: UnitOfWork, actor: Actor, action: str, webhook_id: UUID) -> None:
        await self._audit_log.write(work, actor, action, target="webhook", target_id=webhook_id)
