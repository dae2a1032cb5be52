"""The table of what each state means to its reader. Pages and the shell choose their colours by it."""

GOOD, BAD, UNSURE, MOVING, WAITING = "good", "bad", "unsure", "moving", "waiting"

MOODS = {
    **dict.fromkeys(("sent", "done", "confirmed"), GOOD),
    **dict.fromkeys(("failed", "expired", "cancelled", "suppressed"), BAD),
    **dict.fromkeys(("retrying", "uncertain", "replaced", "unknown", "signed-out"), UNSURE),
    **dict.fromkeys(("sending", "running"), MOVING),
    **dict.fromkeys(("scheduled", "queued"), WAITING),
}
"""State of a mail or task, or what followed it → its mood."""


def mood_of(state: str) -> str:
    """Return the mood of a state, `MOVING` for a state that this process does not know yet."""
    return MOODS.get(state, MOVING)
