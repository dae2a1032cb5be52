"""Recovery codes: ten, each valid once, for signing in without the app, the phone or the passkey.

A new set is valid once its owner has typed one of its codes: before that nobody knows that there is a copy. That
code is used up then.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update

from mailroom.accounts.tokens import ALPHABET
from mailroom.accounts.two_factor.models import RecoveryCode
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id

HOW_MANY = 10
LENGTH = 12  # of 28 characters: 57 bits
GROUP = 4


class RecoveryCodes:
    """Makes codes, hashed under the first of `secret_keys`, and takes codes that are hashed under any of them."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [
            hmac.digest(key.encode(), b"mailroom/accounts/recovery codes", hashlib.sha256) for key in secret_keys
        ]

    async def make(self, work: UnitOfWork, account_id: UUID) -> list[str]:
        """Return a new set as it is shown, which happens only this once. The set before it is still valid."""
        await work.session.execute(
            delete(RecoveryCode).where(RecoveryCode.account_id == account_id, RecoveryCode.proven_at.is_(None))
        )
        codes = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(HOW_MANY)]
        rows = [
            {"id": new_id(), "account_id": account_id, "code_hash": self._hashed(self._keys[0], code)}
            for code in codes
        ]
        await work.session.execute(insert(RecoveryCode), rows)
        return ["-".join(code[at : at + GROUP] for at in range(0, LENGTH, GROUP)) for code in codes]

    async def prove(self, work: UnitOfWork, account_id: UUID, code: str) -> bool:
        """Put the new set in place of the old one, if this is a code of the new set. The code is used up."""
        new = (RecoveryCode.account_id == account_id, RecoveryCode.proven_at.is_(None))
        used = (
            update(RecoveryCode)
            .where(*new, RecoveryCode.code_hash.in_(self._all_hashes(code)), RecoveryCode.used_at.is_(None))
            .values(used_at=func.now())
            .returning(RecoveryCode.id)
        )
        if await work.session.scalar(used) is None:
            return False
        old = (RecoveryCode.account_id == account_id, RecoveryCode.proven_at.is_not(None))
        await work.session.execute(delete(RecoveryCode).where(*old))
        await work.session.execute(update(RecoveryCode).where(*new).values(proven_at=func.now()))
        return True

    async def use(self, work: UnitOfWork, account_id: UUID, code: str) -> bool:
        """Tell whether this is an unused code of the account; it is used up then."""
        used = (
            update(RecoveryCode)
            .where(
                RecoveryCode.account_id == account_id,
                RecoveryCode.code_hash.in_(self._all_hashes(code)),
                RecoveryCode.proven_at.is_not(None),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=func.now())
            .returning(RecoveryCode.id)
        )
        return await work.session.scalar(used) is not None

    async def left(self, work: UnitOfWork, account_id: UUID) -> int:
        """Return how many codes are left."""
        found = select(func.count()).where(
            RecoveryCode.account_id == account_id,
            RecoveryCode.proven_at.is_not(None),
            RecoveryCode.used_at.is_(None),
        )
        return int(await work.session.scalar(found) or 0)

    async def is_new(self, work: UnitOfWork, account_id: UUID) -> bool:
        """Tell whether a set waits for its owner to type one of its codes."""
        found = select(RecoveryCode.id).where(
            RecoveryCode.account_id == account_id, RecoveryCode.proven_at.is_(None)
        )
        return await work.session.scalar(found.limit(1)) is not None

    async def remove(self, work: UnitOfWork, account_id: UUID) -> None:
        """Forget every code of an account."""
        await work.session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))

    async def remove_newer(self, work: UnitOfWork, account_id: UUID, since: datetime) -> None:
        """Forget the codes that were made `since` then, and those whose owner has not typed one yet."""
        newer = or_(RecoveryCode.created_at >= since, RecoveryCode.proven_at.is_(None))
        await work.session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id, newer))

    def _all_hashes(self, code: str) -> list[bytes]:
        return [self._hashed(key, code) for key in self._keys]

    @staticmethod
    def _hashed(key: bytes, code: str) -> bytes:
        return hmac.digest(key, code.encode(), hashlib.sha256)
