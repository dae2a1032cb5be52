"""Confirming an address: by the link of a mail, or by its code typed into the browser that signed up.

A link or a code proves that somebody reads the mails to an address. It does not prove whose password the account
is to have: several browsers may have signed up with the address. A browser confirms its own sign-up; elsewhere the
password of a sign-up is asked for. So an attacker who signs up with somebody's address gains nothing from its
owner's click, and cannot keep the owner from confirming either.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, update

from mailroom.accounts.addresses.address import key_of
from mailroom.accounts.errors import (
    AccountError,
    ExpiredCode,
    ExpiredToken,
    MalformedCode,
    ReplacedToken,
    TooManyTries,
    UnknownSignUp,
    UsedToken,
    WrongCode,
    WrongPassword,
    WrongToken,
)
from mailroom.accounts.identity_rows import write_link
from mailroom.accounts.models import OPEN, Account, SignUp
from mailroom.accounts.passwords.hashing import KNOWN, Passwords, is_useless
from mailroom.accounts.security.security_log import EventKind, SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up import sign_ups
from mailroom.accounts.sign_up.invitations import Invitations
from mailroom.accounts.sign_up.sign_ups import MailedSignUp
from mailroom.accounts.tokens import Tokens, mail_id_of, typed_code
from mailroom.accounts.views import ConfirmationPreview, NewSession, Origin, Session
from mailroom.events.log import note
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.administration import mark_received
from mailroom.mail.models import Mail
from mailroom.tasks.tickets import Tickets

MOST_TRIES = 5
CODE_LASTS = timedelta(hours=1)
"""Counted from the acceptance of its mail. A code is short, and typed at once; the mail's link lasts longer."""


class Confirmation:
    """Turns sign-ups into accounts."""

    def __init__(
        self,
        database: Database,
        tickets: Tickets,
        tokens: Tokens,
        passwords: Passwords,
        sessions: Sessions,
        *,
        log: SecurityLog,
        invitations: Invitations,
        hours: int,
    ) -> None:
        self._database = database
        self._tickets = tickets
        self._tokens = tokens
        self._passwords = passwords
        self._sessions = sessions
        self._log = log
        self._invitations = invitations
        self._link_lasts = timedelta(hours=hours)

    async def preview(self, token: str, session: Session | None) -> ConfirmationPreview:
        """Say what a link would confirm; changes nothing.

        Raises `WrongToken`, `UsedToken`, `ReplacedToken`, `ExpiredToken`.
        """
        async with self._database.begin() as work:
            found = await self._by_link(work, token)
            waiting = await sign_ups.open_of(work, found.sign_up.email_key)
        mine = sign_ups.of_browser(waiting, session)
        return ConfirmationPreview(
            (mine or found.sign_up).email,
            needs_password=mine is None,
            has_password=any(not is_useless(one.password_hash or "") for one in waiting),
        )

    async def confirm(
        self, token: str, *, session: Session | None, password: str | None, user_agent: str
    ) -> NewSession:
        """Confirm by link: create the account, and sign this browser in to it.

        The link proves who has the mailbox. The browser, or `password`, decides which sign-up of that address
        becomes the account: somebody else's sign-up may have caused the mail. Raises as `preview` does, and
        `WrongPassword` if no sign-up that waits has this password; nothing has changed then.
        """
        with self._passwords.place(KNOWN):
            async with self._database.begin() as work:
                found = await self._by_link(work, token)
                waiting = await sign_ups.open_of(work, found.sign_up.email_key)
        chosen = sign_ups.of_browser(waiting, session)
        if chosen is None:
            matches = await self._passwords.match(password or "", [one.password_hash for one in waiting])
            chosen = next((one for one, fits in zip(waiting, matches, strict=True) if fits), None)
        if chosen is None:
            raise WrongPassword
        async with self._database.begin() as work:
            await sign_ups.lock_of_mail(work, found.mail.id)
            found = await self._by_link(work, token)  # again, now that nobody else can change it
            still = await sign_ups.open_of(work, found.sign_up.email_key)
            if (chosen.id, chosen.password_hash) not in [(one.id, one.password_hash) for one in still]:
                raise WrongPassword
            return await self._welcome(work, chosen, found.mail, session, user_agent)

    async def confirm_by_code(
        self, code: str, *, session: Session | None, ticket: UUID | None, user_agent: str
    ) -> NewSession:
        """Confirm by the code of a mail to the address, in a browser that signed up with it.

        `ticket` says which sign-up is meant; without one it is the newest of this browser. Raises
        `UnknownSignUp`, `UsedToken`, `ExpiredCode`, `WrongCode` with the tries left, `TooManyTries`.
        """
        if session is None:
            raise UnknownSignUp
        async with self._database.begin() as work:
            outcome = await self._try_code(work, code, session, ticket, user_agent)
        if isinstance(outcome, AccountError):
            raise outcome  # only now: the try has to be counted, so the transaction must not fail
        return outcome

    async def _by_link(self, work: UnitOfWork, token: str) -> MailedSignUp:
        mail_id = mail_id_of(token)
        if mail_id is None:
            raise WrongToken
        found = await sign_ups.of_mail(work, mail_id)
        mail = found.mail if found else await work.session.get(Mail, mail_id)
        if mail is None or mail.kind != sign_ups.CONFIRM:
            raise WrongToken
        if mail.nonce is not None and not self._tokens.fits(token, mail.id, mail.nonce):
            raise WrongToken
        if found is None or mail.nonce is None:
            raise ExpiredToken  # so long ago that the clean-up deleted the sign-up or the nonce
        if found.sign_up.account_id:
            raise UsedToken(found.sign_up.account_id)
        if found.sign_up.replaced_at:
            raise ReplacedToken
        if account := await sign_ups.account_of(work, found.sign_up.email_key):
            raise UsedToken(account.id)
        if sign_ups.is_too_old(found.mail, self._link_lasts, found.now, found.renewed_at):
            raise ExpiredToken
        return found

    async def _try_code(
        self, work: UnitOfWork, text: str, session: Session, ticket: UUID | None, user_agent: str
    ) -> NewSession | AccountError:
        found = await self._meant(work, session, ticket)
        if found is None or found.sign_up.session_id != session.id or found.sign_up.replaced_at:
            return UnknownSignUp()
        sign_up = found.sign_up
        if sign_up.account_id:
            return UsedToken(sign_up.account_id)
        if sign_up.tries >= MOST_TRIES:
            return TooManyTries()
        code = typed_code(text)
        if code is None:
            return MalformedCode(MOST_TRIES - sign_up.tries)  # a typing error is no guess
        mail, renewed_at = await self._mail_with(work, sign_up, code)
        # A decoy's code is in no mail, so nobody has it; should somebody guess it, it is as wrong as any other.
        if await sign_ups.account_of(work, sign_up.email_key) or mail is None:
            tries = sign_up.tries + 1
            await work.session.execute(update(SignUp).where(SignUp.id == sign_up.id).values(tries=tries))
            return WrongCode(MOST_TRIES - tries) if tries < MOST_TRIES else TooManyTries()
        if sign_ups.is_too_old(mail, CODE_LASTS, found.now, renewed_at):
            return ExpiredCode(MOST_TRIES - sign_up.tries)
        return await self._welcome(work, sign_up, mail, session, user_agent)

    async def _meant(self, work: UnitOfWork, session: Session, ticket: UUID | None) -> MailedSignUp | None:
        """Return the sign-up a typed code is for, with its address locked."""
        mail_id = ticket or await sign_ups.newest_of_browser(work, session.id)
        if mail_id is None:
            return None
        await sign_ups.lock_of_mail(work, mail_id)
        return await sign_ups.of_mail(work, mail_id)

    async def _mail_with(
        self, work: UnitOfWork, sign_up: SignUp, code: str
    ) -> tuple[Mail, datetime | None] | tuple[None, None]:
        """Return the mail that holds this code, of those sent to the address lately, and when it was renewed.

        It may be the mail of another browser's sign-up: whoever can read it has the mailbox, and the account gets
        the password of this browser.
        """
        for mail, renewed_at in await sign_ups.mails_sent_to(work, sign_up.email_key):
            if mail.nonce is not None and self._tokens.code_fits(code, mail.id, mail.nonce):
                return mail, renewed_at
        return None, None

    async def _welcome(
        self, work: UnitOfWork, sign_up: SignUp, mail: Mail, session: Session | None, user_agent: str
    ) -> NewSession:
        """Make the account that `mail` has confirmed, give it the sign-up's mails, and sign the browser in.

        Other browsers that know this sign-up's password are told, too: their sign-ups have the same hash.
        """
        await mark_received(work, mail.id)
        row = {
            "id": new_id(),
            "email": sign_up.email,
            "email_key": key_of(sign_up.email),  # during a deploy an earlier version may have written another
            "password_hash": sign_up.password_hash,
        }
        account = (await work.session.scalars(insert(Account).values(row).returning(Account))).one()
        if sign_up.issuer and sign_up.subject:
            linked = await write_link(work, account.id, sign_up.issuer, sign_up.subject, sign_up.email)
            if linked:  # else another account was linked with it meanwhile
                await self._log.record(work, account.id, EventKind.IDENTITY_LINKED, Origin(user_agent))
        if sign_up.invitation_id:
            await self._invitations.use(work, sign_up.invitation_id, account.id)
        done = {"confirmed_at": func.now(), "account_id": account.id, "password_hash": None}
        theirs = (SignUp.email_key == sign_up.email_key, SignUp.password_hash == sign_up.password_hash, OPEN)
        ended = await work.session.scalars(update(SignUp).where(*theirs).values(done).returning(SignUp.id))
        mail_ids = await sign_ups.mail_ids_of(work, ended.all())
        await self._tickets.give_to(work, mail_ids, account.id, follow_up="confirmed")
        await note(
            work, "account.confirmed", account.id, {"account_id": str(account.id), "address": account.email}
        )
        await self._log.record(work, account.id, EventKind.SIGNED_UP, Origin(user_agent))
        return await self._sessions.enter(work, account, session, user_agent)
