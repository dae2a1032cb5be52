"""What pages say of each state, stage and event. `said` puts it into the language of the request."""

from dataclasses import asdict, dataclass
from typing import Any

from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated

STEPS = {
    "queued": _("Queued"),
    "claimed": _("Picked up by a worker"),
    "connected": _("Connected to the mail server"),
    "handing over": _("Handing over"),
    "accepted": _("Accepted by the mail server"),
}
"""The way of a mail, in order: stage → the name of that step."""

STEP_STATUSES = {
    "done": _("Done:"),
    "now": _("Now:"),
    "problem": _("Failed here:"),
    "unsure": _("No answer:"),
    "todo": _("Not yet:"),
}
"""How a step stands, for those who cannot see its colour."""

SHARE = {"queued": 0.06, "claimed": 0.25, "connected": 0.5, "handing over": 0.75, "accepted": 1.0}
"""How far a mail is that reached this stage, for the bar: 0 to 1."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one state, and where to go on from there, if anywhere.

    `mood` chooses the colour: waiting, moving, good, unsure or bad.
    """

    mood: str
    word: str
    headline: str
    detail: str = ""
    way: str = ""
    href: str = ""


SIGNED_OUT = Said(
    "unsure",
    _("Signed out"),
    _("You are signed out"),
    _(
        "This browser is signed out, or signed in with another account. You may have signed out in another tab or "
        "on another device. Sign in to see this page."
    ),
    _("Sign in"),
    "/sign-in",
)

STATES = {
    "scheduled": Said(
        "waiting",
        _("Scheduled"),
        _("Scheduled for later"),
        _("The mail is stored. Mailroom sends it at the time that was asked for."),
    ),
    "queued": Said(
        "waiting",
        _("Queued"),
        _("Waiting for a worker"),
        _("Your mail is stored. A worker sends it as soon as one is free. You can close this page and come back."),
    ),
    "sending": Said(
        "moving", _("Sending"), _("On its way"), _("A worker has picked up the mail and talks to the mail server.")
    ),
    "running": Said("moving", _("Working"), _("In progress")),
    "retrying": Said(
        "unsure",
        _("Retrying"),
        _("Waiting to try again"),
        _("Nothing is lost. Mailroom keeps the mail and tries again by itself."),
    ),
    "uncertain": Said(
        "unsure",
        _("Unclear"),
        _("Probably delivered: look in your inbox"),
        _(
            "The mail was handed over, but the mail server's answer did not arrive. The mail may be in your inbox "
            "already. If it comes twice, both are the same mail."
        ),
    ),
    "sent": Said(
        "good",
        _("Accepted"),
        _("Accepted: look in your inbox"),
        _("The mail server has accepted the mail. It should arrive within a minute."),
    ),
    "done": Said("good", _("Done"), _("Done")),
    "failed": Said(
        "bad", _("Failed"), _("The mail could not be delivered"), _("Mailroom does not try again by itself.")
    ),
    "expired": Said(
        "bad",
        _("Given up"),
        _("The mail could not be delivered in time"),
        _("The mail server did not accept the mail for too long, so Mailroom gave up. Please ask for a new mail."),
    ),
    "cancelled": Said(
        "bad",
        _("Cancelled"),
        _("The mail was cancelled"),
        _("An operator of this site cancelled this mail. Please ask them, or start again."),
    ),
    "suppressed": Said(
        "bad",
        _("Held back"),
        _("The mail was not sent"),
        _("Mailroom does not send mail of this kind to this address."),
    ),
    "unknown": Said(
        "unsure",
        _("Moved"),
        _("This page cannot show the mail any more"),
        _(
            "Somebody signed up again with this address, perhaps in another browser. Go on there. "
            "If the address is confirmed, sign in."
        ),
        _("Sign in"),
        "/sign-in",
    ),
    "signed-out": SIGNED_OUT,
}
"""State of `mail/states.py` → what is said of a mail."""

TASK_STATES = {
    "queued": Said(
        "waiting",
        _("Queued"),
        _("Waiting for a worker"),
        _("The task begins as soon as a worker is free. You can close this page and come back."),
    ),
    "running": Said("moving", _("Working"), _("In progress")),
    "retrying": Said(
        "unsure",
        _("Retrying"),
        _("Waiting to try again"),
        _("This attempt failed. The task begins again by itself."),
    ),
    "done": Said("good", _("Done"), _("Done")),
    "failed": Said("bad", _("Failed"), _("The task failed"), _("It is not tried again by itself.")),
    "cancelled": Said("bad", _("Cancelled"), _("The task was cancelled")),
    "unknown": Said(
        "unsure",
        _("Gone"),
        _("This page cannot show the task any more"),
        _("The task is deleted, or it belongs to somebody else."),
        _("Your tasks and mails"),
        "/tasks",
    ),
    "signed-out": SIGNED_OUT,
}
"""State of `tasks/states.py` → what is said of a task that is no mail."""

STAGES = {
    "claimed": _("A worker has picked up the mail."),
    "connected": _("The worker is connected to the mail server."),
    "handing over": _("The worker is handing the mail over to the mail server."),
    "accepted": _("The mail server has accepted the mail."),
}
"""Stage → the sentence while a mail is being sent."""

FOLLOW_UPS = {
    "confirmed": Said(
        "good",
        _("Confirmed"),
        _("Your address is confirmed"),
        _("It was confirmed on another device or in another window."),
    ),
    "replaced": Said(
        "unsure",
        _("Replaced"),
        _("A newer mail replaces this one"),
        _("You signed up again with this address. Only the link and the code of the newest mail work."),
    ),
}
"""What became of a mail after it was sent → what is said then, in place of its state."""

EVENTS = {
    **STEPS,
    "scheduled": _("Scheduled"),
    "suppressed": _("Held back"),
    "retrying": _("Will be tried again"),
    "uncertain": _("No answer"),
    "sent": _("Accepted by the mail server"),
    "failed": _("Failed"),
    "expired": _("Given up"),
    "cancelled": _("Cancelled"),
    "confirmed": _("Address confirmed"),
}
"""What the list of earlier attempts calls each entry of a snapshot's timeline."""


LOST = ("unknown", "signed-out")
"""States in which a page can be told no more: it keeps what it knew, and says why."""

LINES = {
    "connecting": _("Connecting… This is the last known state."),
    "reconnecting": _("Reconnecting… Mailroom keeps working meanwhile."),
    "offline": _("You are offline. This is the last known state. Mailroom keeps working meanwhile."),
}
"""How the line to the server is → what a page says of it."""


def said(what: Said) -> Said:
    """Return the same in the current language."""
    word, headline, detail, way = map(translated, (what.word, what.headline, what.detail, what.way))
    return Said(what.mood, word, headline, detail, way, what.href)


def page_words() -> dict[str, Any]:
    """Return what only the page itself can know: its line or its session is gone. In the current language."""
    return {
        "lost": {
            "mail": {state: asdict(said(STATES[state])) for state in LOST},
            "task": {state: asdict(said(TASK_STATES[state])) for state in LOST},
        },
        "lines": {line: translated(text) for line, text in LINES.items()},
    }
