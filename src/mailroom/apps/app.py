"""What an app declares. An app gets these names from `mailroom.api`; `docs/APPS.md` has the contract."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mailroom.mail.kinds import MailKind
from mailroom.settings.app_settings import AppSettings

NAME = re.compile(r"[a-z][a-z0-9_]{2,29}")
TABLE = re.compile(r"[a-z][a-z0-9_]*")
PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""A module and a name in it."""
RESERVED = frozenset(
    {
        "account",
        "accounts",
        "address",
        "api",
        "api_keys",
        "apps",
        "attempts",
        "audit",
        "authenticator",
        "bulk",
        "cli",
        "desk",
        "email",
        "emails",
        "events",
        "export",
        "exports",
        "i18n",
        "identities",
        "invitations",
        "key",
        "kit",
        "mail",
        "mailroom",
        "mails",
        "message",
        "messages",
        "metrics",
        "ops",
        "passkeys",
        "processes",
        "progress",
        "recovery",
        "security",
        "session",
        "sessions",
        "settings",
        "sign",
        "static",
        "statistics",
        "task",
        "tasks",
        "search",
        "title",
        "web",
        "webhook",
        "webhooks",
    }
)
"""Prefixes that Mailroom's own tables, codes and settings use, or may use later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKind:
    """One kind of background task.

    `name` begins with the app's name and a full stop. `place` (``"acme.tasks:import_file"``) is a function or a
    coroutine function, which workers import. It gets the arguments that the task was started with (JSON).
    It may call `services()` and `report()`; a coroutine runs in the worker's event loop, a function in a
    thread. With `cancellable`, its owner can stop it at its next `report()`. `options` are further options of
    Celery's ``@app.task`` (``acks_late``, ``max_retries``, …).

    Once the task is done its page shows `result_template`, a template of the app, if it has one. `result_values`
    (``"acme.web:result"``) is a coroutine function: from the ticket (a UUID) to the template's values.
    """

    name: str
    place: str
    cancellable: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    result_template: str = ""
    result_values: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTable:
    """Rows of a member in "Export my data", as a JSON and a CSV file.

    `name` begins with the app's name and an underscore. `place` (``"acme.exports:lists"``) is an asynchronous
    generator function, which workers import: given the id of an account (a UUID), it yields that account's rows.
    A row is a mapping with all `columns`; its values are what JSON has, UUIDs and aware datetimes. No row holds a
    secret.
    """

    name: str
    columns: Sequence[str]
    place: str


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """A link in the head of every page. `label` is marked with `gettext_noop`; `audience` says who is shown it."""

    path: str
    label: str
    audience: Literal["everyone", "members", "operators"] = "members"


@dataclass(frozen=True, slots=True, eq=False)
class App:
    """An app and what it offers; each part may be left out.

    `name` (3 to 30 lower-case letters, digits, underscores) begins all that it adds. `blueprints`, `clean_ups`,
    `commands` and the places of `tasks` and `exports` are texts (``"acme.web:blueprint"``): each is imported by
    the process that needs it, and by no other. Raises ValueError if the app may not use one of its names.
    """

    name: str
    _: KW_ONLY
    mails: Sequence[MailKind] = ()
    """Kinds of mail; the templates of `acme.welcome` are in `mails/acme.welcome/`."""
    tasks: Sequence[TaskKind] = ()
    blueprints: Sequence[str] = ()
    """Quart blueprints: pages."""
    navigation: Sequence[NavigationItem] = ()
    settings: type[AppSettings] | None = None
    """The app's settings: `rows` of the app `acme` is ACME_ROWS in the environment."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """Name of a command of the shell → a click command or group."""
    exports: Sequence[ExportedTable] = ()
    """The app's tables that are in a member's export."""
    clean_ups: Sequence[str] = ()
    """Coroutine functions without parameters. Each worker calls them every ten minutes; they delete a bounded
    number of rows at a time."""
    models: str = ""
    """The module of the app's tables (`Base` of `mailroom.api`); their names begin with the app's and an
    underscore."""
    sentences: Mapping[str, str] = field(default_factory=dict)
    """Code → sentence in English, marked with `gettext_noop`, for `Sentence` and for errors. A code begins with
    the app's name and a full stop."""
    folder: Path | None = None
    """The folder of `templates/`, `mails/`, `migrations/` and `catalogues/`; none: that of the app's module."""

    def __post_init__(self) -> None:
        """Check the names."""
        if (
            not NAME.fullmatch(self.name)
            or self.name.split("_", maxsplit=1)[0] in RESERVED
            or self.name in RESERVED
        ):
            raise ValueError(
                f"an app cannot be called {self.name!r}: 3 to 30 lower-case letters, digits and underscores, and "
                "the word before the first underscore is none of Mailroom's own"
            )
        named = [*(kind.name for kind in self.mails), *(kind.name for kind in self.tasks), *self.sentences]
        for one in named:
            if not one.startswith(f"{self.name}."):
                raise ValueError(f"{one!r} must begin with {self.name + '.'!r}")
        for table in self.exports:
            if not (table.name.startswith(f"{self.name}_") and TABLE.fullmatch(table.name)):
                raise ValueError(
                    f"{table.name!r} must begin with {self.name + '_'!r}, and have letters, digits and _ only"
                )
        places = [
            *(one.place for one in self.tasks),
            *(one.place for one in self.exports),
            *(one.result_values for one in self.tasks if one.result_values),
        ]
        for place in (*places, *self.blueprints, *self.commands.values(), *self.clean_ups):
            if not isinstance(place, str) or not PLACE.fullmatch(place):
                raise ValueError(f"{place!r} must be a text such as {self.name + '.web:blueprint'!r}")
