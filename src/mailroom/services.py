"""What the edges (web, jobs, shell) may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from mailroom.accounts.administration import AccountAdministration
from mailroom.accounts.authentication import Authentication
from mailroom.accounts.changes.address_change import AddressChanges
from mailroom.accounts.changes.deletion import Deletion
from mailroom.accounts.changes.erasure import Erasure
from mailroom.accounts.changes.password_change import PasswordChange
from mailroom.accounts.changes.password_reset import PasswordReset
from mailroom.accounts.changes.takeover import Takeover
from mailroom.accounts.exports.exports import Exports
from mailroom.accounts.operators import Operators
from mailroom.accounts.profiles import Profiles
from mailroom.accounts.providers.identities import Identities
from mailroom.accounts.providers.sign_in import ProviderSignIns
from mailroom.accounts.recent_sign_in import RecentSignIn
from mailroom.accounts.security.security_log import SecurityLog
from mailroom.accounts.security.sign_in_delays import SignInDelays
from mailroom.accounts.session_endings import SessionEndings
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up.confirmation import Confirmation
from mailroom.accounts.sign_up.invitations import Invitations
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.sign_up.withdrawal import Withdrawal
from mailroom.accounts.two_factor.factors import Factors
from mailroom.accounts.two_factor.sign_in import SignInSteps
from mailroom.api_keys.acceptance import Acceptance
from mailroom.api_keys.keys import ApiKeys
from mailroom.api_keys.refusals import KeyRefusals
from mailroom.api_keys.watch_tokens import WatchTokens
from mailroom.apps.installed import Apps
from mailroom.desk.acts import Acts
from mailroom.desk.alerts.teller import Teller
from mailroom.desk.audit_log import AuditLog
from mailroom.desk.bulk_actions import BulkActions
from mailroom.desk.failures import FailureReport
from mailroom.desk.mail_details import MailDesk
from mailroom.desk.mail_search import MailSearches
from mailroom.desk.people import People
from mailroom.desk.saved_searches import SavedSearches
from mailroom.desk.task_desk import TaskDesk
from mailroom.desk.webhook_acts import WebhookActs
from mailroom.kit.database import Database
from mailroom.mail.administration import MailAdministration
from mailroom.mail.kinds import Kinds
from mailroom.mail.outbox import Outbox
from mailroom.progress.tracker import Tracker
from mailroom.settings import Settings
from mailroom.statistics.counters import Counters
from mailroom.tasks.service import TaskService
from mailroom.tasks.tickets import Tickets
from mailroom.webhooks.endpoints import Webhooks


@dataclass(frozen=True, slots=True)
class Services:
    """Wired once, by `bootstrap/services.py`."""

    settings: Settings
    database: Database
    registration: Registration
    invitations: Invitations
    withdrawal: Withdrawal
    confirmation: Confirmation
    authentication: Authentication
    sign_in_steps: SignInSteps
    provider_sign_ins: ProviderSignIns
    identities: Identities
    recent_sign_in: RecentSignIn
    factors: Factors
    profiles: Profiles
    password_reset: PasswordReset
    password_change: PasswordChange
    address_changes: AddressChanges
    takeover: Takeover
    deletion: Deletion
    erasure: Erasure
    security_log: SecurityLog
    sign_in_delays: SignInDelays
    sessions: Sessions
    session_endings: SessionEndings
    operators: Operators
    account_administration: AccountAdministration
    outbox: Outbox
    mail_administration: MailAdministration
    mail_kinds: Kinds
    tickets: Tickets
    task_service: TaskService
    exports: Exports
    api_keys: ApiKeys
    acceptance: Acceptance
    key_refusals: KeyRefusals
    watch_tokens: WatchTokens
    audit_log: AuditLog
    mail_searches: MailSearches
    mail_desk: MailDesk
    failure_report: FailureReport
    task_desk: TaskDesk
    saved_searches: SavedSearches
    bulk_actions: BulkActions
    acts: Acts
    people: People
    webhooks: Webhooks
    webhook_acts: WebhookActs
    counters: Counters
    teller: Teller
    tracker: Tracker | None = None
    """The poller of a web process; a worker has none."""
    apps: Apps = field(default_factory=Apps)
    """Other people's packages."""


_current: ContextVar[Services] = ContextVar("mailroom_services")


def serve(services: Services) -> None:
    """Let apps find these services from now on in this context: a request, say."""
    _current.set(services)


@contextmanager
def serving(services: Services) -> Iterator[None]:
    """Let apps find these services inside the block."""
    token = _current.set(services)
    try:
        yield
    finally:
        _current.reset(token)


def current_services() -> Services:
    """Return the services of the request, task, clean-up or command that runs here. Raises LookupError
    elsewhere.
    """
    return _current.get()
