"""What the edges (web, jobs, shell) may use."""

from dataclasses import dataclass

from mailroom.accounts.exports import Exports
from mailroom.accounts.service import Accounts
from mailroom.accounts.sessions import Sessions
from mailroom.kit.database import Database
from mailroom.mail.administration import MailAdministration
from mailroom.mail.outbox import Outbox
from mailroom.progress.tracker import Tracker
from mailroom.settings import Settings
from mailroom.tasks.service import TaskService
from mailroom.tasks.tickets import Tickets


@dataclass(frozen=True, slots=True)
class Services:
    """Wired once, by `bootstrap.py`."""

    settings: Settings
    database: Database
    accounts: Accounts
    sessions: Sessions
    outbox: Outbox
    mail_administration: MailAdministration
    tickets: Tickets
    task_service: TaskService
    exports: Exports
    tracker: Tracker | None = None
    """The poller of a web process; a worker has none."""
