"""The links of apps in the head of every page."""

from mailroom.accounts.views import Session
from mailroom.apps.app import NavigationItem
from mailroom.i18n.messages import translated
from mailroom.services import Services


def links_for(viewer: Session | None, services: Services) -> list[tuple[str, str]]:
    """Return address and label of the links that this viewer is shown."""
    return [(item.path, translated(item.label)) for item in services.apps.navigation if _is_shown(item, viewer)]


def _is_shown(item: NavigationItem, viewer: Session | None) -> bool:
    account = viewer.account if viewer else None
    if item.audience == "everyone":
        return True
    return account is not None and (item.audience == "members" or account.is_operator)
