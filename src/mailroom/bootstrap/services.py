"""Wires the rooms below the edges: what the web, a worker and the shell have in common."""

from collections.abc import Callable

from mailroom.accounts import mails as accounts_mails
from mailroom.accounts.administration import AccountAdministration
from mailroom.accounts.authentication import Authentication
from mailroom.accounts.changes.address_change import AddressChanges
from mailroom.accounts.changes.deletion import Deletion
from mailroom.accounts.changes.erasure import Erasure
from mailroom.accounts.changes.password_change import PasswordChange
from mailroom.accounts.changes.password_reset import PasswordReset
from mailroom.accounts.changes.takeover import Takeover
from mailroom.accounts.exports.exports import Exports
from mailroom.accounts.mail_limits import FormMailQueue
from mailroom.accounts.operators import Operators
from mailroom.accounts.passwords.blocklist import Blocklist
from mailroom.accounts.passwords.hashing import Passwords
from mailroom.accounts.profiles import Profiles
from mailroom.accounts.providers.identities import Identities
from mailroom.accounts.providers.sign_in import ProviderSignIns
from mailroom.accounts.security.security_log import SecurityLog
from mailroom.accounts.security.sign_in_delays import SignInDelays
from mailroom.accounts.session_endings import SessionEndings
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up.confirmation import Confirmation
from mailroom.accounts.sign_up.invitations import Invitations
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.sign_up.withdrawal import Withdrawal
from mailroom.accounts.tokens import Tokens
from mailroom.api_keys.acceptance import Acceptance
from mailroom.api_keys.keys import ApiKeys
from mailroom.api_keys.refusals import KeyRefusals
from mailroom.api_keys.sending_limits import SendingLimits
from mailroom.api_keys.watch_tokens import WatchTokens
from mailroom.apps.installed import Apps
from mailroom.apps.loader import load as load_apps
from mailroom.bootstrap.alerts import create_teller
from mailroom.bootstrap.providers import create_providers
from mailroom.bootstrap.two_factor import create_two_factor
from mailroom.desk.acts import Acts
from mailroom.desk.audit_log import AuditLog
from mailroom.desk.bulk_actions import BulkActions
from mailroom.desk.failures import FailureReport
from mailroom.desk.mail_details import MailDesk
from mailroom.desk.mail_search import MailSearches
from mailroom.desk.people import People
from mailroom.desk.saved_searches import SavedSearches
from mailroom.desk.task_desk import TaskDesk
from mailroom.desk.webhook_acts import WebhookActs
from mailroom.i18n.sentences import text_of
from mailroom.jobs.results import ResultReader
from mailroom.kit.database import Database
from mailroom.kit.secret_box import SecretBox
from mailroom.mail.administration import MailAdministration
from mailroom.mail.kinds import Kinds, Notify
from mailroom.mail.messages.store import MESSAGE, MessageStore
from mailroom.mail.outbox import Outbox
from mailroom.mail.rendering.previews import Previews
from mailroom.mail.views import MailRows
from mailroom.ops import mails as ops_mails
from mailroom.progress.tracker import Tracker
from mailroom.services import Services
from mailroom.settings import Settings
from mailroom.statistics.counters import Counters
from mailroom.tasks.service import PublishTask, TaskService
from mailroom.tasks.tickets import Tickets
from mailroom.webhooks import mails as webhook_mails
from mailroom.webhooks.endpoints import Webhooks
from mailroom.webhooks.retention import forget_deliveries


def create_database(settings: Settings, *, name: str) -> Database:
    """Return the database of one process, which PostgreSQL shows under `name`. Nothing connects yet."""
    return Database(
        settings.database_url,
        connections=settings.database_connections,
        name=name,
        direct_url=settings.database_direct_url,
        direct_connections=settings.database_direct_connections,
    )


def create_services(
    settings: Settings,
    notify: Notify,
    publish_task: PublishTask,
    *,
    name: str,
    wake_bulk: Callable[[], None] = lambda: None,
    tracker: Tracker | None = None,
    database: Database | None = None,
) -> Services:
    """Return the services of one process. Nothing connects yet.

    `name` is what PostgreSQL shows as the application's name. A `database` that is given is used, instead of a
    new one. Raises `SettingsError` if an app cannot be loaded.
    """
    database = database or create_database(settings, name=name)
    tickets, tokens = Tickets(), Tokens(settings.secret_keys)
    apps = load_apps(settings.mailroom_apps)
    kinds = mail_kinds(settings, tokens, apps)
    counters = Counters()
    outbox = Outbox(kinds, tickets, notify, counters)
    blocklist = Blocklist(settings.password_blocklist) if settings.password_blocklist else None
    passwords = Passwords(blocklist=blocklist)
    site = [*settings.public_host.partition(":")[0].split("."), *settings.product_name.split()]
    sessions = Sessions(database, strict=settings.two_step_for_operators == "required")
    task_service = TaskService(publish_task, counters)
    administration = MailAdministration(kinds, notify, counters)
    queue = FormMailQueue(database, hourly=settings.form_mails_per_hour)
    log, audit_log = SecurityLog(database, outbox), AuditLog()
    webhooks = Webhooks(webhook_box(settings), private=settings.webhook_private_networks)
    invitations = Invitations(outbox, tokens, days=settings.invitation_days)
    registration = Registration(
        database,
        outbox,
        tickets,
        passwords,
        sessions,
        queue=queue,
        site=site,
        rule=settings.registration_rule,
        invitations=invitations,
    )
    domain = settings.sender.address.rpartition("@")[2]
    api_keys = ApiKeys(database, default_domain=domain)
    limits = SendingLimits(settings.sending_per_minute or None, settings.domain_limits)
    password_change = PasswordChange(database, passwords, sessions, log, site=site)
    two_factor = create_two_factor(
        database,
        sessions,
        log,
        password_change,
        secret_keys=settings.secret_keys,
        public_url=settings.public_url,
        name=settings.brand.site,
    )
    password_reset = PasswordReset(
        database,
        outbox,
        tickets,
        tokens=tokens,
        passwords=passwords,
        sessions=sessions,
        steps=two_factor.steps,
        queue=queue,
        log=log,
        site=site,
    )
    providers = create_providers(settings)
    identities = Identities(database, providers, log)
    operators, account_administration = Operators(), AccountAdministration(sessions)
    return Services(
        settings=settings,
        database=database,
        registration=registration,
        invitations=invitations,
        withdrawal=Withdrawal(database, tokens),
        sign_in_steps=two_factor.steps,
        provider_sign_ins=ProviderSignIns(
            database,
            providers,
            box=SecretBox(settings.secret_keys, "authentication requests"),
            registration=registration,
            steps=two_factor.steps,
            sessions=sessions,
            identities=identities,
        ),
        identities=identities,
        recent_sign_in=two_factor.recent,
        factors=two_factor.factors,
        profiles=Profiles(database),
        confirmation=Confirmation(
            database,
            tickets,
            tokens,
            passwords,
            sessions,
            log=log,
            invitations=invitations,
            hours=settings.confirmation_hours,
        ),
        authentication=Authentication(database, registration, passwords, two_factor.steps),
        password_reset=password_reset,
        password_change=password_change,
        address_changes=AddressChanges(database, outbox, password_change, tokens=tokens, queue=queue, log=log),
        takeover=Takeover(
            database,
            password_reset,
            tokens=tokens,
            passwords=passwords,
            sessions=sessions,
            factors=two_factor.factors,
            log=log,
        ),
        deletion=Deletion(
            database,
            outbox,
            tokens=tokens,
            sessions=sessions,
            log=log,
            audit=audit_log.write,
            counters=counters,
        ),
        erasure=Erasure(
            database, sessions, secret_keys=settings.secret_keys, also=[forget_deliveries], counters=counters
        ),
        security_log=log,
        sign_in_delays=SignInDelays(database, settings.secret_keys),
        sessions=sessions,
        session_endings=SessionEndings(database, sessions, log),
        operators=operators,
        account_administration=account_administration,
        outbox=outbox,
        mail_administration=administration,
        mail_kinds=kinds,
        tickets=tickets,
        task_service=task_service,
        exports=Exports(database, task_service, text_of, log),
        api_keys=api_keys,
        acceptance=Acceptance(
            database,
            api_keys,
            MessageStore(database, notify, domain=domain, wake_bulk=wake_bulk, counters=counters),
            limits,
        ),
        key_refusals=KeyRefusals(database),
        watch_tokens=WatchTokens(settings.secret_keys),
        audit_log=audit_log,
        mail_searches=MailSearches(database),
        failure_report=FailureReport(database),
        task_desk=TaskDesk(database),
        mail_desk=MailDesk(administration, _previews(settings, kinds, apps), notify),
        saved_searches=SavedSearches(),
        bulk_actions=BulkActions(database, task_service, administration, audit_log),
        acts=Acts(database, audit_log, invitations),
        people=People(
            database,
            account_administration,
            operators,
            password_reset=password_reset,
            registration=registration,
            audit_log=audit_log,
        ),
        webhooks=webhooks,
        webhook_acts=WebhookActs(database, webhooks, audit_log),
        counters=counters,
        teller=create_teller(settings, database),
        tracker=tracker,
        apps=apps,
    )


def _previews(settings: Settings, kinds: Kinds, apps: Apps) -> Previews:
    return Previews(
        kinds,
        mail_from=settings.from_header,
        product=product_of(settings),
        brand=settings.brand,
        overrides=apps.folders("mails"),
    )


def product_of(settings: Settings) -> dict[str, str]:
    """Return the variables that the templates of every mail have."""
    return {"public_url": settings.public_url, "site": settings.brand.site}


def webhook_box(settings: Settings) -> SecretBox:
    """Return what opens the signing secrets of webhooks."""
    return SecretBox(settings.secret_keys, "webhooks")


def mail_kinds(settings: Settings, tokens: Tokens, apps: Apps | None = None) -> Kinds:
    """Return every kind of mail, those of `apps` included."""
    return Kinds(
        [
            *accounts_mails.kinds(tokens, settings),
            *ops_mails.kinds(settings),
            *webhook_mails.kinds(settings),
            MESSAGE,
            *(apps.mail_kinds if apps else ()),
        ]
    )


def create_tracker(settings: Settings, database: Database) -> tuple[Tracker, ResultReader]:
    """Return a tracker that is not started yet, and its reader of results, which the caller closes."""
    results = ResultReader(settings)
    return Tracker(results, MailRows(database).newer_than), results
