"""What an operator can do about each reason of a failure. The texts are marked and not yet translated."""

from mailroom.i18n.messages import gettext_noop
from mailroom.mail.states import Reason

ADVICE = {
    Reason.UNREACHABLE: gettext_noop(
        "The mail server cannot be reached. Check that it runs, SMTP_URL and the firewall; mails go "
        "out by themselves once it answers. `mailroom doctor` says what it finds."
    ),
    Reason.TLS: gettext_noop(
        "There is no safe connection to the mail server. Check its certificate and the starttls part of SMTP_URL."
    ),
    Reason.SIGN_IN: gettext_noop(
        "The mail server refuses the sign-in. Check user and password in SMTP_URL; some providers ask"
        " for an application password."
    ),
    Reason.DEFERRED: gettext_noop(
        "The server asked to wait: greylisting, or too many mails at a time. Nothing is to be done "
        "unless it lasts; then send more slowly to this domain."
    ),
    Reason.REFUSED: gettext_noop(
        "The address does not exist, or its domain takes no mail. Do not send again before the "
        "address is mended: repeated tries harm your reputation."
    ),
    Reason.MAILBOX_REFUSED: gettext_noop(
        "The mailbox is full or closed. Ask the recipient in another way, and send again when there is room."
    ),
    Reason.SENDER_REFUSED: gettext_noop(
        "The server refuses the sender. Check that MAIL_FROM or the From address may send there, and "
        "the records SPF, DKIM and DMARC of its domain; then send the group again."
    ),
    Reason.POLICY_REFUSED: gettext_noop(
        "The server takes the mail for spam or refuses it by a rule. Check SPF, DKIM and DMARC, the "
        "reputation of your sending address (blocklists, postmaster pages of the provider), and the "
        "content; then send the group again."
    ),
    Reason.CONTENT_REFUSED: gettext_noop(
        "The server does not take the content: too large, or of a form that it cannot take. Sending "
        "the same again does not help; send less, or links in place of attachments."
    ),
    Reason.PROTOCOL_REFUSED: gettext_noop(
        "The server did not understand a command. A proxy or a filter between it and Mailroom may be the cause."
    ),
    Reason.NO_ANSWER: gettext_noop(
        "The server's answer got lost after the mail was handed over: it may have arrived. Send again"
        " only what may come twice."
    ),
    Reason.RESTORED: gettext_noop(
        "These mails may have gone out after the backup. `mailroom restored` tells what to do with them."
    ),
    Reason.CRASHED: gettext_noop("The mail ended its worker several times. The workers' log says what happened."),
    Reason.UNKNOWN_KIND: gettext_noop(
        "The workers lack the app that the mails belong to. Install it there, name it in MAILROOM_APPS and"
        " start them anew: what waits goes out by itself, what has expired can be sent again."
    ),
    Reason.BROKEN: gettext_noop(
        "The mail could not be made. Its page names the template, the line and the variable. Mend it,"
        " then send again."
    ),
    Reason.EXPIRED: gettext_noop(
        "The mails grew too old while they waited. See what held them up; then send again those that still matter."
    ),
}
OTHER = gettext_noop("Look at an example: its page has each attempt and the server's own words.")
