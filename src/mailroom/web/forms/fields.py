"""Checks what a page sends, as an HTML form or JSON, with messages that say what to do."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from quart import request
from werkzeug.exceptions import BadRequest

from mailroom.i18n.messages import gettext, gettext_noop, translated

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
PasswordText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]

LONGEST_NAME = 40
"""Characters of an unknown name that an answer repeats."""


class Form(BaseModel):
    """The base of all forms. `MISSING` and `TOO_LONG` say for each field what to do when it is wrong."""

    model_config = ConfigDict(hide_input_in_errors=True)


class SignUpForm(Form):
    """An address, and a password for it."""

    email: ShortText
    password: PasswordText


class SignInForm(Form):
    """An address and its password."""

    email: ShortText
    password: PasswordText
    keep: str = ""
    """Not empty: the browser stays signed in."""


class AddressForm(Form):
    """An address alone."""

    email: ShortText


class NewPasswordForm(Form):
    """A password alone."""

    password: PasswordText


class OtherPasswordForm(Form):
    """A new password, whether to sign out everywhere else, and the present password if it is typed."""

    password: PasswordText
    end_others: str = ""
    current: str = ""


class ChangePasswordForm(OtherPasswordForm):
    """An `OtherPasswordForm` in which the present password must be typed."""

    current: PasswordText


class OtherAddressForm(Form):
    """A new address, and the present password if it is typed."""

    email: ShortText
    current: str = ""


class ChangeAddressForm(OtherAddressForm):
    """An `OtherAddressForm` in which the present password must be typed."""

    current: PasswordText


class RecentForm(Form):
    """The present password once more, and with two steps also a code."""

    current: PasswordText
    step_code: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""


class StepCodeForm(Form):
    """A code of an authenticator app, or a recovery code."""

    step_code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


class ProfileForm(Form):
    """What members choose."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=80)] = ""
    language: str = ""
    time_zone: str = ""


class CodeForm(Form):
    """The code out of the mail, and the ticket of the page it was typed on."""

    code: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
    ticket: str = ""


MISSING = {
    "step_code": gettext_noop("Please type a code."),
    "email": gettext_noop("Please type your mail address."),
    "password": gettext_noop("Please type a password."),
    "current": gettext_noop("Please type your present password."),
    "code": gettext_noop("Please type the code from the mail."),
}
TOO_LONG = {
    "step_code": gettext_noop("A code has at most twelve letters and digits. Please check it."),
    "name": gettext_noop("Please choose a name of at most 80 characters."),
    "email": gettext_noop("This is too long for a mail address. Please check it."),
    "current": gettext_noop("This is longer than any password. Please check it."),
    "password": gettext_noop("This password is longer than 1000 characters. Please choose a shorter one."),
    "code": gettext_noop("The code has only eight letters and digits. Please check it."),
}

Checked = TypeVar("Checked", bound=Form)


class Invalid(Exception):  # without the suffix Error: named for what it says
    """A form cannot be used as it is; `messages` says why, by field."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        super().__init__("; ".join(messages.values()))
        self.messages = dict(messages)


class InvalidQuery(Invalid):
    """The query string of an address is invalid."""


def is_json() -> bool:
    """Tell whether this request's body is JSON."""
    return request.mimetype == "application/json"


async def sent_values() -> dict[str, Any]:
    """Return what this request sent, from a form or a JSON object."""
    if not is_json():
        return dict(await request.form)
    body = await request.get_json()
    if not isinstance(body, dict):
        raise BadRequest(gettext("The body must be a JSON object."))
    return body


def check(form: type[Checked], values: Mapping[str, Any]) -> Checked:
    """Return `values` as a checked `form`; raises `Invalid` with one message a field."""
    try:
        return form.model_validate(values)
    except ValidationError as error:
        messages: dict[str, str] = {}
        for detail in error.errors(include_input=False, include_url=False):
            name = str(detail["loc"][0])
            words = TOO_LONG if detail["type"] == "string_too_long" else MISSING
            messages.setdefault(name, translated(words.get(name, gettext_noop("Please check this."))))
        raise Invalid(messages) from None


def check_query(query: type[Checked], words: Mapping[str, str]) -> Checked:
    """Return the query of this request; raises `InvalidQuery` with what `words` say of each wrong field."""
    wrong = {
        name[:LONGEST_NAME]: gettext("Please give this parameter once.")
        if name in query.model_fields
        else gettext("There is no such parameter here.")
        for name, values in request.args.lists()
        if name and (name not in query.model_fields or len(values) > 1)
    }
    if wrong:
        raise InvalidQuery(wrong)
    try:
        return query.model_validate(request.args.to_dict())
    except ValidationError as error:
        names = [str(detail["loc"][0]) for detail in error.errors(include_input=False, include_url=False)]
        raise InvalidQuery({name: translated(words[name]) for name in names}) from None
