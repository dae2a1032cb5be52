"""The words of codes: what a person reads for a role, a kind of mail, a reason, an act of the audit log.

Sentences of codes are in `sentences.py`, states of mails and tasks in `web/views/words.py`. Only the edges use
this module. Where people search or type by a code, pages show it beside its words.
"""

from collections.abc import Mapping

from mailroom.i18n.messages import gettext, translated
from mailroom.i18n.messages import gettext_noop as _

ROLES = {"": _("member"), "operator": _("operator"), "viewer": _("viewer")}
SCOPES = {
    "full": _(
        "full: sends, reads, makes and revokes keys; if it is bound to no domain, does all that an operator can"
    ),
    "sending": _("sending: sends, and reads its own mails"),
    "read": _("read: reads, and sends nothing"),
}
PROCESSES = {"worker": _("Worker"), "web": _("Web"), "submission": _("Submission")}
STREAMS = {"transactional": _("Mails somebody waits for"), "bulk": _("Bulk mails")}
KINDS = {
    "account_deletion": _("Deletion of an account"),
    "address_in_use": _("New address that another account has"),
    "already_have_account": _("Sign-up of somebody who has an account"),
    "confirm_sign_up": _("Confirmation of a sign-up"),
    "invitation": _("Invitation"),
    "message": _("Message of a program"),
    "new_address": _("Confirmation of a new address"),
    "new_password": _("Link to a new password"),
    "no_account": _("New password for an address without an account"),
    "plain": _("Mail from the shell"),
    "security_notice": _("Security notice"),
    "webhook_disabled": _("Disabled webhook"),
}
"""Kinds of mail. Those of apps have the title that their `MailKind` names."""
REASONS = {
    "": _("Accepted late"),
    "unreachable": _("Server out of reach"),
    "tls": _("No safe connection"),
    "sign-in": _("Sign-in refused"),
    "deferred": _("Put off by the server"),
    "refused": _("Refused"),
    "mailbox refused": _("Mailbox refused"),
    "sender refused": _("Sender refused"),
    "policy refused": _("Policy refused"),
    "content refused": _("Content refused"),
    "protocol refused": _("Command refused"),
    "disconnected": _("Disconnected"),
    "no answer": _("No answer"),
    "restored": _("Restored from a backup"),
    "worker lost": _("Worker lost"),
    "crashed": _("Stopped its worker"),
    "suppressed": _("Held back"),
    "limited": _("Sending limit"),
    "paused": _("Paused"),
    "unknown kind": _("Kind that no worker knows"),
    "broken": _("Cannot be made"),
    "expired": _("Too old"),
    "cancelled": _("Cancelled"),
}
"""Reasons of a mail (`mail/states.py`), and none for a mail that was accepted late."""
EVENTS = {
    "email.sent": _("A mail was sent"),
    "email.delivery_delayed": _("A mail is tried again later"),
    "email.failed": _("A mail failed"),
    "email.scheduled": _("A mail was scheduled"),
    "email.suppressed": _("A mail was held back"),
    "email.uncertain": _("A mail may have arrived or not"),
    "email.delivered": _("A mail was delivered"),
    "email.bounced": _("A mail bounced"),
    "email.complained": _("A recipient complained"),
    "task.ended": _("A task ended"),
    "account.confirmed": _("A new account was confirmed"),
    "account.deleted": _("An account was deleted"),
    "alert.fired": _("An alert began"),
    "alert.cleared": _("An alert ended"),
}
"""Types of events, as webhooks tell them (`webhooks/payloads.py`)."""
ACTORS = {
    "account": _("by %(name)s"),
    "key": _("by the API key %(name)s"),
    "shell": _("by %(name)s in the shell"),
    "mailroom": _("by Mailroom itself"),
}
"""Who did something, in the audit log."""
TARGETS = {
    "account": _("Account"),
    "alert": _("Alert"),
    "all": _("All mails"),
    "invitation": _("Invitation"),
    "key": _("API key"),
    "kind": _("Kind of mail"),
    "mail": _("Mail"),
    "message": _("Message"),
    "stream": _("Stream"),
    "task": _("Task"),
    "tasks": _("Background tasks"),
    "webhook": _("Webhook"),
    "worker": _("Worker"),
}
"""What it was done to."""
ACTS = {
    "account.deletion_asked": _("Asked to delete an account"),
    "account.deletion_undone": _("Kept an account that was to be deleted"),
    "account.locked": _("Locked an account"),
    "account.reset_sent": _("Sent a link to a new password"),
    "account.unlocked": _("Unlocked an account"),
    "alert.silenced": _("Silenced an alert"),
    "alert.tested": _("Tested the alerts"),
    "alert.unsilenced": _("Ended the silence of an alert"),
    "invitation.created": _("Invited somebody"),
    "invitation.revoked": _("Revoked an invitation"),
    "key.created": _("Made an API key"),
    "key.revoked": _("Revoked an API key"),
    "mail.cancelled": _("Cancelled a mail"),
    "mail.retried": _("Sent a mail again"),
    "mail.sent_again": _("Sent a copy of a mail"),
    "mail.tested": _("Sent a test mail"),
    "mails.cancel": _("Began to cancel all mails of a search"),
    "mails.cancel_ended": _("Cancelled all mails of a search"),
    "mails.retry": _("Began to send all mails of a search again"),
    "mails.retry_ended": _("Sent all mails of a search again"),
    "message.cancelled": _("Cancelled a message"),
    "message.rescheduled": _("Moved a message to another time"),
    "role.granted": _("Gave an account a role"),
    "role.revoked": _("Took the role of an account away"),
    "sending.paused": _("Paused sending"),
    "sending.resumed": _("Resumed sending"),
    "sign_up.mailed": _("Sent the mail of a sign-up again"),
    "task.cancelled": _("Cancelled a task"),
    "task.retried": _("Began a task again"),
    "task.watched": _("Let a page show a task"),
    "tasks.paused": _("Paused background tasks"),
    "tasks.resumed": _("Resumed background tasks"),
    "two_step.off": _("Turned two steps off for an account"),
    "webhook.changed": _("Changed a webhook"),
    "webhook.created": _("Added a webhook"),
    "webhook.removed": _("Removed a webhook"),
    "webhook.replayed": _("Sent a delivery of a webhook again"),
    "worker.drain": _("Drained a worker"),
    "worker.resume": _("Had a drained worker go on"),
    "worker.stop": _("Stopped a worker"),
}
"""What was done (`AuditEntry.action`)."""

DELIVERY_STATES = {"waiting": _("not delivered yet"), "delivered": _("delivered"), "failed": _("failed")}
"""States of a webhook's deliveries."""
DELIVERY_ERRORS = {
    "timeout": _("No answer came within 10 seconds."),
    "unreachable": _("Nobody answers at this address."),
    "forbidden target": _("The address leads into a private network."),
    "secret lost": _("Its signing secret cannot be read: SECRET_KEY was changed."),
    "refused": _("The endpoint refused it."),
    "disabled": _("The endpoint was disabled."),
}
"""Why a delivery's last attempt failed (`webhooks/sender.py`)."""
WEBHOOK_DISABLED = {
    "gone": _("The endpoint says that it is gone (410)."),
    "failing": _("It has failed for five days."),
    "by hand": _("Somebody disabled it."),
}
"""Why an endpoint is disabled."""


def word_of(code: str, words: Mapping[str, str]) -> str:
    """Return the words of a code in the current language; a code of a newer release, or of an app, as it is."""
    return translated(words[code]) if code in words else code


def with_code(words: str, code: str) -> str:
    """Return words with their code behind them, for a choice: `Bulk mails (bulk)`."""
    return gettext("%(words)s (%(code)s)", words=words, code=code) if words != code else code


def labelled(label: str, value: str) -> str:
    """Return a label and its value: `Queued: 3`."""
    return gettext("%(label)s: %(value)s", label=label, value=value)
