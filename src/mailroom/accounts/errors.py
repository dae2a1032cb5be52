"""What can go wrong in this room. The sentence for each code is in `i18n/sentences.py`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from mailroom.kit.errors import MailroomError
from mailroom.progress.sentence import Sentence, as_facts


class AccountError(MailroomError):
    """An account, a sign-up or a link of either cannot do what was asked."""

    message_code: str = "account.error.failed"


class ExportGone(AccountError):
    """An export was deleted: it was too old, or a newer one was made."""

    message_code = "account.error.export_gone"


# -- forms


class InvalidAddress(AccountError):
    """A text is no address that mail can be sent to. `reason` says why, as a text or a message."""

    message_code = "account.error.invalid_address"

    def __init__(self, reason: str | Sentence) -> None:
        super().__init__()
        self.params = {"reason": as_facts(reason)}


class WeakPassword(AccountError):
    """A new password is refused; `reason` is the message that says why."""

    message_code = "account.error.weak_password"

    def __init__(self, reason: str | Sentence) -> None:
        super().__init__()
        self.params = {"reason": as_facts(reason)}


class TooLong(WeakPassword):
    """A new password has too many characters."""

    message_code = "account.error.password_too_long"


class WrongPassword(AccountError):
    """No sign-up that waits for the address of a link has the password that was typed. Nothing has changed."""

    message_code = "account.error.wrong_password"


class WrongCurrentPassword(AccountError):
    """The password that a member typed to change something is not the account's."""

    message_code = "account.error.wrong_current_password"


class SameAddress(AccountError):
    """The new address of an account is the one that it has."""

    message_code = "account.error.same_address"


class WrongCredentials(AccountError):
    """No account has this address and this password."""

    message_code = "account.error.wrong_credentials"


class SignInDelayed(AccountError):
    """A client failed several times in a row with an address; `seconds` until the next try."""

    message_code = "account.error.sign_in_delayed"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class NotConfirmed(AccountError):
    """A sign-up has this address and this password, and is not confirmed yet."""

    message_code = "account.error.not_confirmed"

    def __init__(self, ticket: UUID | None) -> None:
        super().__init__()
        self.ticket = ticket
        """The mail that this browser may watch or send again; None if the browser has no session."""


# -- mails asked for


class UnknownSignUp(AccountError):
    """No sign-up of this browser waits for its confirmation."""

    message_code = "account.error.unknown_sign_up"


class AlreadyConfirmed(AccountError):
    """The sign-up is confirmed already."""

    message_code = "account.error.already_confirmed"


class TooSoon(AccountError):
    """The last mail of this sign-up is too new to send another; `seconds` until that may be asked for."""

    message_code = "account.error.too_soon"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


# -- links and codes


class TokenError(AccountError):
    """A link of a mail does not work."""

    message_code = "account.error.link"


class WrongToken(TokenError):
    """A link to confirm an address is none of ours, or was changed."""

    message_code = "account.error.wrong_link"


class UsedToken(TokenError):
    """The address of a link is confirmed already: it is that of the account `account_id`."""

    message_code = "account.error.already_confirmed"

    def __init__(self, account_id: UUID) -> None:
        super().__init__()
        self.account_id = account_id


class ExpiredToken(TokenError):
    """A link to confirm an address is too old."""

    message_code = "account.error.old_link"


class ReplacedToken(TokenError):
    """The sign-up of a link has ended without being confirmed."""

    message_code = "account.error.replaced_link"


class WrongPasswordLink(TokenError):
    """A link to a new password is none of ours, or was changed."""

    message_code = "account.error.wrong_password_link"


class UsedPasswordLink(TokenError):
    """A new password was chosen since the mail of this link was sent."""

    message_code = "account.error.used_password_link"


class OldPasswordLink(TokenError):
    """A link to a new password is too old."""

    message_code = "account.error.old_password_link"


class WrongNoticeLink(TokenError):
    """A link of a security notice did not come from us, or was changed."""

    message_code = "account.error.wrong_notice_link"


class UsedNoticeLink(TokenError):
    """A link of a security notice was used."""

    message_code = "account.error.used_notice_link"


class OldNoticeLink(TokenError):
    """A link of a security notice is too old."""

    message_code = "account.error.old_notice_link"


class WrongAddressLink(TokenError):
    """A link to confirm a new address is none of ours, was changed, or its address belongs to another account."""

    message_code = "account.error.wrong_notice_link"


class UsedAddressLink(TokenError):
    """A link to confirm a new address was used, or a newer change took its place."""

    message_code = "account.error.used_address_link"


class OldAddressLink(TokenError):
    """A link to confirm a new address is too old."""

    message_code = "account.error.old_address_link"


class NotThisAccount(TokenError):
    """A link to confirm a new address was opened in a browser that is not signed in to its account."""

    message_code = "account.error.not_this_account"


class WrongDeletionLink(TokenError):
    """A link that keeps an account is none of ours, or was changed."""

    message_code = "account.error.wrong_notice_link"


class UsedDeletionLink(TokenError):
    """A link that keeps an account was used, or a newer deletion took its place."""

    message_code = "account.error.used_deletion_link"


class OldDeletionLink(TokenError):
    """A link that keeps an account is too old: mostly the account is deleted."""

    message_code = "account.error.old_deletion_link"


class WrongCode(AccountError):
    """A typed code is in no mail to the address; so many tries are left."""

    message_code = "account.error.wrong_code"

    def __init__(self, tries_left: int) -> None:
        super().__init__()
        self.tries_left = tries_left
        if tries_left == 1 and type(self) is WrongCode:
            self.message_code = "account.error.wrong_code_last_try"
        self.params: Mapping[str, Any] = {"tries": tries_left}


class ExpiredCode(WrongCode):
    """A typed code is right, and too old. It does not count as a try."""

    message_code = "account.error.old_code"


class MalformedCode(WrongCode):
    """A typed text cannot be a code. It does not count as a try."""

    message_code = "account.error.malformed_code"


class TooManyTries(AccountError):
    """Too many wrong codes were typed since the last mail was sent."""

    message_code = "account.error.too_many_tries"


class UnknownLanguage(AccountError):
    """There is no catalogue of this language."""

    message_code = "account.error.unknown_language"


class UnknownTimeZone(AccountError):
    """There is no such time zone."""

    message_code = "account.error.unknown_time_zone"


class RecentSignInNeeded(AccountError):
    """The owner has to show once more who it is, before this is done."""

    message_code = "account.error.recent_sign_in_needed"


# -- second factors


class NoPendingSignIn(AccountError):
    """No sign-in waits for its second step in this browser: too late, or the password has changed since."""

    message_code = "account.error.no_pending_sign_in"


class WrongStepCode(AccountError):
    """A typed code is none of the app's and no recovery code, or it was used."""

    message_code = "account.error.wrong_step_code"


class MalformedStepCode(WrongStepCode):
    """A typed text can be neither a code of an app nor a recovery code."""

    message_code = "account.error.malformed_step_code"


class TooManyStepCodes(AccountError):
    """Too many codes of an app were typed for one account; `seconds` until one more may be tried."""

    message_code = "account.error.too_many_step_codes"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class TooManyStepTries(AccountError):
    """Too many wrong codes were typed in one sign-in, which is over."""

    message_code = "account.error.too_many_step_tries"


class WrongPasskey(AccountError):
    """What a passkey signed is not what it was asked for, or it is none of this site's."""

    message_code = "account.error.wrong_passkey"


class UnknownPasskey(AccountError):
    """The account has no such passkey."""

    message_code = "account.error.unknown_passkey"


class TooManyPasskeys(AccountError):
    """The account has as many passkeys as it may have."""

    message_code = "account.error.too_many_passkeys"


class PasskeysRefused(AccountError):
    """Browsers refuse passkeys at the address of this site."""

    message_code = "account.error.passkeys_refused"


class LastWayIn(AccountError):
    """What is to be taken away is the only thing of the owner's that opens the account."""

    message_code = "account.error.last_way_in"


class NoFactor(AccountError):
    """The account has no second factor of this kind."""

    message_code = "account.error.no_factor"


# -- leaving


class Leaving(AccountError):
    """An account is to be deleted: all that it can do is to stay."""

    message_code = "account.error.leaving"


class LastOperator(AccountError):
    """The only operator's account is not deleted, not locked, and keeps its role."""

    message_code = "account.error.last_operator"


# -- operating


class UnknownAccount(AccountError):
    """No account has this address."""

    message_code = "account.error.unknown_account"
