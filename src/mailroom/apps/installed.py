"""The apps of this process, loaded: what each declares, and where its files are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mailroom.apps.app import App, NavigationItem, TaskKind
from mailroom.mail.kinds import MailKind
from mailroom.settings.app_settings import AppSettings


@dataclass(frozen=True)
class InstalledApp:
    """An app, its folder and its settings."""

    app: App
    folder: Path
    settings: AppSettings | None = None

    @property
    def name(self) -> str:
        """The app's name."""
        return self.app.name

    @property
    def who(self) -> str:
        """The app as sentences about its mistakes name it: ``app acme``."""
        return f"app {self.name}"


@dataclass(frozen=True)
class Apps:
    """All apps, in the order in which they were named: of two that override a template, the first one wins."""

    installed: Sequence[InstalledApp] = field(default_factory=tuple)

    def __iter__(self) -> Iterator[InstalledApp]:
        """Yield each app."""
        return iter(self.installed)

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.installed)

    def folders(self, name: str) -> list[Path]:
        """Return the folders of this name (`templates`, `mails`, `migrations`, `catalogues`) that there are."""
        return [folder for app in self if (folder := app.folder / name).is_dir()]

    @property
    def mail_kinds(self) -> list[MailKind]:
        """Every kind of mail."""
        return [kind for app in self for kind in app.app.mails]

    @cached_property
    def task_kinds(self) -> dict[str, tuple[InstalledApp, TaskKind]]:
        """Every kind of task, by its name, with its app."""
        return {kind.name: (app, kind) for app in self for kind in app.app.tasks}

    @cached_property
    def commands(self) -> dict[str, tuple[InstalledApp, str]]:
        """Every command of the shell, by its name: its app, and its place (``module:name``)."""
        return {name: (app, place) for app in self for name, place in app.app.commands.items()}

    @cached_property
    def navigation(self) -> list[NavigationItem]:
        """Every link in the head of pages."""
        return [item for app in self for item in app.app.navigation]
