"""The words of pages for each state, stage and event. `said` translates them."""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from mailroom.i18n import languages
from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated
from mailroom.progress.moods import mood_of

STEPS = {
    "queued": _("Queued"),
    "claimed": _("Picked up by a worker"),
    "connected": _("Connected to the mail server"),
    "handing over": _("Handing over"),
    "accepted": _("Accepted by the mail server"),
}
"""The steps of a mail, in order: stage → the name of the step."""

STEP_STATUSES = {
    "done": _("Done:"),
    "now": _("Now:"),
    "problem": _("Failed here:"),
    "unsure": _("No answer:"),
    "todo": _("Not yet:"),
}
"""The status of a step in words, for people who cannot see its colour."""


@dataclass(frozen=True, slots=True)
class Said:
    """The words for one state, and a link to go on from there, if there is one."""

    word: str
    headline: str
    detail: str = ""
    way: str = ""
    href: str = ""


SIGNED_OUT = Said(
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
        _("Scheduled"),
        _("Scheduled for later"),
        _("The mail is stored. It is sent at the time that was asked for."),
    ),
    "queued": Said(
        _("Queued"),
        _("Waiting for a worker"),
        _("Your mail is stored. A worker sends it as soon as one is free. You can close this page and come back."),
    ),
    "sending": Said(
        _("Sending"), _("On its way"), _("A worker has picked up the mail and talks to the mail server.")
    ),
    "running": Said(_("Working"), _("In progress")),
    "retrying": Said(
        _("Retrying"),
        _("Waiting to try again"),
        _("Nothing is lost. The mail is kept and tried again by itself."),
    ),
    "uncertain": Said(
        _("Unclear"),
        _("Probably delivered: look in your inbox"),
        _(
            "The mail was handed over, but the mail server's answer did not arrive. The mail may be in your inbox "
            "already. If it comes twice, both are the same mail."
        ),
    ),
    "sent": Said(
        _("Accepted"),
        _("Accepted: look in your inbox"),
        _("The mail server has accepted the mail. It should arrive within a minute."),
    ),
    "done": Said(_("Done"), _("Done")),
    "failed": Said(_("Failed"), _("The mail could not be delivered"), _("It is not tried again by itself.")),
    "expired": Said(
        _("Given up"),
        _("The mail could not be delivered in time"),
        _("The mail server did not accept the mail for too long, so it was given up. Please ask for a new mail."),
    ),
    "cancelled": Said(
        _("Cancelled"),
        _("The mail was cancelled"),
        _("An operator of this site cancelled this mail. Please ask them, or start again."),
    ),
    "suppressed": Said(
        _("Held back"),
        _("The mail was not sent"),
        _("No mail of this kind is sent to this address."),
    ),
    "unknown": Said(
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
"""State of a mail (`mail/states.py`) → its words."""

TASK_STATES = {
    "queued": Said(
        _("Queued"),
        _("Waiting for a worker"),
        _("The task begins as soon as a worker is free. You can close this page and come back."),
    ),
    "running": Said(_("Working"), _("In progress")),
    "retrying": Said(
        _("Retrying"),
        _("Waiting to try again"),
        _("This attempt failed. The task begins again by itself."),
    ),
    "done": Said(_("Done"), _("Done")),
    "failed": Said(_("Failed"), _("The task failed"), _("It is not tried again by itself.")),
    "cancelled": Said(_("Cancelled"), _("The task was cancelled")),
    "unknown": Said(
        _("Gone"),
        _("This page cannot show the task any more"),
        _("The task is deleted, or it belongs to somebody else."),
        _("Your tasks and mails"),
        "/tasks",
    ),
    "signed-out": SIGNED_OUT,
}
"""State of a background task (`tasks/states.py`) → its words."""

STAGES = {
    "claimed": _("A worker has picked up the mail."),
    "connected": _("The worker is connected to the mail server."),
    "handing over": _("The worker is handing the mail over to the mail server."),
    "accepted": _("The mail server has accepted the mail."),
}
"""Stage → the sentence while a mail is being sent."""

FOLLOW_UPS = {
    "confirmed": Said(
        _("Confirmed"),
        _("Your address is confirmed"),
        _("It was confirmed on another device or in another window."),
    ),
    "replaced": Said(
        _("Replaced"),
        _("A newer mail replaces this one"),
        _("You signed up again with this address. Only the link and the code of the newest mail work."),
    ),
}
"""What happened after a mail was sent → the words that take the place of its state's."""

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
"""States in which a page gets no more news: it keeps what it knew, and says why."""

LINES = {
    "connecting": _("Connecting… This is the last known state."),
    "reconnecting": _("Reconnecting… The work goes on meanwhile."),
    "offline": _("You are offline. This is the last known state. The work goes on meanwhile."),
}
"""State of the connection to the server → its words."""


def said(what: Said) -> Said:
    """Return the same in the current language."""
    word, headline, detail, way = map(translated, (what.word, what.headline, what.detail, what.way))
    return Said(word, headline, detail, way, what.href)


def page_words() -> dict[str, Any]:
    """Return the words, in the current language, for a lost connection or session: only the page notices these."""
    return _page_words(languages.current())


@cache
def _page_words(_language: str) -> dict[str, Any]:
    return {
        "lost": {
            "mail": {state: _lost(STATES, state) for state in LOST},
            "task": {state: _lost(TASK_STATES, state) for state in LOST},
        },
        "lines": {line: translated(text) for line, text in LINES.items()},
    }


def _lost(states: dict[str, Said], state: str) -> dict[str, str]:
    return {**asdict(said(states[state])), "mood": mood_of(state)}
