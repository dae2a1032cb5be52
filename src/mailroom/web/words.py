"""The sentences for where a mail is: pages and `live.js` both speak from this one table."""

from typing import Any

STEPS = {
    "queued": "Queued",
    "claimed": "Picked up by a worker",
    "connected": "Connected to the mail server",
    "handing over": "Handing over",
    "accepted": "Accepted by the mail server",
}
"""The way of a mail, in order: stage → what the timeline calls it."""

SHARE = {"queued": 0.06, "claimed": 0.25, "connected": 0.5, "handing over": 0.75, "accepted": 1.0}
"""How much of the way is behind a mail that reached this stage, for the bar."""

STATES: dict[str, dict[str, str]] = {
    "scheduled": {
        "mood": "waiting",
        "word": "Scheduled",
        "headline": "Scheduled for later",
        "detail": "The mail is stored safely. It goes out when its time has come.",
    },
    "queued": {
        "mood": "waiting",
        "word": "Queued",
        "headline": "Waiting for a worker",
        "detail": "Your mail is stored safely. It goes out as soon as a worker is free; you can close this page "
        "and come back.",
    },
    "sending": {
        "mood": "moving",
        "word": "Sending",
        "headline": "On its way",
        "detail": "A worker has picked it up and is talking to the mail server.",
    },
    "running": {"mood": "moving", "word": "Working", "headline": "Under way", "detail": ""},
    "retrying": {
        "mood": "unsure",
        "word": "Retrying",
        "headline": "Waiting to try again",
        "detail": "Nothing is lost. Mailroom keeps the mail and tries again by itself.",
    },
    "uncertain": {
        "mood": "unsure",
        "word": "Unclear",
        "headline": "Probably there: please look",
        "detail": "The mail was handed over, but the mail server's answer got lost, so it may well be in the "
        "inbox already. Should it come twice, both are the same mail.",
    },
    "sent": {
        "mood": "good",
        "word": "Accepted",
        "headline": "Accepted: look in your inbox",
        "detail": "The mail server has taken the mail. It should be there within a minute; if not, look among "
        "the spam.",
    },
    "done": {"mood": "good", "word": "Done", "headline": "Done", "detail": ""},
    "failed": {
        "mood": "bad",
        "word": "Failed",
        "headline": "It could not be delivered",
        "detail": "The mail will not be tried again by itself.",
    },
    "expired": {
        "mood": "bad",
        "word": "Given up",
        "headline": "It could not be delivered in time",
        "detail": "The mail server did not take it for too long, so it was given up. Please ask for a new mail.",
    },
    "cancelled": {
        "mood": "bad",
        "word": "Cancelled",
        "headline": "It was cancelled",
        "detail": "Someone who runs this Mailroom stopped this mail. Please ask them, or start again.",
    },
    "suppressed": {
        "mood": "bad",
        "word": "Held back",
        "headline": "It was not sent",
        "detail": "This address takes no mail from this sender, so the mail was held back.",
    },
    "unknown": {
        "mood": "unsure",
        "word": "Moved",
        "headline": "This page no longer shows this mail",
        "detail": "A newer sign-up with the address took its place, perhaps in another browser. Go on there. "
        "If the address is confirmed by now, sign in.",
        "way": "Sign in",
        "href": "/sign-in",
    },
    "signed-out": {
        "mood": "unsure",
        "word": "Signed out",
        "headline": "You are signed out",
        "detail": "This browser is signed out, or signed in with another account. It may have happened in another "
        "tab or on another device. Sign in to see this page again.",
        "way": "Sign in",
        "href": "/sign-in",
    },
}
"""State of `mail/states.py` → what it looks like and what is said."""

TASK_STATES: dict[str, dict[str, str]] = {
    "queued": {
        "mood": "waiting",
        "word": "Queued",
        "headline": "Waiting for a worker",
        "detail": "It begins as soon as a worker is free; you can close this page and come back.",
    },
    "running": {"mood": "moving", "word": "Working", "headline": "Under way", "detail": ""},
    "retrying": {
        "mood": "unsure",
        "word": "Retrying",
        "headline": "Waiting to try again",
        "detail": "It did not work out this time, and begins again by itself.",
    },
    "done": {"mood": "good", "word": "Done", "headline": "Done", "detail": ""},
    "failed": {
        "mood": "bad",
        "word": "Failed",
        "headline": "It did not work out",
        "detail": "It is not tried again by itself.",
    },
    "cancelled": {"mood": "bad", "word": "Cancelled", "headline": "It was cancelled", "detail": ""},
    "unknown": {
        "mood": "unsure",
        "word": "Gone",
        "headline": "This page no longer shows this task",
        "detail": "It was deleted, or it belongs to someone else now.",
        "way": "Your tasks and mails",
        "href": "/tasks",
    },
    "signed-out": {
        "mood": "unsure",
        "word": "Signed out",
        "headline": "You are signed out",
        "detail": "This browser is signed out, or signed in with another account. It may have happened in another "
        "tab or on another device. Sign in to see this page again.",
        "way": "Sign in",
        "href": "/sign-in",
    },
}
"""State of `tasks/states.py` → the same for tasks that are no mails."""

STAGES = {
    "claimed": "A worker has picked it up.",
    "connected": "Connected to the mail server.",
    "handing over": "Handing the mail over to the mail server.",
    "accepted": "The mail server has accepted it.",
}
"""Stage → the sentence while a mail is being sent."""

AFTERWORDS = {
    "confirmed": {
        "mood": "good",
        "word": "Confirmed",
        "headline": "Your address is confirmed",
        "detail": "It was confirmed on another device or in another window. You can sign in here now.",
    },
    "replaced": {
        "mood": "unsure",
        "word": "Replaced",
        "headline": "A newer mail takes its place",
        "detail": "You signed up again with this address. Only the newest mail's button and code work now.",
    },
}

EVENTS = {
    **STEPS,
    "scheduled": "Scheduled",
    "suppressed": "Held back",
    "retrying": "Will be tried again",
    "uncertain": "No answer",
    "sent": "Accepted by the mail server",
    "failed": "Failed",
    "expired": "Given up",
    "cancelled": "Cancelled",
    "confirmed": "Address confirmed",
}
"""What the list of earlier attempts calls each entry of a snapshot's timeline."""


LINES = {
    "connecting": "Connecting… This is the last known state.",
    "reconnecting": "Reconnecting… Mailroom keeps working meanwhile.",
    "offline": "You are offline. This is the last known state; Mailroom keeps working meanwhile.",
}
"""How the line to the server is → what a page says of it."""


def as_data() -> dict[str, Any]:
    """Return every table, for the page's script."""
    return {
        "order": list(STEPS),  # JSON's objects have none: Jinja sorts their keys
        "share": SHARE,
        "states": STATES,
        "tasks": TASK_STATES,
        "stages": STAGES,
        "afterwords": AFTERWORDS,
        "events": EVENTS,
        "lines": LINES,
    }
