"""Confirming an address: by the link of a mail, or by its code typed into the browser that signed up.

Whoever reads the mail owns the address, but the password is that of whoever signed up. So a link opened
elsewhere asks for that password: an attacker who signs up with somebody's address gains nothing from its
owner's click.
"""

from uuid import UUID

from sqlalchemy import func, insert, update

from mailroom.accounts import sign_ups
from mailroom.accounts.addresses import key_of
from mailroom.accounts.errors import (
    AccountError,
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
from mailroom.accounts.models import Account, SignUp
from mailroom.accounts.passwords import KNOWN, Passwords
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_ups import Found
from mailroom.accounts.tokens import Tokens, mail_id_of, typed_code
from mailroom.accounts.views import ConfirmationPreview, NewSession, Session
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.mail.administration import mark_received
from mailroom.mail.models import Mail
from mailroom.tasks.tickets import Tickets

MOST_TRIES = 5
CODES_TRIED = 5
"""A typed code may be that of any of the newest mails: people read the one they find."""


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
        hours: int,
    ) -> None:
        self._database = database
        self._tickets = tickets
        self._tokens = tokens
        self._passwords = passwords
        self._sessions = sessions
        self._hours = hours

    async def preview(self, token: str, session: Session | None) -> ConfirmationPreview:
        """Say what a link would confirm; changes nothing.

        Raises `WrongToken`, `UsedToken`, `ReplacedToken`, `ExpiredToken`.
        """
        async with self._database.begin() as work:
            found = await self._by_link(work, token)
        return ConfirmationPreview(found.sign_up.email, needs_password=not _is_of(found.sign_up, session))

    async def confirm(
        self, token: str, *, session: Session | None, password: str | None, user_agent: str
    ) -> NewSession:
        """Confirm by link: the account comes into being, and this browser is signed in to it.

        Raises as `preview` does, and `WrongPassword` where this is not the browser that signed up and
        `password` is not the one chosen there; nothing has changed then.
        """
        with self._passwords.place(KNOWN):
            async with self._database.begin() as work:
                found = await self._by_link(work, token)
        if not _is_of(found.sign_up, session):
            [is_theirs] = await self._passwords.match(password or "", [found.sign_up.password_hash])
            if not is_theirs:
                raise WrongPassword
        async with self._database.begin() as work:
            await sign_ups.lock_of_mail(work, found.mail.id)
            found = await self._by_link(work, token)  # again, now that nobody else can change it
            return await self._welcome(work, found.sign_up, found.mail, session, user_agent)

    async def confirm_by_code(
        self, code: str, *, session: Session | None, ticket: UUID | None, user_agent: str
    ) -> NewSession:
        """Confirm by the code of a mail, in the browser that signed up.

        `ticket` says which sign-up is meant; without one it is the newest of this browser. Raises
        `UnknownSignUp`, `UsedToken`, `ExpiredToken`, `WrongCode` with the tries left, `TooManyTries`.
        """
        if session is None:
            raise UnknownSignUp
        async with self._database.begin() as work:
            outcome = await self._try_code(work, code, session, ticket, user_agent)
        if isinstance(outcome, AccountError):
            raise outcome  # only now: the try has to be counted, so the transaction must not fail
        return outcome

    async def _by_link(self, work: UnitOfWork, token: str) -> Found:
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
            raise ExpiredToken  # so long ago that the clean-up has been there
        if found.sign_up.account_id:
            raise UsedToken(found.sign_up.account_id)
        if found.sign_up.replaced_at:
            raise ReplacedToken
        if account := await sign_ups.account_of(work, found.sign_up.email_key):
            raise UsedToken(account.id)
        if sign_ups.is_too_old(found.mail, self._hours, found.now):
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
            return MalformedCode(MOST_TRIES - sign_up.tries)  # a slip of the finger guesses nothing
        mail = await self._mail_with(work, sign_up, code)
        # A decoy's code is in no mail, so nobody has it; should somebody guess it, it is as wrong as any other.
        if await sign_ups.account_of(work, sign_up.email_key) or mail is None:
            tries = sign_up.tries + 1
            await work.session.execute(update(SignUp).where(SignUp.id == sign_up.id).values(tries=tries))
            return WrongCode(MOST_TRIES - tries) if tries < MOST_TRIES else TooManyTries()
        if sign_ups.is_too_old(mail, self._hours, found.now):
            return ExpiredToken()
        return await self._welcome(work, sign_up, mail, session, user_agent)

    async def _meant(self, work: UnitOfWork, session: Session, ticket: UUID | None) -> Found | None:
        """Return the sign-up a typed code is for, with its address locked."""
        mail_id = ticket or await sign_ups.newest_of_browser(work, session.id)
        if mail_id is None:
            return None
        await sign_ups.lock_of_mail(work, mail_id)
        return await sign_ups.of_mail(work, mail_id)

    async def _mail_with(self, work: UnitOfWork, sign_up: SignUp, code: str) -> Mail | None:
        """Return the mail that holds this code, of the newest few of the sign-up."""
        for mail in await sign_ups.mails_of(work, sign_up.id, newest=CODES_TRIED):
            if mail.nonce is not None and self._tokens.code_fits(code, mail.id, mail.nonce):
                return mail
        return None

    async def _welcome(
        self, work: UnitOfWork, sign_up: SignUp, mail: Mail, session: Session | None, user_agent: str
    ) -> NewSession:
        """Make the account by what `mail` said, give it the sign-up's mails, and sign the browser in."""
        await mark_received(work, mail.id)
        row = {
            "id": new_id(),
            "email": sign_up.email,
            "email_key": key_of(sign_up.email),  # during a deploy an earlier version may have written another
            "password_hash": sign_up.password_hash,
        }
        account = (await work.session.scalars(insert(Account).values(row).returning(Account))).one()
        done = {"confirmed_at": func.now(), "account_id": account.id, "password_hash": None}
        await work.session.execute(update(SignUp).where(SignUp.id == sign_up.id).values(done))
        mail_ids = await sign_ups.mail_ids_of(work, [sign_up.id])
        await self._tickets.give_to(work, mail_ids, account.id, follow_up="confirmed")
        return await self._sessions.enter(work, account, session, user_agent)


def _is_of(sign_up: SignUp, session: Session | None) -> bool:
    return session is not None and sign_up.session_id == session.id
