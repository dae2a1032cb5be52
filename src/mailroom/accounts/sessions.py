"""Sessions of browsers: kept on the server, so that they can be ended. Only the cookie knows the secret."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from mailroom.accounts.browsers import cleaned
from mailroom.accounts.errors import WrongCredentials
from mailroom.accounts.models import Account, BrowserSession
from mailroom.accounts.views import AccountView, NewSession, Session, Standing, roles_of
from mailroom.i18n import languages
from mailroom.kit import clock
from mailroom.kit.database import Database, PlainWork, UnitOfWork
from mailroom.kit.ids import new_id

IDLE = timedelta(days=30)
"""A session ends this long after its last request."""
AT_MOST = timedelta(days=90)
"""A session ends this long after it began, or signed in, however often it is used."""
SHORT_IDLE, SHORT_AT_MOST = timedelta(hours=12), timedelta(hours=24)
"""The same if the owner did not ask to stay signed in: somebody else may use that browser next."""
RECENT = timedelta(minutes=15)
"""How long a password or passkey counts for changes of the account's security."""
SETTLED = timedelta(days=1)
"""A passkey of this age can replace the password: its owner has had time to read the mail that told of it."""
SECRET_BYTES = 32
LONGEST_SECRET = 100
"""Characters that a cookie's secret can have: a longer text is no secret of ours, and is not looked up."""
AT_ONCE = 1000
"""Rows one clean-up deletes at most: a bounded piece of work; the next one goes on."""

# What every request asks, and a first request writes. Each is usually a transaction of its own, and costs a sixth
# of what it would with SQLAlchemy.
FIND = """
SELECT s.id, s.created_at, s.user_agent, s.seen_at, s.address, s.kept, s.verified_at, s.passkey_verified_at,
       now() - s.seen_at > interval '1 minute'
           OR (%(address)s::text IS NOT NULL AND s.address IS DISTINCT FROM %(address)s),
       a.id, a.email, a.role, a.is_operator, a.created_at, a.deletes_at, a.name, a.language, a.time_zone,
       a.two_step_at IS NOT NULL
FROM sessions s LEFT JOIN accounts a ON a.id = s.account_id
WHERE s.token_hash = %(token_hash)s AND s.expires_at > now() AND s.created_at > now() - %(at_most)s
    AND a.locked_at IS NULL
"""
START = """
INSERT INTO sessions (id, token_hash, user_agent, expires_at)
VALUES (%(id)s, %(token_hash)s, %(user_agent)s, now() + %(lasts)s)
ON CONFLICT (id) DO UPDATE SET seen_at = now() RETURNING created_at, seen_at, expires_at
"""
SEEN = """
UPDATE sessions SET seen_at = now(), address = coalesce(%(address)s, address),
    expires_at = CASE WHEN kept THEN least(now() + %(lasts)s, created_at + %(at_most)s)
                      ELSE least(now() + %(short)s, created_at + %(short_at_most)s) END
WHERE id = %(id)s AND (now() - seen_at > interval '1 minute'
    OR (%(address)s::text IS NOT NULL AND address IS DISTINCT FROM %(address)s)) RETURNING seen_at, expires_at
"""
STANDING = """
SELECT s.id, s.token_hash, s.account_id,
       coalesce(a.is_operator AND (NOT %(strict)s OR a.two_step_at IS NOT NULL), false)
FROM sessions s LEFT JOIN accounts a ON a.id = s.account_id
WHERE s.id = ANY(%(ids)s) AND s.expires_at > now() AND s.created_at > now() - %(at_most)s
    AND a.locked_at IS NULL
"""


IS_YOUNG = BrowserSession.created_at > func.now() - AT_MOST


class Sessions:
    """Starts, finds, lists and ends sessions. `strict`: a role counts only if signing in takes two steps."""

    def __init__(self, database: Database, *, strict: bool = False) -> None:
        self._database = database
        self._strict = strict
        self.on_change: list[Callable[[Collection[UUID]], None]] = []
        """Called, after the commit, with the sessions that this process ended or signed in. Must not block."""

    async def find(self, secret: str, address: str | None = None) -> Session | None:
        """Return the session of a cookie, or None: unknown, ended or too old.

        Its time is extended at most once a minute, and whenever it is used from another IP `address`;
        `extended_to` is its new end then.
        """
        if not secret or len(secret) > LONGEST_SECRET:
            return None
        token_hash = _hashed(secret)
        rows: list[Any] = await self._database.fetch(
            FIND, {"token_hash": token_hash, "at_most": AT_MOST, "address": address}
        )
        if not rows:
            return None
        session_id, created_at, user_agent, seen_at, used_from, kept, *rest = rows[0]
        verified_at, passkey_verified_at, is_news, *account = rest
        extended_to = None
        if is_news:
            seen: list[Any] = await self._database.fetch(
                SEEN,
                {
                    "id": session_id,
                    "address": address,
                    "lasts": IDLE,
                    "at_most": AT_MOST,
                    "short": SHORT_IDLE,
                    "short_at_most": SHORT_AT_MOST,
                },
            )
            seen_at, extended_to = seen[0] if seen else (seen_at, None)
        return Session(
            session_id,
            _account(account, strict=self._strict) if account[0] else None,
            created_at,
            user_agent,
            seen_at,
            extended_to,
            token_hash,
            address or used_from,
            kept,
            verified_at,
            passkey_verified_at,
        )

    async def standing(self, ids: Sequence[UUID]) -> dict[UUID, Standing]:
        """Return what each of these sessions stands for now; those that ended are left out."""
        async with self._database.connection() as connection:
            wanted = {"ids": list(ids), "at_most": AT_MOST, "strict": self._strict}
            rows: list[Any] = await (await connection.execute(STANDING, wanted, binary=True)).fetchall()
        return {session_id: Standing(*standing) for session_id, *standing in rows}

    async def start(self, user_agent: str) -> NewSession:
        """Start an anonymous session: it may watch its tickets and type its codes."""
        new = self.new(user_agent)
        made: list[Any] = await self._database.fetch(START, _row(new))
        created_at, seen_at, expires_at = made[0]
        return NewSession(replace(new.session, created_at=created_at, seen_at=seen_at), new.secret, expires_at)

    def new(self, user_agent: str) -> NewSession:
        """Return an anonymous session that begins once it is added; its times are by the clock of this process."""
        now, secret = clock.now(), secrets.token_urlsafe(SECRET_BYTES)
        session = Session(new_id(), None, now, cleaned(user_agent), now, token_hash=_hashed(secret))
        return NewSession(session, secret, now + IDLE)

    async def add(self, work: PlainWork, new: NewSession) -> None:
        """Begin a new session in `work`, with whatever it is for."""
        await work.write(START, _row(new))

    async def enter(
        self,
        work: UnitOfWork,
        account: Account,
        session: Session | None,
        user_agent: str,
        *,
        kept: bool = True,
        passkey_since: datetime | None = None,
    ) -> NewSession:
        """Sign a browser in, in `work`. The secret that it had before is invalid afterwards.

        An anonymous session becomes the account's and keeps its id, so that its tickets stay watchable. A session
        that is signed in already, to any account, ends. `kept` says that the browser stays signed in. If a passkey
        was used, `passkey_since` is when that passkey was added.

        Only `two_factor/sign_in.py` signs in to accounts that are there already: it knows how many steps it takes.
        Raises `WrongCredentials` for a locked account: no answer shows that it is locked.
        """
        if account.locked_at:
            raise WrongCredentials
        if account.browser_language is None:
            account.browser_language = languages.current()
        if session:
            self._tell_after(work, [session.id])
        has_shown = passkey_since is not None and stands_for_password(passkey_since, clock.now())
        shown = {"verified_at": func.now(), "passkey_verified_at": func.now() if has_shown else None}
        if session and session.account is None:
            renewed = await self._renew(work, session, account, user_agent, kept=kept, shown=shown)
            return renewed or await self._insert(work, account, user_agent, kept=kept, shown=shown)
        if session:
            await work.session.execute(delete(BrowserSession).where(BrowserSession.id == session.id))
        return await self._insert(work, account, user_agent, kept=kept, shown=shown)

    async def wait_for_step(self, work: UnitOfWork, session: Session | None, user_agent: str) -> NewSession:
        """Return an anonymous session of the browser, with a new secret, for a sign-in that is half done.

        Somebody who planted the earlier secret in the browser does not get to the second step. A session that is
        signed in already ends.
        """
        if session:
            self._tell_after(work, [session.id])
        if session and session.account is None:
            secret = secrets.token_urlsafe(SECRET_BYTES)
            renewed = (
                update(BrowserSession)
                .where(BrowserSession.id == session.id, BrowserSession.account_id.is_(None))
                .values(token_hash=_hashed(secret), seen_at=func.now(), expires_at=func.now() + IDLE)
                .returning(BrowserSession)
            )
            row = (await work.session.scalars(renewed)).one_or_none()
            if row:
                return NewSession(replace(session, token_hash=row.token_hash), secret, row.expires_at)
        elif session:
            await work.session.execute(delete(BrowserSession).where(BrowserSession.id == session.id))
        new = self.new(user_agent)
        await self.add(work, new)
        return new

    async def verified(self, work: UnitOfWork, session: Session, *, passkey_since: datetime | None = None) -> None:
        """Note that the owner has just proved who they are in this session.

        If a passkey was used, `passkey_since` is when that passkey was added.
        """
        shown: dict[str, Any] = {"verified_at": func.now()}
        if passkey_since is not None and stands_for_password(passkey_since, session.created_at):
            shown["passkey_verified_at"] = func.now()
        mine = update(BrowserSession).where(BrowserSession.id == session.id)
        await work.session.execute(mine.values(shown))

    async def end(self, session_id: UUID) -> None:
        """End a session; its cookie no longer works."""
        async with self._database.begin() as work:
            await self._delete(work, BrowserSession.id == session_id)

    async def of_account(self, account_id: UUID) -> list[Session]:
        """Return where the account is signed in, last seen first."""
        rows = (
            select(BrowserSession, Account)
            .join(Account, Account.id == BrowserSession.account_id)
            .where(Account.id == account_id, BrowserSession.expires_at > func.now(), IS_YOUNG)
            .order_by(BrowserSession.seen_at.desc())
        )
        async with self._database.begin() as work:
            return [self._view(row, account) for row, account in await work.session.execute(rows)]

    async def revoke(self, account_id: UUID, session_id: UUID) -> None:
        """End a session of this account; nobody else's."""
        async with self._database.begin() as work:
            await self.revoke_in(work, account_id, session_id)

    async def revoke_in(self, work: UnitOfWork, account_id: UUID, session_id: UUID) -> bool:
        """End a session of this account in `work`; tell whether there was one."""
        mine = (BrowserSession.id == session_id, BrowserSession.account_id == account_id)
        return bool(await self._delete(work, *mine))

    async def revoke_others(self, work: UnitOfWork, account_id: UUID, *, but: UUID) -> None:
        """End every session of this account except one, in `work`."""
        await self._delete(work, BrowserSession.account_id == account_id, BrowserSession.id != but)

    async def revoke_all(self, work: UnitOfWork, account_id: UUID) -> None:
        """End every session of this account, in `work`."""
        await self._delete(work, BrowserSession.account_id == account_id)

    async def purge(self, work: UnitOfWork) -> int:
        """Delete a bounded number of sessions that are over; return how many."""
        old = select(BrowserSession.id).where(BrowserSession.expires_at < func.now()).limit(AT_ONCE)
        gone = delete(BrowserSession).where(BrowserSession.id.in_(old)).returning(BrowserSession.id)
        return len((await work.session.scalars(gone)).all())

    async def _delete(self, work: UnitOfWork, *which: ColumnElement[bool]) -> int:
        found = await work.session.scalars(delete(BrowserSession).where(*which).returning(BrowserSession.id))
        gone = found.all()
        self._tell_after(work, gone)
        return len(gone)

    def _tell_after(self, work: UnitOfWork, ids: Collection[UUID]) -> None:
        for call in self.on_change:
            work.after_commit(partial(call, ids))

    async def _renew(
        self,
        work: UnitOfWork,
        session: Session,
        account: Account,
        user_agent: str,
        *,
        kept: bool,
        shown: dict[str, Any],
    ) -> NewSession | None:
        """Give an anonymous session to the account; None if it has ended, or belongs to somebody meanwhile."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        upgraded = (
            update(BrowserSession)
            .where(BrowserSession.id == session.id, BrowserSession.account_id.is_(None))
            .values(
                token_hash=_hashed(secret),
                account_id=account.id,
                user_agent=cleaned(user_agent),
                created_at=func.now(),
                seen_at=func.now(),
                kept=kept,
                **shown,
                expires_at=func.now() + (IDLE if kept else SHORT_IDLE),
            )
            .returning(BrowserSession)
        )
        row = (await work.session.scalars(upgraded)).one_or_none()
        return NewSession(self._view(row, account), secret, row.expires_at) if row else None

    async def _insert(
        self, work: UnitOfWork, account: Account, user_agent: str, *, kept: bool, shown: dict[str, Any]
    ) -> NewSession:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        made = (
            insert(BrowserSession)
            .values(
                id=new_id(),
                token_hash=_hashed(secret),
                account_id=account.id,
                user_agent=cleaned(user_agent),
                kept=kept,
                expires_at=func.now() + (IDLE if kept else SHORT_IDLE),
                **shown,
            )
            .returning(BrowserSession)
        )
        row = (await work.session.scalars(made)).one()
        return NewSession(self._view(row, account), secret, row.expires_at)

    def _view(self, row: BrowserSession, account: Account) -> Session:
        return Session(
            row.id,
            AccountView.of(account, strict=self._strict),
            row.created_at,
            row.user_agent,
            row.seen_at,
            token_hash=row.token_hash,
            address=row.address,
            kept=row.kept,
            verified_at=row.verified_at,
            passkey_verified_at=row.passkey_verified_at,
        )


def is_recent(session: Session) -> bool:
    """Tell whether the owner proved who they are in this session a short while ago."""
    return _is_recent(session.verified_at)


def showed_passkey(session: Session) -> bool:
    """Tell whether the owner recently used a passkey in this session that can replace the password."""
    return _is_recent(session.passkey_verified_at)


def stands_for_password(passkey_since: datetime, session_since: datetime) -> bool:
    """Tell whether a passkey is old enough to replace the password in this session.

    A thief with a stolen cookie could add a passkey and use it, so it has to be older than the session. It also
    has to be older than `SETTLED`, because the next sign-in could be with the thief's passkey.
    """
    return passkey_since < min(session_since, clock.now() - SETTLED)


def _is_recent(at: datetime | None) -> bool:
    return at is not None and clock.now() - at < RECENT


def _hashed(secret: str) -> bytes:
    # SHA-256 is enough: 256 random bits cannot be guessed, and this runs on every request.
    return hashlib.sha256(secret.encode()).digest()


def _row(new: NewSession) -> dict[str, Any]:
    session = new.session
    token_hash = _hashed(new.secret)
    return {"id": session.id, "token_hash": token_hash, "user_agent": session.user_agent, "lasts": IDLE}


def _account(row: Sequence[Any], *, strict: bool) -> AccountView:
    account_id, email, role, is_operator, since, deletes_at, name, language, time_zone, has_two_steps = row
    counts, withheld = roles_of(role, is_operator, has_two_steps=has_two_steps, strict=strict)
    chosen = (name, language, time_zone, has_two_steps, withheld)
    return AccountView(account_id, email, counts, since, deletes_at, *chosen)
