"""Accounts and sessions as the edges see them: plain values, no rows."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from mailroom.accounts.models import Account
from mailroom.mail.kinds import Reader


def role_of(role: str | None, is_operator: bool) -> str | None:
    """Return the role of an account. `is_operator` alone marks operators: the last release writes only that."""
    if is_operator:
        return "operator"
    return role if role == "viewer" else None


def roles_of(
    role: str | None, is_operator: bool, *, has_two_steps: bool, strict: bool
) -> tuple[str | None, str | None]:
    """Return the role that counts, and the one that waits for a second step. `strict`: a role takes two steps."""
    full = role_of(role, is_operator)
    return (None, full) if strict and not has_two_steps else (full, None)


def reader_of(account: Account | None) -> Reader:
    """Return the language and time zone of an account's mails: the chosen language, else the browser's."""
    return Reader(account.language or account.browser_language, account.time_zone) if account else Reader()


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account; its address is confirmed."""

    id: UUID
    email: str
    role: str | None
    """``operator``, ``viewer``, or none: a member."""
    created_at: datetime
    deletes_at: datetime | None = None
    """When it is deleted; until then it can only undo that. None: it is not to be deleted."""
    name: str | None = None
    """What the owner wants to be called."""
    language: str | None = None
    time_zone: str | None = None
    has_two_steps: bool = False
    """True if signing in takes a second step."""
    withheld_role: str | None = None
    """The role that the account gets once signing in takes a second step (TWO_STEP_FOR_OPERATORS)."""

    @classmethod
    def of(cls, account: Account, *, strict: bool = False) -> "AccountView":
        """Return what may be seen of this row. `strict`: a role takes two steps."""
        has_two_steps = account.two_step_at is not None
        role, withheld = roles_of(account.role, account.is_operator, has_two_steps=has_two_steps, strict=strict)
        return cls(
            account.id,
            account.email,
            role,
            account.created_at,
            account.deletes_at,
            account.name,
            account.language,
            account.time_zone,
            has_two_steps,
            withheld,
        )

    @property
    def is_operator(self) -> bool:
        """True if the account may see and administer everything."""
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
    """The new end, if this look-up moved it: then the cookie has to be set again, with the same secret."""
    token_hash: bytes = field(default=b"", repr=False)
    """SHA-256 of the cookie's secret."""
    address: str | None = None
    """The client's IP address at the last use."""
    kept: bool = True
    """False if it ends with the browser."""
    verified_at: datetime | None = None
    """When the owner last proved who they are, by any means."""
    passkey_verified_at: datetime | None = None
    """When they last did so with a passkey that replaces the password."""

    @property
    def standing(self) -> "Standing":
        """Return the standing of the session when it was looked up."""
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
class SecondStepNeeded:
    """The first step of a sign-in is done.

    The session in `started` is still anonymous and has a new secret for the browser.
    """

    started: NewSession


SignedIn = NewSession | SecondStepNeeded
"""What a right password or link leads to: the account, or the page that asks for the second step."""


@dataclass(frozen=True, slots=True)
class ConfirmationPreview:
    """What a link would confirm, and whether the sign-up's password must be given (another browser)."""

    email: str
    needs_password: bool
    has_password: bool = True
    """False if no sign-up that waits for the address has one: they came from other sites."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session is at one moment: the secret of its cookie, and the account signed in, if any.

    Rights given to a session end when its standing changes.
    """

    token_hash: bytes = field(repr=False)
    account_id: UUID | None
    is_operator: bool
