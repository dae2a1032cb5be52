"""The catalogue of sentences: what a person reads for each code.

Rows, stored results and snapshots carry a code and its parameters. Only the edges (`web`, `cli`) use this module.
A code begins with the room that uses it. Parameters stand in a sentence as `%(name)s`, as gettext expects it.
"""

from collections.abc import Mapping
from typing import Any

from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated
from mailroom.kit.errors import MailroomError

SENTENCES: dict[str, str] = {
    "mail.unreachable": _("The mail server cannot be reached. The mail is kept and goes out once it is back."),
    "mail.tls": _(
        "The mail server offers no safe connection. The mail is kept; the operator has to look into it."
    ),
    "mail.sign_in": _(
        "The mail server does not accept this site's sign-in. The mail is kept; the operator has to look into it."
    ),
    "mail.deferred": _("The mail server asked to try again later."),
    "mail.refused": _(
        "The mail server refused this mail for good. Check the address for a typing error and start again with "
        "the right one."
    ),
    "mail.mailbox_refused": _(
        "The recipient's mailbox refused this mail for good: it is full, closed or cannot be reached. Use another "
        "address, or ask the recipient."
    ),
    "mail.sender_refused": _(
        "The mail server refused this mail because of its sender. The recipient's address is not the cause. The "
        "operator has to look into it."
    ),
    "mail.policy_refused": _(
        "The mail server refused this mail by one of its rules, as spam perhaps. The recipient's address is not "
        "the cause. The operator has to look into it."
    ),
    "mail.content_refused": _(
        "The mail server refused the content of this mail: it may be too large. The recipient's address is not "
        "the cause. The operator has to look into it."
    ),
    "mail.protocol_refused": _(
        "The mail server did not understand a command and refused this mail. The recipient's address is not the "
        "cause. The operator has to look into it."
    ),
    "mail.disconnected": _(
        "The connection to the mail server ended before the mail was handed over. It will be sent again."
    ),
    "mail.no_answer": _("The mail was handed over, but the mail server's answer got lost."),
    "mail.held": _(
        "The mail was handed over, but the mail server's answer got lost, so it may well be in the inbox "
        "already. It is not sent again by itself."
    ),
    "mail.restored": _(
        "The database was restored from a backup. This mail may have been sent before that; it is sent again."
    ),
    "mail.held_restored": _(
        "The database was restored from a backup. This mail may have been sent before that, so it is not sent "
        "again by itself."
    ),
    "mail.worker_lost": _("The worker that had this mail has stopped. Another one takes over."),
    "mail.crashed": _("This mail stopped its worker several times. The operator has to look into it."),
    "mail.unknown_kind": _("This mail waits for a worker that can create it."),
    "mail.broken": _(
        "This mail could not be created because of an error in this program. The operator has to look into it."
    ),
    "mail.expired": _("The mail grew too old before the mail server took it."),
    "mail.cancelled": _("The mail was cancelled."),
    "mail.error.cannot_retry": _(
        "The state of this mail is “%(state)s”; only one that failed, expired, waits or is uncertain can be sent "
        "again."
    ),
    "mail.error.cannot_cancel": _(
        "The state of this mail is “%(state)s”; only one that is queued, waits or is uncertain can be cancelled."
    ),
    "mail.error.contents_dropped": _("The contents of this mail have been dropped; it cannot be sent again."),
    "mail.error.cannot_send_again": _(
        "Only a mail that was sent, and that another program handed in, can be sent again as a copy. The state of "
        "this one is “%(state)s”, or it is Mailroom's own: its links belong to one mail."
    ),
    "task.broken": _("The task ran into an error of this program. The operator can see what went wrong."),
    "mail.limited": _("A sending limit lets this mail go later. It is stored and goes out by itself."),
    "alert.server.unreachable": _("it cannot be reached"),
    "alert.server.tls": _("it offers no safe connection"),
    "alert.server.sign_in": _("it does not accept Mailroom's sign-in"),
    "mail.paused": _("Sending is paused. The mail is kept and goes out once it goes on."),
    "mail.suppressed": _("This address takes no mail from this sender. The mail was held back."),
    "task.worker_lost": _("The worker was lost while it ran this task: its process or its machine stopped."),
    "task.worker_stopped": _("The worker was stopped while it ran this task."),
    "task.never_begun": _(
        "No worker took this task for two days. Perhaps this version does not know it any more."
    ),
    "task.paused": _("An operator has paused background tasks. This one waits."),
    "task.parts_failed": _("%(failed)s of %(total)s failed: %(error)s"),
    "task.step_failed": _("Step %(step)s of %(total)s failed: %(error)s"),
    "task.no_reason": _("no reason given"),
    "export.writing_account": _("Writing your account"),
    "export.writing_sessions": _("Writing your sessions"),
    "export.writing_security_history": _("Writing your security history"),
    "export.writing_address_changes": _("Writing the changes of your address"),
    "export.writing_authenticator_apps": _("Writing your authenticator app"),
    "export.writing_passkeys": _("Writing your passkeys"),
    "export.writing_recovery_codes": _("Writing when you made your recovery codes"),
    "export.writing_identities": _("Writing your other ways to sign in"),
    "export.writing_invitations": _("Writing your invitations"),
    "export.writing_mails": _("Writing your mails"),
    "export.writing_tasks": _("Writing your tasks"),
    "export.writing_apps": _("Writing what else belongs to you"),
    "export.ready": _("Your file is ready."),
    "account.error.failed": _("That did not work. Please try again."),
    "account.error.export_gone": _(
        "This export is no longer kept: exports are deleted after a day, or when a newer one is made."
    ),
    "account.error.invalid_address": _("%(reason)s Please check the address; it looks like name@example.org."),
    "account.error.weak_password": _(
        "%(reason)s Four or five words that have nothing to do with each other make a good one."
    ),
    "account.error.password_too_long": _("%(reason)s Please choose a shorter one."),
    "account.error.wrong_password": _(
        "No sign-up with this address has this password. Nothing was changed. Please try again, or sign up again."
    ),
    "account.error.wrong_current_password": _(
        "This is not the present password of your account. Nothing was changed. Please try again."
    ),
    "account.error.wrong_notice_link": _(
        "This link is not one of ours, or a part of it got lost. Please open it from the mail again, or copy all "
        "of it."
    ),
    "account.error.used_notice_link": _(
        "This link was used already. Please open the mail with the link to a new password, or ask for another."
    ),
    "account.error.old_notice_link": _(
        "This link is too old: it works for a week. If somebody else can get in, please choose a new password."
    ),
    "account.error.same_address": _("This is the address of your account already."),
    "account.error.used_address_link": _(
        "This link was used, or you asked for another change after it. Please look at your account."
    ),
    "account.error.old_address_link": _("This link is too old: it works for a day. Please ask for it again."),
    "account.error.not_this_account": _(
        "Please sign in to the account that asked for this address, and open the link again. Nothing was changed."
    ),
    "account.error.wrong_credentials": _(
        "This address and password do not belong together. Please check both, or sign up if you are new here."
    ),
    "account.error.sign_in_delayed": _(
        "Signing in with this address failed several times from here. Please wait, or choose a new password by "
        "mail."
    ),
    "account.error.not_confirmed": _("This sign-up is not confirmed yet. Please open the mail that we sent you."),
    "account.error.unknown_sign_up": _(
        "No sign-up of this browser waits for a confirmation. Please sign up; it takes a minute."
    ),
    "account.error.already_confirmed": _("This address is confirmed already. You can sign in."),
    "account.error.too_soon": _("A mail is on its way already. Please wait a minute before you ask for another."),
    "account.error.link": _("This link does not work."),
    "account.error.wrong_link": _(
        "This link is not one of ours, or a part of it got lost. Please open it from the mail again, or copy all "
        "of it."
    ),
    "account.error.old_link": _("This link is too old. Please sign up again; a new mail comes at once."),
    "account.error.replaced_link": _("This link no longer counts. Please use the newest mail."),
    "account.error.wrong_password_link": _(
        "This link is not one of ours, or a part of it got lost. Please copy all of it, or ask for another."
    ),
    "account.error.used_password_link": _(
        "A new password has been chosen since this mail was sent. Please sign in with it, or ask for another link."
    ),
    "account.error.old_password_link": _(
        "This link is too old: it works for ten minutes. Please ask for another; it comes at once."
    ),
    "account.error.wrong_code": _(
        "That is not the code of the mail. Please compare them; you have %(tries)s tries left."
    ),
    "account.error.wrong_code_last_try": _(
        "That is not the code of the mail. Please compare them; you have 1 try left."
    ),
    "account.error.old_code": _(
        "This code is too old: a code works for an hour. Please use the link in the mail, or send it again."
    ),
    "account.error.malformed_code": _(
        "A code has eight letters and digits, like BCDF-2345. It has no vowel, no L, no 0 and no 1. "
        "Please look at the mail again."
    ),
    "account.error.too_many_tries": _(
        "Those were too many wrong codes. Please have a new mail sent, or use the link in the one that you have."
    ),
    "account.error.sign_up_closed": _("Nobody can sign up here at the moment."),
    "account.error.invitation_needed": _(
        "Only those who were invited can sign up here. Please open the link in the mail that invites you."
    ),
    "account.error.wrong_domain": _("Addresses of this domain cannot sign up here without an invitation."),
    "account.error.not_the_invited": _("This invitation is for another address. Please sign up with that one."),
    "account.error.already_member": _("An account has this address already."),
    "account.error.unknown_invitation": _("There is no such invitation, or it was used or revoked already."),
    "account.error.used_invitation": _("This invitation was used. If it was you, please sign in."),
    "account.error.withdrawn_invitation": _("This invitation was taken back. Please ask those who invited you."),
    "account.error.old_invitation": _("This invitation is too old. Please ask for another one."),
    "account.error.unknown_language": _("Please choose one of the languages in the list."),
    "account.error.unknown_time_zone": _("Please choose one of the time zones in the list."),
    "account.error.no_pending_sign_in": _(
        "This sign-in has waited too long, or the password has changed since. Please sign in again."
    ),
    "account.error.wrong_step_code": _(
        "This code is wrong, or it was used already. Please type the newest code of your app, or a recovery code."
    ),
    "account.error.malformed_step_code": _(
        "This is no code. An app shows six digits; a recovery code has twelve letters and digits."
    ),
    "account.error.too_many_step_codes": _(
        "Many codes were typed for this account. Please wait, or use a passkey or a recovery code."
    ),
    "account.error.too_many_step_tries": _("Too many wrong codes were typed. Please sign in again."),
    "account.error.wrong_passkey": _("This passkey cannot be used here. Nothing was changed. Please try again."),
    "account.error.unknown_passkey": _("Your account has no such passkey."),
    "account.error.too_many_passkeys": _("Your account has 20 passkeys. Please remove one first."),
    "account.error.passkeys_refused": _("Browsers refuse passkeys at the address of this site."),
    "account.error.last_way_in": _(
        "This is the only way into your account. Please choose a password or add a passkey first."
    ),
    "account.error.provider_refused": _(
        "%(provider)s sent an answer that we do not accept. Nothing was changed. Please try again."
    ),
    "account.error.provider_away": _(
        "%(provider)s does not answer at the moment. Please try again, or choose another way."
    ),
    "account.error.provider_declined": _("You did not sign in at %(provider)s. Nothing was changed."),
    "account.error.unverified_address": _(
        "%(provider)s did not say that your mail address is confirmed there. Please confirm it at %(provider)s "
        "first."
    ),
    "account.error.identity_taken": _("This account of %(provider)s is linked with another account here already."),
    "account.error.unknown_answer": _(
        "This sign-in was used already, has waited too long, or was begun in another browser. Please begin again."
    ),
    "account.error.unknown_identity": _("Your account is not linked with this one."),
    "account.error.too_many_identities": _(
        "Your account is linked with ten others. Please remove one of them first."
    ),
    "account.error.no_factor": _("Your account has no second factor of this kind."),
    "account.error.recent_sign_in_needed": _("Please confirm that it is you, and then try again."),
    "passkeys.no_ip": _("Passkeys need a name: browsers refuse them where the address of the site is a number."),
    "passkeys.no_https": _("Passkeys need https: browsers refuse them on a site without it."),
    "account.error.used_deletion_link": _(
        "This link was used already, or the account was to be deleted once more after it. Please sign in."
    ),
    "account.error.old_deletion_link": _(
        "This link is too old. If the account is still there, sign in to keep it."
    ),
    "account.error.leaving": _("This account will be deleted. Until then all you can do is keep it."),
    "account.error.last_operator": _(
        "This is the account of the only operator. Please make somebody else an operator first."
    ),
    "account.error.unknown_account": _(
        "There is no account with this address. Its owner has to sign up and confirm it first."
    ),
    "address.missing": _("The address is missing."),
    "address.too_long": _("An address has at most %(most)s characters."),
    "address.wrong_domain": _("The part after the @-sign has characters that no domain has."),
    "password.too_long": _("A password has at most %(most)s characters."),
    "password.too_short": _("A password needs %(least)s characters or more; this one has %(typed)s."),
    "password.of_context": _(
        "This password is made of your address, the name of this site or words of its pages."
    ),
    "password.guessable": _("This password would be guessed too soon."),
    "password.leaked": _("This password is known from a data leak."),
    "password.common": _("This is similar to a commonly used password."),
    "password.word": _("A word by itself is easy to guess."),
    "password.name": _("Common names and surnames are easy to guess."),
    "password.keys": _("Rows of keys and short keyboard patterns are easy to guess."),
    "password.repeat": _('Repeats like "aaa" or "abcabcabc" are easy to guess.'),
    "password.sequence": _('Sequences like "abc" or "6543" are easy to guess.'),
    "password.date": _("Dates and years are easy to guess."),
    "task.error.cannot_cancel": _(
        "This task cannot be cancelled: it has ended, or it cannot be stopped half-way."
    ),
    "task.error.cannot_retry": _("Only a task that failed or was cancelled can be started again."),
    "task.error.unknown": _("There is no such task."),
    "mail.error.unknown": _("There is no mail with this id. `mailroom mails` lists the mails."),
    "mail.error.workers_running": _(
        "Workers are connected to this database. Stop all of them first, then run this again."
    ),
    "kit.error.unavailable": _("The database cannot be reached. Nothing was saved. Please try again in a minute."),
    "kit.error.overloaded": _(
        "There is more to do than can be done at once. Nothing was saved. Please try again in a moment."
    ),
    "cli.error.unknown_id": _(
        "There is no mail or task with this id. `mailroom mails` and `mailroom tasks` list the ids."
    ),
    "cli.error.unknown_kind": _(
        "There is no kind “%(name)s”. Pause all, transactional, bulk, tasks, or one of: %(known)s"
    ),
    "cli.error.unknown_worker": _("No worker has this name. `mailroom workers` lists them."),
    "cli.error.not_migrated": _(
        "The database does not have Mailroom's tables as this version needs them. Run `mailroom migrate`."
    ),
    "title.sign_up_mail": _("Sign-up mail"),
    "title.security_notice": _("Security notice"),
    "title.address_mail": _("Mail to the new address"),
    "title.invitation_mail": _("Invitation"),
    "title.deletion_mail": _("Deletion of your account"),
    "title.password_mail": _("Password mail"),
    "title.webhook_mail": _("Webhook mail"),
    "title.plain_mail": _("Mail"),
    "title.export": _("Export of your data"),
    "title.bulk_retry": _("Send again: all mails of “%(query)s”"),
    "title.bulk_cancel": _("Cancel: all mails of “%(query)s”"),
    "bulk.done": _("%(changed)s mails were changed, %(left_alone)s were left as they are."),
    "search.error.too_long": _("A search has at most %(most)s characters. Please shorten it."),
    "search.error.unknown_name": _(
        "A search knows no “%(name)s:”. Use one of %(names)s. Put a text with a colon in quotation marks."
    ),
    "search.error.no_value": _(
        "Nothing stands after “%(name)s:”. Write a value there, without a space before it."
    ),
    "search.error.twice": _("“%(name)s:” stands there twice. Keep one of them."),
    "search.error.state": _("There is no state “%(value)s”. Use one of %(states)s; separate several with commas."),
    "search.error.to": _(
        "“%(value)s” is no address. Write to:alice@example.org, or to:@example.org for a domain."
    ),
    "search.error.code": _("“%(value)s” is no reply code. Write three digits, such as code:550."),
    "search.error.enhanced": _("“%(value)s” is no enhanced status code. Write one such as enhanced:5.1.1."),
    "search.error.reason": _("There is no reason “%(value)s”. Use one of %(reasons)s."),
    "search.error.id": _("“%(value)s” is no id. Write the beginning of one: 2 to 32 digits 0 to 9 and a to f."),
    "search.error.stream": _("There is no stream “%(value)s”. Use one of %(streams)s."),
    "search.error.moment": _(
        "“%(value)s” is no moment. Write 30min, 2h, 7d or 4w, a date such as 2026-11-01, or since:all."
    ),
    "search.error.viewer": _("A viewer searches by whole domains: write to:@example.org."),
}
"""Each code and its sentence in English."""
_of_apps: dict[str, str] = {}


def add_sentences(sentences: Mapping[str, str]) -> None:
    """Add the sentences of an app. Their codes begin with its name, so that they cannot clash with others."""
    _of_apps.update(sentences)


def sentence(code: str, params: Mapping[str, Any] | None = None) -> str:
    """Return the sentence of a code in the current language, filled with its parameters.

    A newer worker may send a code that this process does not know yet, or other parameters: the code itself is
    returned then.
    """
    try:
        return translated(SENTENCES.get(code) or _of_apps[code]) % {
            name: _in_words(value) for name, value in (params or {}).items()
        }
    except (KeyError, TypeError, ValueError):
        return code


def _in_words(value: Any) -> Any:
    """Return a parameter as it is shown; one that is a sentence itself has a `message_code`."""
    return message_of(value) if isinstance(value, Mapping) else value


def text_of(text: str, params: Mapping[str, Any] | None) -> str:
    """Return what a column of text says with its column of parameters: the text, or the sentence of a code."""
    return text if params is None else sentence(text, params)


def message_of(facts: Mapping[str, Any]) -> str | None:
    """Return the sentence for `message_code` and `params`, or else the text in `message`, if there is one.

    A task's own report and an exception bring their text along; everything that Mailroom says has a code.
    """
    code, message = facts.get("message_code"), facts.get("message")
    if code:
        return sentence(code, facts.get("params"))
    return None if message is None else str(message)


def error_text(error: MailroomError) -> str:
    """Return the sentence of an error: of its `message_code`, or else its own words or docstring."""
    return sentence(error.message_code, error.params) if error.message_code else str(error)


def in_words(public: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot's public form (`Snapshot.public`) with `message` and `error.message` in words."""
    error = public.get("error")
    words: dict[str, Any] = {"message": message_of(public)} if "message_code" in public else {}
    if error and "message_code" in error:
        words["error"] = {**error, "message": message_of(error)}
    return {**public, **words} if words else public
