"""All that an app may import, and the only module that it may import from: `docs/APPS.md`.

Names keep their meaning until a release that ends in .0.0; the changelog announces a removal one release
before. Everything else in Mailroom is private, and changes without notice.

Everywhere:

- `App`, `MailKind`, `TaskKind`, `ExportedTable`, `NavigationItem`, `AppSettings`: what an app declares.
- `services()`: the `AppServices` of this request, task, clean-up or command; with `Account`, `UnitOfWork`.
- `report`, `current_ticket`, `Cancelled`: a task's progress.
- `Base`, `new_id`: tables.
- `Sentence`, `gettext`, `ngettext`, `pgettext`, `gettext_noop`, `number`, `date_time`, `duration`: words in the
  reader's language.
- `MailroomError`: an error with a sentence for people. `MailRow`: the facts that a kind of mail
  makes its variables from.

In modules with pages (they load Quart, which workers do without):

- `Blueprint`, `Response`, `request`: Quart's own.
- `page`, `redirect`, `member`, `current_session`, `NotShown`: answers, and the account or session that asks.
- `limited`, `limited_reads`, with `CHANGE`, `EXPORT` or `READ`; `takes_body`: limits of a route.
- `Invalid`, `refuse`, `take`, `typed`, `Refused`: a form that is shown again.

In modules with commands of the shell: `run`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mailroom.accounts.views import AccountView as Account
from mailroom.api.services import AppServices, services
from mailroom.apps.app import App, ExportedTable, NavigationItem, TaskKind
from mailroom.i18n.formats import date_time, duration, number
from mailroom.i18n.messages import gettext, gettext_noop, ngettext, pgettext
from mailroom.kit.database import Base, UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import new_id
from mailroom.mail.kinds import MailKind, MailRow
from mailroom.progress.reports import Cancelled, current_ticket, report
from mailroom.progress.sentence import Sentence
from mailroom.settings.app_settings import AppSettings

if TYPE_CHECKING:
    from quart import Blueprint, Response, request

    from mailroom.api.shell import run
    from mailroom.web.browser import current_session
    from mailroom.web.error_table import NotShown
    from mailroom.web.forms.fields import Invalid
    from mailroom.web.forms.return_to import member
    from mailroom.web.page import page, redirect
    from mailroom.web.rate_limits.limits import CHANGE, EXPORT, READ, limited, limited_reads
    from mailroom.web.refused import Refused, refuse, take, typed
    from mailroom.web.requests import takes_body

_LOADED_WHEN_ASKED_FOR = {
    "Blueprint": "quart",
    "Response": "quart",
    "request": "quart",
    "run": "mailroom.api.shell",
    "current_session": "mailroom.web.browser",
    "NotShown": "mailroom.web.error_table",
    "Invalid": "mailroom.web.forms.fields",
    **dict.fromkeys(("CHANGE", "EXPORT", "READ", "limited", "limited_reads"), "mailroom.web.rate_limits.limits"),
    **dict.fromkeys(("page", "redirect"), "mailroom.web.page"),
    **dict.fromkeys(("Refused", "refuse", "take", "typed"), "mailroom.web.refused"),
    "takes_body": "mailroom.web.requests",
    "member": "mailroom.web.forms.return_to",
}
"""Names that load Quart, or the shell: only modules that ask for them load it."""

__all__ = [
    "CHANGE",
    "EXPORT",
    "READ",
    "Account",
    "App",
    "AppServices",
    "AppSettings",
    "Base",
    "Blueprint",
    "Cancelled",
    "ExportedTable",
    "Invalid",
    "MailKind",
    "MailRow",
    "MailroomError",
    "NavigationItem",
    "NotShown",
    "Refused",
    "Response",
    "Sentence",
    "TaskKind",
    "UnitOfWork",
    "current_session",
    "current_ticket",
    "date_time",
    "duration",
    "gettext",
    "gettext_noop",
    "limited",
    "limited_reads",
    "member",
    "new_id",
    "ngettext",
    "number",
    "page",
    "pgettext",
    "redirect",
    "refuse",
    "report",
    "request",
    "run",
    "services",
    "take",
    "takes_body",
    "typed",
]


def __getattr__(name: str) -> Any:
    """Return a name that is loaded when it is asked for (PEP 562)."""
    if name not in _LOADED_WHEN_ASKED_FOR:
        raise AttributeError(f"mailroom.api has no {name!r}; docs/APPS.md lists what there is")
    return getattr(import_module(_LOADED_WHEN_ASKED_FOR[name]), name)
