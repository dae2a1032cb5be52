"""The words of security notices: one kind of mail for every event that its owner is told of."""

from collections.abc import Mapping

from mailroom.accounts.security.security_log import EventKind
from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated
from mailroom.mail.kinds import MailRow

WORDS = {
    EventKind.NEW_DEVICE: (
        _("A new device signed in to your account"),
        _("Somebody signed in to your account from a browser that was not used there before."),
    ),
    EventKind.ADDRESS_ASKED: (
        _("Your account is to get another address"),
        _(
            "Somebody who was signed in, with your password or a passkey, asked to give your account another "
            "address. It holds once the new address is confirmed."
        ),
    ),
    EventKind.ADDRESS_CHANGED: (
        _("Your account has another address now"),
        _("The new address was confirmed. Mails go there from now on. You can undo it for a week."),
    ),
    EventKind.PASSWORD_CHANGED: (
        _("Your password was changed"),
        _("The password of your account was changed by somebody who was signed in there."),
    ),
    EventKind.PASSWORD_RESET: (
        _("A new password was chosen for your account"),
        _("Somebody used the link of a mail to you to choose a new password. Every browser was signed out."),
    ),
    EventKind.SIGNED_IN: (
        _("Somebody signed in to your account"),
        _("You asked to be told of every time that somebody signs in."),
    ),
    EventKind.SESSION_ENDED: (
        _("A browser was signed out of your account"),
        _("Somebody who was signed in ended one of your sessions."),
    ),
    EventKind.SESSIONS_ENDED: (
        _("You are signed out everywhere else"),
        _("Somebody who was signed in ended every other session of your account."),
    ),
    EventKind.EXPORTED: (
        _("An export of your data was asked for"),
        _("Somebody who was signed in asked for a file with everything that we store about you."),
    ),
    EventKind.APP_ADDED: (
        _("An authenticator app was added to your account"),
        _("Its codes work when somebody signs in. Codes of an earlier app do not work any more."),
    ),
    EventKind.APP_REMOVED: (
        _("The authenticator app was removed from your account"),
        _("Its codes do not count any more."),
    ),
    EventKind.PASSKEY_ADDED: (
        _("A passkey was added to your account"),
        _("Somebody who has that passkey can sign in with it."),
    ),
    EventKind.PASSKEY_REMOVED: (
        _("A passkey was removed from your account"),
        _("It does not sign in any more."),
    ),
    EventKind.CODES_MADE: (
        _("Your account has new recovery codes"),
        _("The recovery codes that you had before do not work any more."),
    ),
    EventKind.RECOVERY_CODE_USED: (
        _("A recovery code of your account was used"),
        _("Somebody signed in or confirmed a change with one of your recovery codes. Each of them works once."),
    ),
    EventKind.SECOND_STEP_FAILED: (
        _("Somebody typed wrong codes for your account"),
        _(
            "Somebody knew your password and typed five wrong codes as the second step. Nobody was let in. If it "
            "was not you, please choose another password."
        ),
    ),
    EventKind.TWO_STEPS_ON: (
        _("Signing in to your account takes two steps now"),
        _("Every other browser was signed out. Please keep your recovery codes in a safe place."),
    ),
    EventKind.TWO_STEPS_OFF: (
        _("Signing in to your account takes one step now"),
        _("The second step was turned off, and the recovery codes do not work any more."),
    ),
    EventKind.IDENTITY_LINKED: (
        _("Your account is linked with one of another site"),
        _(
            "Whoever signs in at that site can sign in to your account by it. The second step stays, if you have "
            "one."
        ),
    ),
    EventKind.IDENTITY_UNLINKED: (
        _("Your account is no longer linked with one of another site"),
        _("That account does not sign in to yours any more."),
    ),
    EventKind.DELETION_UNDONE: (
        _("Your account stays"),
        _("Its deletion was undone. Nothing was deleted. Please sign in again."),
    ),
}
"""Event → the subject, and the sentence that says what happened."""
NAMING = {
    EventKind.PASSWORD_RESET: _(
        "Somebody used the link of a mail to you to choose a new password. Every browser was signed out. These "
        "accounts of other sites still sign in to yours: %(sites)s. Please remove what is not yours on the page "
        "about security."
    ),
    EventKind.IDENTITY_LINKED: _(
        "It is linked with %(sites)s now. Whoever signs in there can sign in to your account by it. The second "
        "step stays, if you have one."
    ),
}
"""Event → the sentence to use if the mail names accounts of other sites."""
UNKNOWN = (_("Something changed in your account"), _("Please look at the security history of your account."))
"""For events of a newer version."""


def words_of(row: MailRow) -> Mapping[str, str]:
    """Return the headline and the sentence of a notice, in the language of its mail."""
    event = str(row.params.get("event", ""))
    what, detail = WORDS.get(EventKind(event), UNKNOWN) if event in set(EventKind) else UNKNOWN
    sites = str(row.params.get("sites", ""))
    if sites and event in NAMING:
        return {"what": translated(what), "detail": translated(NAMING[EventKind(event)]) % {"sites": sites}}
    return {"what": translated(what), "detail": translated(detail)}
