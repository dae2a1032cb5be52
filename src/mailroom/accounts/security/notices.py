"""The words of security notices: one kind of mail for every event that its owner is told of."""

from collections.abc import Mapping

from mailroom.accounts.security.security_log import EventKind
from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated
from mailroom.mail.kinds import MailRow

WORDS = {
    EventKind.NEW_DEVICE: (
        _("A new device signed in to your account"),
        _("Somebody signed in to your account with its password, from a browser that was not used there before."),
    ),
    EventKind.ADDRESS_ASKED: (
        _("Your account is to get another address"),
        _(
            "Somebody who was signed in and knew your password asked to give your account another address. It "
            "holds once the new address is confirmed."
        ),
    ),
    EventKind.ADDRESS_CHANGED: (
        _("Your account has another address now"),
        _("The new address was confirmed. Mails go there from now on. You can undo it for a week."),
    ),
    EventKind.PASSWORD_CHANGED: (
        _("Your password was changed"),
        _("The password of your account was changed by somebody who was signed in and knew the old one."),
    ),
    EventKind.DELETION_UNDONE: (
        _("Your account stays"),
        _("Its deletion was undone. Nothing was deleted. Please sign in again."),
    ),
}
"""Event → the subject, and the sentence that says what happened."""
UNKNOWN = (_("Something changed in your account"), _("Please look at the security history of your account."))
"""For events of a newer version."""


def words_of(row: MailRow) -> Mapping[str, str]:
    """Return the headline and the sentence of a notice, in the language of its mail."""
    event = str(row.params.get("event", ""))
    what, detail = WORDS.get(EventKind(event), UNKNOWN) if event in set(EventKind) else UNKNOWN
    return {"what": translated(what), "detail": translated(detail)}
