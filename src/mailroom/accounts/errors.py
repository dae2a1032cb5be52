"""What can go wrong on the way in. Each docstring is the sentence a person reads: what is wrong, what to do."""

# ruff: noqa: D404  # these docstrings are sentences for people, who are told about "this link"

from uuid import UUID

from mailroom.kit.errors import MailroomError


class AccountError(MailroomError):
    """That did not work. Please try again."""


class ExportGone(AccountError):
    """This export is no longer kept: exports are deleted after a day, or when a newer one is made."""


# -- forms


class InvalidAddress(AccountError):
    """That is not an address mail can be sent to. Please check it; it looks like name@example.org."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} Please check the address; it looks like name@example.org.")
        self.reason = reason


class WeakPassword(AccountError):
    """That password is too easy to guess. Please choose another."""

    advice = "Four or five words that have nothing to do with each other make a good one."

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} {self.advice}")
        self.reason = reason


class TooLong(WeakPassword):
    """That password is too long. Please choose a shorter one."""

    advice = "Please choose a shorter one."


class WrongPassword(AccountError):
    """That is not the password chosen at this sign-up. Nothing was changed; please try again, or sign up anew."""


class WrongCredentials(AccountError):
    """This address and password do not belong together. Please check both, or sign up if you are new here."""


class NotConfirmed(AccountError):
    """Almost there: this sign-up waits for its confirmation. Please open the mail we sent you."""

    def __init__(self, ticket: UUID | None) -> None:
        super().__init__()
        self.ticket = ticket
        """The mail to watch or to send again from this browser; None where the browser had no session."""


# -- mails asked for


class UnknownSignUp(AccountError):
    """No sign-up of this browser waits for a confirmation. Please sign up; it takes a minute."""


class AlreadyConfirmed(AccountError):
    """This address is confirmed already. You can sign in."""


class TooSoon(AccountError):
    """A mail is on its way already. Please give it a minute before asking for another."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        """How long to wait until the next mail may be asked for."""


# -- links and codes


class TokenError(AccountError):
    """This link does not work."""


class WrongToken(TokenError):
    """This link is not one of ours, or a part of it got lost. Please open it from the mail again, or copy all
    of it.
    """


class UsedToken(TokenError):
    """This address is confirmed already. You can sign in."""

    def __init__(self, account_id: UUID) -> None:
        super().__init__()
        self.account_id = account_id
        """Whose address it is: a browser signed in as that account need not be sent to sign in."""


class ExpiredToken(TokenError):
    """This link is too old. Please sign up again; you get a new one at once."""


class ReplacedToken(TokenError):
    """Somebody signed up with this address once more, so this link no longer counts. Please use the newest
    mail.
    """


class WrongPasswordLink(TokenError):
    """This link is not one of ours, or a part of it got lost. Please copy all of it, or ask for another."""


class UsedPasswordLink(TokenError):
    """A new password has been chosen since this mail was sent. Please sign in with it, or ask for another link."""


class OldPasswordLink(TokenError):
    """This link is too old: it works for ten minutes. Please ask for another; it comes at once."""


class WrongCode(AccountError):
    """That is not the code of the mail."""

    def __init__(self, tries_left: int) -> None:
        tries = "try" if tries_left == 1 else "tries"
        super().__init__(
            f"That is not the code of the mail. Please compare them; you have {tries_left} {tries} left."
        )
        self.tries_left = tries_left


class ExpiredCode(WrongCode):
    """This code is too old: it works for an hour. The link in the same mail works for longer."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(tries_left)
        self.args = (
            "This code is too old: a code works for an hour. Please use the link in the mail, or send it again.",
        )


class MalformedCode(WrongCode):
    """What was typed cannot be a code; it does not count as a try."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(tries_left)
        words = "That is no code: it has eight letters and digits, and never a vowel, an L, a 0 or a 1."
        self.args = (f"{words} Please look at the mail again.",)


class TooManyTries(AccountError):
    """Those were too many wrong codes. Please have a new mail sent, or use the link in the one you have."""


# -- operating


class UnknownAccount(AccountError):
    """There is no account with this address. Its owner has to sign up and confirm it first."""
