"""Commands of the shell that need the services."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from mailroom.cli.with_services import with_services
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services, serving

Result = TypeVar("Result")


def run(work: Callable[[], Awaitable[Result]]) -> Result:
    """Return what `work` returns, a coroutine function that may call `services()`; for a click command.

    Trouble with settings or the database becomes a sentence and an exit code, as in Mailroom's own commands.
    """
    entrypoints = click.get_current_context().find_object(Entrypoints)
    assert entrypoints is not None

    async def serve(services: Services) -> Result:
        with serving(services):
            return await work()

    return with_services(entrypoints, serve)
