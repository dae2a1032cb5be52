"""What the edges get to see of accounts and sessions: plain values, no rows."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from mailroom.accounts.models import Account


def role_of(role: str | None, is_operator: bool) -> str | None:
    """Return the role of an account. `is_operator` says who is an operator: the last release writes only that."""
    if is_operator:
        return "operator"
    return role if role == "viewer" else None


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account; its address is confirmed."""

    id: UUID
    email: str
    role: str | None
    """``operator``, ``viewer``, or none: a member."""
    created_at: datetime
    deletes_at: datetime | None = None
    """When it is deleted; until then all it can do is to stay. None: it is not to be deleted."""

    @classmethod
    def of(cls, account: Account) -> "AccountView":
        """Return what may be seen of this row."""
        role = role_of(account.role, account.is_operator)
        return cls(account.id, account.email, role, account.created_at, account.deletes_at)

    @property
    def is_operator(self) -> bool:
        """True where the account may see and administer everything."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser: anonymous, or signed in to `account`. `created_at` is when it began or signed in."""

    id: UUID
    account: AccountView | None
    created_at: datetime
    user_agent: str
    seen_at: datetime
    extended_to: datetime | None = None
    """The new end, where this look moved it: time to set the cookie again, with the secret it has."""
    token_hash: bytes = field(default=b"", repr=False)
    """SHA-256 of the cookie's secret."""
    address: str | None = None
    """The client's IP address at the last use."""

    @property
    def standing(self) -> "Standing":
        """Return what the session stood for when it was looked up."""
        account = self.account
        return Standing(self.token_hash, account.id if account else None, bool(account and account.is_operator))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the browser's own name for itself, and the client's IP address."""

    user_agent: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with a fresh secret, for the cookie; nobody else ever sees the secret."""

    session: Session
    secret: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Leave the secret out: this may reach a log."""
        return f"Started(session={self.session.id})"


@dataclass(frozen=True, slots=True)
class ConfirmationPreview:
    """What a link would confirm, and whether the sign-up's password must be given (another browser)."""

    email: str
    needs_password: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session stands for at one moment: the secret of its cookie, and the account signed in, if any.

    Rights that were given to one standing end with it.
    """

    token_hash: bytes = field(repr=False)
    account_id: UUID | None
    is_operator: bool
