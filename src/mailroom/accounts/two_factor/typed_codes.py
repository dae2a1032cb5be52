"""The code that a person types as a second step: of an authenticator app, or a recovery code."""

from enum import StrEnum
from uuid import UUID

from mailroom.accounts.errors import AccountError, MalformedStepCode, TooManyStepCodes, WrongStepCode
from mailroom.accounts.tokens import ALPHABET
from mailroom.accounts.two_factor import code_budget
from mailroom.accounts.two_factor.recovery_codes import LENGTH, RecoveryCodes
from mailroom.accounts.two_factor.totp import DIGITS, Totp
from mailroom.kit.database import UnitOfWork


class CodeKind(StrEnum):
    """What was typed."""

    APP = "app"
    RECOVERY = "recovery"


class TypedCodes:
    """Takes both kinds of code from one field."""

    def __init__(self, totp: Totp, recovery_codes: RecoveryCodes) -> None:
        self._totp = totp
        self._recovery_codes = recovery_codes

    async def take(self, work: UnitOfWork, account_id: UUID, text: str) -> CodeKind | AccountError:
        """Use up a code in `work`, and say of which kind it was; or return what is wrong with it.

        The error is returned, not raised: the try has to be counted, so the transaction must not fail.
        """
        code = plain(text)
        if is_app_code(code):
            if wait := await code_budget.take(work, account_id):
                return TooManyStepCodes(wait)
            if not await self._totp.use(work, account_id, code):
                return WrongStepCode()
            await code_budget.give_back(work, account_id)
            return CodeKind.APP
        if len(code) != LENGTH or not set(code) <= set(ALPHABET):
            return MalformedStepCode()  # a typing error is no guess
        used = await self._recovery_codes.use(work, account_id, code)
        return CodeKind.RECOVERY if used else WrongStepCode()


def plain(text: str) -> str:
    """Return a code without what people type between its groups, in capitals."""
    return "".join(text.split()).replace("-", "").upper()


def is_app_code(code: str) -> bool:
    """Tell whether this can be a code of an authenticator app."""
    return len(code) == DIGITS and code.isascii() and code.isdigit()
