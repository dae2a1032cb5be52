"""What a person is told of each error: the one table from errors to pages and problem documents."""

from dataclasses import dataclass

from werkzeug.exceptions import NotFound

from mailroom.accounts import errors as accounts
from mailroom.accounts.providers import errors as providers
from mailroom.accounts.sign_up import errors as joining
from mailroom.i18n.messages import gettext_noop as _
from mailroom.kit.errors import MailroomError, Overloaded, Unavailable
from mailroom.tasks.service import CannotCancel, CannotRetry
from mailroom.web.forms.fields import Invalid, InvalidQuery
from mailroom.web.rate_limits.limits import TooManySignIns
from mailroom.web.security import CrossSite, UnknownHost
from mailroom.webhooks.endpoints import UnknownWebhook


@dataclass(frozen=True, slots=True)
class Answer:
    """One error as a person sees it: a title, advice (if empty, the error's own sentence), and a link to go on.

    The texts are marked and not yet translated.
    """

    status: int
    title: str
    advice: str = ""
    way: tuple[str, str] = (_("Go to the start page"), "/")


class NotShown(NotFound):
    """A mail or task that does not exist, or that belongs to somebody else: the answers must not differ."""


SIGN_IN, SIGN_UP, CODE = (
    (_("Sign in"), "/sign-in"),
    (_("Sign up again"), "/sign-up"),
    (_("Type the code"), "/confirm"),
)
NEW_PASSWORD = (_("Choose a new password"), "/new-password")
NEW_LINK = (_("Ask for another link"), "/new-password")
CONFIRM = (_("Confirm that it is you"), "/account/confirm")
SECURITY = (_("Go to the security of your account"), "/account/security")
AGAIN, BACK, ACCOUNT = (_("Try again"), ""), (_("Back"), ""), (_("Go to your account"), "/account")

TABLE: dict[type[Exception] | int, Answer] = {
    # -- tokens and codes
    accounts.WrongToken: Answer(
        404,
        _("This link does not work"),
        _("A part of the link may be missing. Copy the whole link from the mail, or type the code from the mail."),
        CODE,
    ),
    accounts.UsedToken: Answer(
        410,
        _("Already confirmed"),
        _("This address is confirmed. You do not need the link any more. Please sign in."),
        SIGN_IN,
    ),
    accounts.ExpiredToken: Answer(
        410,
        _("This link is too old"),
        _("Sign up again with the same address. We send you a new mail at once."),
        SIGN_UP,
    ),
    accounts.ReplacedToken: Answer(
        410,
        _("There is a newer mail"),
        _("You signed up again after this mail was sent. Please use the link or the code of the newest mail."),
        CODE,
    ),
    accounts.WrongPasswordLink: Answer(
        404,
        _("This link does not work"),
        _("A part of the link may be missing. Copy the whole link from the mail, or ask for another one."),
        NEW_LINK,
    ),
    accounts.UsedPasswordLink: Answer(
        410,
        _("This link was used"),
        _("A new password was chosen after this mail was sent. Please sign in with it, or ask for another link."),
        NEW_LINK,
    ),
    accounts.OldPasswordLink: Answer(
        410,
        _("This link is too old"),
        _("A link works for ten minutes. Please ask for another one. We send it at once."),
        NEW_LINK,
    ),
    accounts.WrongAddressLink: Answer(
        404,
        _("This link does not work"),
        _("A part of the link may be missing. Copy the whole link from the mail."),
        ACCOUNT,
    ),
    accounts.UsedAddressLink: Answer(410, _("This link was used"), way=ACCOUNT),
    accounts.OldAddressLink: Answer(410, _("This link is too old"), way=ACCOUNT),
    accounts.NotThisAccount: Answer(403, _("Please sign in to the account"), way=SIGN_IN),
    accounts.SameAddress: Answer(422, _("This is your address"), way=AGAIN),
    accounts.WrongNoticeLink: Answer(
        404,
        _("This link does not work"),
        _("A part of the link may be missing. Copy the whole link from the mail."),
        ACCOUNT,
    ),
    accounts.UsedNoticeLink: Answer(410, _("This link was used"), way=NEW_LINK),
    accounts.OldNoticeLink: Answer(410, _("This link is too old"), way=NEW_LINK),
    joining.WrongInvitation: Answer(
        404,
        _("This link does not work"),
        _("A part of the link may be missing. Copy the whole link from the mail."),
    ),
    joining.UsedInvitation: Answer(410, _("This invitation was used"), way=SIGN_IN),
    joining.WithdrawnInvitation: Answer(410, _("This invitation was taken back")),
    joining.OldInvitation: Answer(410, _("This invitation is too old")),
    joining.WrongDomain: Answer(422, _("Please check the address"), way=SIGN_UP),
    joining.NotTheInvited: Answer(422, _("Please check the address"), way=SIGN_UP),
    joining.AlreadyMember: Answer(409, _("This person has an account")),
    joining.UnknownInvitation: Answer(404, _("There is no such invitation")),
    joining.SignUpClosed: Answer(403, _("Sign-up is closed"), way=SIGN_IN),
    joining.InvitationNeeded: Answer(403, _("You need an invitation"), way=SIGN_IN),
    accounts.WrongDeletionLink: Answer(
        404,
        _("This link does not work"),
        _("A part of the link may be missing. Copy the whole link from the mail."),
        SIGN_IN,
    ),
    accounts.UsedDeletionLink: Answer(410, _("This link was used"), way=SIGN_IN),
    accounts.OldDeletionLink: Answer(410, _("This link is too old"), way=SIGN_IN),
    accounts.Leaving: Answer(
        403, _("This account is to be deleted"), way=(_("Keep the account"), "/account/delete")
    ),
    UnknownWebhook: Answer(
        404, _("No such webhook"), _("Somebody has removed it."), (_("Webhooks"), "/desk/webhooks")
    ),
    accounts.LastOperator: Answer(409, _("The only operator"), way=ACCOUNT),
    accounts.WrongCurrentPassword: Answer(422, _("Wrong password"), way=AGAIN),
    accounts.WrongPassword: Answer(422, _("Wrong password"), way=AGAIN),
    accounts.WrongCode: Answer(422, _("Wrong code"), way=CODE),
    accounts.MalformedCode: Answer(422, _("This is not a code"), way=CODE),
    accounts.ExpiredCode: Answer(422, _("This code is too old"), way=CODE),
    accounts.TooManyTries: Answer(
        429,
        _("Too many wrong codes"),
        _(
            "A wrong code was typed too often, so the code does not work any more. "
            "Use the link in the mail, or ask for a new mail."
        ),
        SIGN_UP,
    ),
    # -- signing up and in
    accounts.WrongCredentials: Answer(422, _("Wrong address or password"), way=SIGN_IN),
    accounts.NotConfirmed: Answer(422, _("This address is not confirmed yet"), way=SIGN_IN),
    accounts.SignInDelayed: Answer(429, _("Too many attempts to sign in"), way=NEW_PASSWORD),
    TooManySignIns: Answer(429, _("Too many attempts to sign in"), way=NEW_PASSWORD),
    accounts.UnknownSignUp: Answer(
        404,
        _("No sign-up to confirm"),
        _(
            "This browser has no open sign-up. You may have signed up in another browser, or the page is old. "
            "Use the link in the mail, or sign up again."
        ),
        SIGN_UP,
    ),
    accounts.UnknownLanguage: Answer(422, _("Please check the form"), way=AGAIN),
    accounts.UnknownTimeZone: Answer(422, _("Please check the form"), way=AGAIN),
    # -- second factors
    accounts.RecentSignInNeeded: Answer(403, _("Please confirm that it is you"), way=CONFIRM),
    accounts.NoPendingSignIn: Answer(410, _("Please sign in again"), way=SIGN_IN),
    accounts.WrongStepCode: Answer(422, _("Wrong code"), way=AGAIN),
    accounts.MalformedStepCode: Answer(422, _("This is not a code"), way=AGAIN),
    accounts.TooManyStepCodes: Answer(429, _("Too many codes"), way=BACK),
    accounts.TooManyStepTries: Answer(429, _("Too many wrong codes"), way=SIGN_IN),
    accounts.WrongPasskey: Answer(422, _("This passkey does not work"), way=BACK),
    accounts.UnknownPasskey: Answer(404, _("No such passkey"), way=SECURITY),
    accounts.TooManyPasskeys: Answer(409, _("Too many passkeys"), way=SECURITY),
    accounts.PasskeysRefused: Answer(409, _("No passkeys here"), way=SECURITY),
    accounts.LastWayIn: Answer(409, _("Nothing else opens your account"), way=SECURITY),
    # -- other sites
    providers.ProviderRefused: Answer(422, _("That did not work"), way=SIGN_IN),
    providers.ProviderAway: Answer(503, _("The other site is away"), way=SIGN_IN),
    providers.ProviderDeclined: Answer(422, _("You are not signed in"), way=SIGN_IN),
    providers.UnverifiedAddress: Answer(422, _("Your address is not confirmed there"), way=SIGN_IN),
    providers.IdentityTaken: Answer(409, _("Linked with another account"), way=SECURITY),
    providers.UnknownAnswer: Answer(410, _("Please begin again"), way=SIGN_IN),
    providers.UnknownIdentity: Answer(404, _("No such link"), way=SECURITY),
    providers.TooManyIdentities: Answer(409, _("Too many links"), way=SECURITY),
    accounts.NoFactor: Answer(409, _("Nothing to change"), way=SECURITY),
    accounts.ExportGone: Answer(
        410,
        _("This file is deleted"),
        _("A file is deleted after a day, or when you make a new one. Your account page makes a new file."),
        ACCOUNT,
    ),
    # -- tasks
    CannotCancel: Answer(409, _("This task cannot be cancelled"), way=BACK),
    CannotRetry: Answer(409, _("This task cannot be started again"), way=BACK),
    accounts.AlreadyConfirmed: Answer(
        409, _("Already confirmed"), _("This address is confirmed. Please sign in."), SIGN_IN
    ),
    accounts.TooSoon: Answer(429, _("Please wait a moment"), way=BACK),
    # -- servers of ours
    Unavailable: Answer(
        503,
        _("Please wait a moment"),
        _("The database cannot be reached. Nothing was saved. Please try again in a minute."),
        AGAIN,
    ),
    Overloaded: Answer(
        503,
        _("There is too much to do just now"),
        _("There is more to do than can be done at once. Nothing was saved. Please send the form again."),
        AGAIN,
    ),
    MailroomError: Answer(400, _("That did not work")),
    # -- the guard
    UnknownHost: Answer(400, _("Unknown address")),
    CrossSite: Answer(
        403,
        _("This form came from another site"),
        _("For your safety nothing was done. Open the page on this site and send the form again."),
    ),
    Invalid: Answer(422, _("Please check the form")),
    InvalidQuery: Answer(422, _("Please check the query")),
    NotShown: Answer(
        404,
        _("This page cannot be shown"),
        _("It does not exist, or it belongs to somebody else."),
    ),
    # -- HTTP
    400: Answer(400, _("The request could not be read"), _("Please go back and try again.")),
    401: Answer(401, _("Please sign in"), _("You need to sign in to see this page."), SIGN_IN),
    403: Answer(403, _("You may not see this page"), _("This page belongs to somebody else.")),
    404: Answer(404, _("Page not found"), _("There is no page at this address. Please check the address.")),
    405: Answer(405, _("This does not work here"), _("This address does not accept this kind of request.")),
    413: Answer(413, _("Too large"), _("Please send less in one request.")),
    415: Answer(415, _("The request could not be read"), _("Send a form, or JSON.")),
    422: Answer(422, _("Please check the form")),
    429: Answer(429, _("Too many requests"), way=BACK),
    500: Answer(
        500,
        _("Something went wrong on our side"),
        _(
            "The error is logged, and no mail is lost. Please try again. "
            "If it happens again, please tell the operator of this site."
        ),
    ),
    503: Answer(503, _("Please wait a moment"), _("This site is busy. Please try again in a minute."), AGAIN),
}
OFFERED = Answer(
    404,
    _("Please sign in to see this page"),
    _(
        "The page opens for the account that it belongs to. "
        "The page of a sign-up opens only in the browser in which you signed up."
    ),
)
"""What `NotShown` is for somebody who is not signed in."""
