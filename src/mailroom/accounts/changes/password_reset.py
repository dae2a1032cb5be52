"""Choosing a new password: by the link of a mail, which only the owner of the address can read.

Whoever asks learns nothing: every address gets a mail, and all these mails have the same title. Only the owner of
an address without an account reads in the mail that there is none.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, insert, update

from mailroom.accounts.addresses.address import Address, key_of
from mailroom.accounts.addresses.mailboxes import is_variant, mailbox_of
from mailroom.accounts.browsers import described
from mailroom.accounts.changes.mailed_links import LinkPurpose, MailedLink
from mailroom.accounts.errors import OldPasswordLink, UsedPasswordLink, WrongPasswordLink
from mailroom.accounts.mail_limits import FormMailQueue, is_over
from mailroom.accounts.models import Account, PasswordMail
from mailroom.accounts.passwords.hashing import NEW, Passwords
from mailroom.accounts.providers.identities import named_in_mails
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.tokens import NEW_PASSWORD, Tokens
from mailroom.accounts.two_factor.sign_in import SignInSteps
from mailroom.accounts.views import Origin, Session, SignedIn, reader_of
from mailroom.kit.database import Database, UnitOfWork
from mailroom.mail.administration import mark_received
from mailroom.mail.outbox import Outbox
from mailroom.tasks.tickets import Tickets

LINK = "new_password"
NO_ACCOUNT = "no_account"
KINDS = frozenset({LINK, NO_ACCOUNT})
LINK_LASTS = timedelta(minutes=10)
"""Counted from the acceptance of its mail. It is short, because everybody who has the link gets in."""

RENEW = """
update password_mails set renewed_at = now()
where mail_id = (
    select mail_id from password_mails where email_key = %(email_key)s and not withheld and used_at is null
    order by created_at desc limit 1
)
"""


USABLE = LinkPurpose(NEW_PASSWORD, LINK, PasswordMail, wrong=WrongPasswordLink, old=OldPasswordLink)


class PasswordReset:
    """Lets owners of accounts choose a new password."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        tickets: Tickets,
        *,
        tokens: Tokens,
        passwords: Passwords,
        sessions: Sessions,
        steps: SignInSteps,
        queue: FormMailQueue,
        log: SecurityLog,
        site: list[str],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._tickets = tickets
        self._tokens = tokens
        self._passwords = passwords
        self._sessions = sessions
        self._steps = steps
        self._queue = queue
        self._log = log
        self._site = site

    async def ask(self, *, email: str, session: Session) -> UUID:
        """Promise a mail with a link; return its ticket. The steps are the same for every address, known or not.

        The link goes to the address as the account spells it. If the mailbox is over its limit, the mail is
        withheld, and the newest link that was sent gets its full time again. Raises `InvalidAddress`.
        """
        address = Address.parse(email)
        delay = await self._queue.delay()
        async with self._database.begin() as work:
            await sign_ups.lock(work, address.key)
            account = await sign_ups.account_of(work, address.key)
            withheld = is_over(
                await sign_ups.sent_to(work, address.key),
                has_account=account is not None,
                is_variant=is_variant(address.key),
                is_notice=account is None,
            )
            mail_id = await self._outbox.put(
                work,
                LINK if account else NO_ACCOUNT,
                account.email if account else address.email,
                {"browser": described(session.user_agent)},
                session_id=session.id,
                typed=address.email,
                reader=reader_of(account),
                withheld=withheld,
                delay=delay,
            )
            asked = {
                "mail_id": mail_id,
                "email_key": address.key,
                "mailbox_key": mailbox_of(address.key),
                "withheld": withheld,
                "account_id": account.id if account else None,
            }
            await work.session.execute(insert(PasswordMail).values(asked))
            if withheld:
                await work.write(RENEW, {"email_key": address.key})
        return mail_id

    async def send_link(self, work: UnitOfWork, account: Account, session: Session | None) -> UUID:
        """Promise a link for an account in `work`, whatever the limit of its mailbox; return the mail's ticket.

        It is for operators, and for owners who asked by a link of ours, which no stranger has. Without a `session`
        (a program, the shell) no browser may watch the mail.
        """
        params = {"browser": described(session.user_agent if session else "")}
        watcher = session.id if session else None
        mail_id = await self._outbox.put(
            work, LINK, account.email, params, session_id=watcher, reader=reader_of(account)
        )
        asked = {
            "mail_id": mail_id,
            "email_key": account.email_key,
            "mailbox_key": mailbox_of(account.email_key),
            "account_id": account.id,
        }
        await work.session.execute(insert(PasswordMail).values(asked))
        return mail_id

    async def preview(self, token: str) -> str:
        """Return the address whose password a link would change; changes nothing.

        Raises `WrongPasswordLink`, `UsedPasswordLink`, `OldPasswordLink`.
        """
        async with self._database.begin() as work:
            return (await self._by_link(work, token)).account.email

    async def reset(
        self, token: str, *, password: str, session: Session | None, user_agent: str, address: str | None = None
    ) -> SignedIn:
        """Change the password by link, end every session of the account, and sign this browser in.

        A link proves who has the mailbox, which is one step. If signing in takes two, the second is asked for.
        Raises as `preview` does, and `WeakPassword` or `TooLong`; nothing has changed then.
        """
        with self._passwords.place(NEW):
            async with self._database.begin() as work:
                account = (await self._by_link(work, token)).account
        owned = Address(account.email, account.email_key)
        # With the account's salt, which sign-ups that wait for its address have, too (`sign_ups.salted_hash`).
        context = [*owned.words, *self._site]
        password_hash = await self._passwords.hash(password, context=context, like=account.password_hash)
        async with self._database.begin() as work:
            await sign_ups.lock(work, owned.key)
            found = await self._by_link(work, token)  # again, now that nobody else can use it
            account = found.account
            await work.session.execute(
                update(Account).where(Account.id == account.id).values(password_hash=password_hash)
            )
            ended = (
                update(PasswordMail)
                .where(PasswordMail.account_id == account.id, PasswordMail.used_at.is_(None))
                .values(used_at=func.now())
                .returning(PasswordMail.mail_id)
            )
            await self._tickets.give_to(work, (await work.session.scalars(ended)).all(), account.id)
            await mark_received(work, found.mail.id)
            await self._sessions.revoke_all(work, account.id)
            origin = Origin(user_agent, address)
            sites = await named_in_mails(work, account.id)  # a reset keeps them: the owner may not know of any
            await self._log.notify(work, account, EventKind.PASSWORD_RESET, origin, sites=sites)
            if session and session.account and session.account.id == account.id:
                session = None  # it has just ended
            return await self._steps.finish(work, account, session, origin, is_noted=True)

    async def _by_link(self, work: UnitOfWork, token: str) -> MailedLink[PasswordMail]:
        found = await USABLE.find(work, self._tokens, token)
        if found.account.locked_at:
            raise WrongPasswordLink  # the answer does not tell that it is locked
        if key_of(found.mail.recipient or "") != found.account.email_key:
            raise WrongPasswordLink  # it went to another address, which an earlier version took for the same
        if found.asked.used_at:
            raise UsedPasswordLink
        if sign_ups.is_too_old(found.mail, LINK_LASTS, found.now, found.asked.renewed_at):
            raise OldPasswordLink
        return found
