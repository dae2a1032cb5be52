"""The links in mails to an account: for each its mail, the purpose of the mail, and the account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import func, select

from mailroom.accounts.errors import TokenError
from mailroom.accounts.models import Account, AccountEvent, AddressChange, PasswordMail
from mailroom.accounts.tokens import Tokens, mail_id_of
from mailroom.kit.database import UnitOfWork
from mailroom.mail.models import Mail

Asked = TypeVar("Asked", PasswordMail, AddressChange, AccountEvent)
"""The row that says what a mail was sent for."""


@dataclass(frozen=True, slots=True)
class MailedLink(Generic[Asked]):
    """A link that we made, as it is at one moment of PostgreSQL's clock. It may have been used, or be too old."""

    asked: Asked
    mail: Mail
    account: Account
    now: datetime


@dataclass(frozen=True, slots=True)
class LinkPurpose(Generic[Asked]):
    """The links of one purpose: the kind of their mails, the table of what was asked for, and the errors."""

    name: str
    """The purpose of their tokens (`tokens.py`)."""
    mail_kind: str
    table: type[Asked]
    wrong: type[TokenError]
    old: type[TokenError]
    also: tuple[str, ...] = ()
    """Other kinds of mail that hold such a link."""

    async def find(self, work: UnitOfWork, tokens: Tokens, token: str) -> MailedLink[Asked]:
        """Return what belongs to the link of this token. Raises `wrong` if there is no such link, and `old`.

        Rows that the session has already are read again: another transaction may have used the link meanwhile.
        """
        mail_id = mail_id_of(token)
        if mail_id is None:
            raise self.wrong
        rows = (
            select(self.table, Mail, Account, func.now())
            .join(Mail, Mail.id == self.table.mail_id)
            .join(Account, Account.id == self.table.account_id)
            .where(self.table.mail_id == mail_id)
            .execution_options(populate_existing=True)
        )
        row = (await work.session.execute(rows)).one_or_none()
        found = MailedLink(*row) if row else None
        if found is None or found.mail.kind not in {self.mail_kind, *self.also}:
            raise self.wrong
        if found.mail.nonce is None:
            raise self.old  # so long ago that the clean-up deleted the nonce that the link is made from
        if not tokens.fits(token, found.mail.id, found.mail.nonce, self.name):
            raise self.wrong
        return found
