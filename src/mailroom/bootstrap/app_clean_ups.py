"""The clean-ups of apps, for the sweep."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from mailroom.apps.places import thing_of
from mailroom.services import Services, serving

logger = logging.getLogger(__name__)

CleanUp = Callable[[], Awaitable[None]]


def app_clean_ups(services: Services) -> list[CleanUp]:
    """Import the clean-ups and return them. Raises `SettingsError`. One that fails is logged; the others run."""
    return [
        partial(_run, services, f"{app.name}: {place}", thing_of(place, app.who))
        for app in services.apps
        for place in app.app.clean_ups
    ]


async def _run(services: Services, name: str, clean_up: CleanUp) -> None:
    try:
        with serving(services):
            await clean_up()
    except Exception:
        logger.exception("the clean-up of the app %s failed; it is tried again in ten minutes", name)
