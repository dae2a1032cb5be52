"""What the edges (web, jobs, shell) may use."""

from dataclasses import dataclass

from mailroom.accounts.exports import Exports
from mailroom.accounts.service import Accounts
from mailroom.accounts.sessions import Sessions
from mailroom.kit.database import Database
from mailroom.mail.mailbox import Mailbox
from mailroom.mail.outbox import Outbox
from mailroom.progress.background import Background
from mailroom.progress.tickets import Tickets
from mailroom.progress.watching import Watching
from mailroom.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Wired once, by `bootstrap.py`."""

    settings: Settings
    database: Database
    accounts: Accounts
    sessions: Sessions
    outbox: Outbox
    mailbox: Mailbox
    tickets: Tickets
    background: Background
    exports: Exports
    watching: Watching | None = None
    """The poller of a web process; a worker has none."""
