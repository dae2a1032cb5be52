"""Codes of authenticator apps (TOTP, RFC 6238): six digits, a new one every 30 seconds."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pyotp
from sqlalchemy import ColumnElement, delete, func, insert, select, update

from mailroom.accounts.two_factor.models import TotpSecret
from mailroom.kit import clock
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id
from mailroom.kit.secret_box import CannotOpen, SecretBox

STEP = 30
"""Seconds for which a code is shown."""
DRIFT = 1
"""Steps before and after the present one that count: clocks differ (RFC 6238 §5.2)."""
DIGITS = 6
SET_UP_LASTS = timedelta(minutes=30)
"""How long a new secret waits for its first code."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is being set up: `text` to type into an app, `uri` for its camera."""

    text: str
    uri: str

    def __repr__(self) -> str:
        """Leave the secret out: this may reach a log."""
        return "NewSecret()"


class Totp:
    """Keeps the secrets of authenticator apps, sealed in `box`; `issuer` is what an app calls the site."""

    def __init__(self, box: SecretBox, *, issuer: str) -> None:
        self._box = box
        self._issuer = issuer

    async def begin(self, work: UnitOfWork, account_id: UUID, session_id: UUID) -> None:
        """Make a new secret, for this browser to see. The one in use stays in use until the new one is proven."""
        await work.session.execute(delete(TotpSecret).where(*_new_of(account_id)))
        sealed = self._box.close(pyotp.random_base32().encode())
        row = {"id": new_id(), "account_id": account_id, "session_id": session_id, "sealed": sealed}
        await work.session.execute(insert(TotpSecret).values(row))

    async def new_secret(
        self, work: UnitOfWork, account_id: UUID, session_id: UUID, *, account_name: str
    ) -> NewSecret | None:
        """Return the secret that this browser sets up; None if there is none, or it has waited too long."""
        row = await self._new(work, account_id, session_id)
        if row is None:
            return None
        text = self._box.open(row.sealed).decode()
        return NewSecret(text, pyotp.TOTP(text).provisioning_uri(name=account_name, issuer_name=self._issuer))

    async def prove(self, work: UnitOfWork, account_id: UUID, session_id: UUID, code: str) -> bool:
        """Put the new secret in place of the old one, if this is a code of the new secret."""
        row = await self._new(work, account_id, session_id)
        step = self._step_of(row, code) if row else None
        if row is None or step is None:
            return False
        await work.session.execute(
            delete(TotpSecret).where(TotpSecret.account_id == account_id, TotpSecret.proven_at.is_not(None))
        )
        proven = update(TotpSecret).where(TotpSecret.id == row.id)
        await work.session.execute(proven.values(proven_at=func.now(), last_step=step, session_id=None))
        return True

    async def use(self, work: UnitOfWork, account_id: UUID, code: str) -> bool:
        """Tell whether this is a code of the account's app. No code is taken twice, or after a newer one."""
        row = await self.in_use(work, account_id)
        step = self._step_of(row, code) if row else None
        if row is None or step is None:
            return False
        claimed = (
            update(TotpSecret)
            .where(TotpSecret.id == row.id, TotpSecret.last_step < step)
            .values(last_step=step)
            .returning(TotpSecret.id)
        )
        return await work.session.scalar(claimed) is not None

    async def in_use(self, work: UnitOfWork, account_id: UUID) -> TotpSecret | None:
        """Return the secret that is in use, or None."""
        found = select(TotpSecret).where(TotpSecret.account_id == account_id, TotpSecret.proven_at.is_not(None))
        return await work.session.scalar(found)

    async def remove(self, work: UnitOfWork, account_id: UUID) -> bool:
        """Forget the app of an account, and one that is being set up; tell whether one was in use."""
        gone = delete(TotpSecret).where(TotpSecret.account_id == account_id).returning(TotpSecret.proven_at)
        return any(await work.session.scalars(gone))

    async def _new(self, work: UnitOfWork, account_id: UUID, session_id: UUID) -> TotpSecret | None:
        found = select(TotpSecret).where(
            *_new_of(account_id),
            TotpSecret.session_id == session_id,
            TotpSecret.created_at > func.now() - SET_UP_LASTS,
        )
        return await work.session.scalar(found)

    def _step_of(self, row: TotpSecret, code: str) -> int | None:
        """Return the time step of the code, or None if the code fits no step near the present one."""
        try:
            totp = pyotp.TOTP(self._box.open(row.sealed).decode())
        except CannotOpen:  # encrypted under a SECRET_KEY that is no longer set: the other factors still work
            return None
        present = int(clock.now().timestamp()) // STEP
        steps = range(present - DRIFT, present + DRIFT + 1)
        fits = [hmac.compare_digest(totp.generate_otp(step), code) for step in steps]  # all, whichever fits
        return next((step for step, fit in zip(steps, fits, strict=True) if fit), None)


def _new_of(account_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (TotpSecret.account_id == account_id, TotpSecret.proven_at.is_(None))
