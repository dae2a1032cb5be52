"""One line in the worker's log for each mail that ends without being sent, or is left to a person.

It has codes and names only: a server's text may repeat an address, and contents may hold a link.
"""

import logging
from uuid import UUID

from mailroom.mail.retry_policy import Decision, DeliveryResult
from mailroom.mail.states import Reason, State

logger = logging.getLogger(__name__)

ENDED = frozenset({State.FAILED, State.EXPIRED})


def log_ending(
    mail_id: UUID, kind: str | None, decision: Decision, result: DeliveryResult, *, server: str | None = None
) -> None:
    """Log how a mail ended, unless it was sent or is tried again; `kind` and `server` if they are known."""
    held = decision.state is State.UNCERTAIN and decision.retry_in is None
    if decision.state not in ENDED and not held:
        return
    level = logging.ERROR if decision.reason in {Reason.BROKEN, Reason.CRASHED} else logging.WARNING
    codes = " ".join(str(code) for code in (result.code, result.enhanced) if code)
    cause = result.text if decision.reason is Reason.BROKEN else codes
    logger.log(
        level,
        "mail %s%s %s: %s%s%s. `mailroom show %s` says more.",
        mail_id,
        f" ({kind})" if kind else "",
        "is held, a person must decide" if held else decision.state,
        decision.reason,
        f" ({cause})" if cause else "",
        f" at {server}" if server and result.code else "",
        mail_id,
    )
