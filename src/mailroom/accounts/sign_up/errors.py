"""Why somebody may not sign up, and what can be wrong with an invitation."""

from mailroom.accounts.errors import AccountError, TokenError


class SignUpClosed(AccountError):
    """Nobody can sign up here."""

    message_code = "account.error.sign_up_closed"


class InvitationNeeded(AccountError):
    """Only those who were invited can sign up here."""

    message_code = "account.error.invitation_needed"


class WrongDomain(AccountError):
    """Only addresses of certain domains can sign up here."""

    message_code = "account.error.wrong_domain"


class NotTheInvited(AccountError):
    """An invitation is for another address than the one that was typed."""

    message_code = "account.error.not_the_invited"


class AlreadyMember(AccountError):
    """Somebody to be invited has an account. Only for operators to see."""

    message_code = "account.error.already_member"


class UnknownInvitation(AccountError):
    """There is no invitation of this id that waits."""

    message_code = "account.error.unknown_invitation"


class WrongInvitation(TokenError):
    """A link of an invitation is none of ours, or was changed."""

    message_code = "account.error.wrong_notice_link"


class UsedInvitation(TokenError):
    """An account came of this invitation already."""

    message_code = "account.error.used_invitation"


class WithdrawnInvitation(TokenError):
    """An invitation was taken back."""

    message_code = "account.error.withdrawn_invitation"


class OldInvitation(TokenError):
    """An invitation is too old."""

    message_code = "account.error.old_invitation"
