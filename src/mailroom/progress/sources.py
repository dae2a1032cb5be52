"""The poller's two sources: the result backend has the latest news, the rows decide."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from mailroom.progress.snapshot import Snapshot


class Results(Protocol):
    """The result backend, as Celery writes it."""

    def key_of(self, task: UUID) -> bytes:
        """Return the key under which a task's result is stored."""

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the stored bytes of each key, in one round trip."""

    def changes(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield keys whose result changed since it was read; first an empty list, once changes are reported.

        Raises if changes cannot be reported, or no longer can.
        """

    def decode(self, raw: bytes) -> Mapping[str, Any]:
        """Return Celery's meta of a stored result: `status` and `result` at least."""


@dataclass(frozen=True, slots=True)
class KnownSnapshot:
    """The snapshot that watchers have of a task; the rows are asked whether they know better."""

    task: UUID
    attempt: int
    step: int
    final: bool
    follow_up: str | None


Rows = Callable[[Sequence[KnownSnapshot]], Awaitable[Mapping[UUID, Snapshot]]]
"""Takes known snapshots and returns newer ones from the rows, by ticket. With a step of -1 any row is newer."""
