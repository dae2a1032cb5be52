"""Who is let in: operators everywhere, viewers to what they may read. Everyone else gets "page not found"."""

import re

from quart import Quart, Response, abort, request

from mailroom.accounts.views import AccountView
from mailroom.desk.audit_log import Actor
from mailroom.web.browser import client_address, current_session
from mailroom.web.page import redirect
from mailroom.web.security import SAFE_METHODS

ADDRESS = re.compile(r"([^\s@])[^\s@]*@(\S)")


def protect(app: Quart) -> None:
    """Put the guard before every request: 405 would tell strangers which addresses there are."""
    app.before_request(only_for_staff)


async def only_for_staff() -> Response | None:
    """Answer 404 under `/desk` to everyone without a role, and to viewers who try to change something.

    Somebody who must set up two steps first (TWO_STEP_FOR_OPERATORS) is redirected to the page for that.
    """
    if request.path != "/desk" and not request.path.startswith("/desk/"):
        return None
    session = await current_session()
    if session and session.account and session.account.withheld_role and request.method in SAFE_METHODS:
        return redirect("/account/security")
    account = await staff()
    if request.method not in SAFE_METHODS and not account.is_operator:
        abort(404)
    return None


async def staff() -> AccountView:
    """Return the account of an operator or a viewer; 404 for everyone else."""
    session = await current_session()
    if session is None or session.account is None or session.account.role is None:
        abort(404)
    return session.account


async def operator() -> AccountView:
    """Return the account of an operator; 404 for everyone else."""
    account = await staff()
    if not account.is_operator:
        abort(404)
    return account


def actor_of(account: AccountView) -> Actor:
    """Return the account as the audit log has it, with the client's address."""
    return Actor("account", account.email, account.id, client_address())


def masked(text: str) -> str:
    """Return a text whose mail addresses are cut: `olga@example.org` is `o…@example.org`."""
    return ADDRESS.sub(r"\1…@\2", text)
