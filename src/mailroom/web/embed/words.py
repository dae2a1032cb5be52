"""The words of `<mailroom-progress>`, in each language that has a catalogue."""

from mailroom.i18n.messages import gettext_noop as _
from mailroom.i18n.messages import translated

WORDS = {
    "connecting": _("Connecting…"),
    "offline": _("No connection. Trying again…"),
    "scheduled": _("Scheduled"),
    "queued": _("Waiting"),
    "sending": _("Sending"),
    "retrying": _("Waiting to try again"),
    "uncertain": _("Probably delivered"),
    "sent": _("Accepted"),
    "failed": _("Failed"),
    "expired": _("Given up"),
    "cancelled": _("Cancelled"),
    "suppressed": _("Held back"),
    "running": _("Working"),
    "done": _("Done"),
    "unknown": _("Nothing to show"),
    "origin": _("This page may not show it"),
    # Translators: {sent} and {total} stay as they are; numbers take their place
    "of": _("{sent} of {total} sent"),
    "progress": _("Progress"),
}
"""State or part of the element → its words. `static/embed.js` shows its own English words until it has these."""


def words() -> dict[str, str]:
    """Return them in the current language."""
    return {name: translated(text) for name, text in WORDS.items()}
