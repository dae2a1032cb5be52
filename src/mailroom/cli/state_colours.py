"""The one table of colours for states of mails and tasks."""

GOOD = frozenset({"sent", "done"})
"""States that are an end as wanted."""
_COLOURS = {
    **dict.fromkeys(GOOD, "green"),
    **dict.fromkeys(("failed", "expired", "cancelled"), "red"),
    **dict.fromkeys(("retrying", "uncertain"), "yellow"),
    **dict.fromkeys(("sending", "running"), "cyan"),
}


def state_colour(state: str) -> str:
    """Return the colour of a state, as click and rich both name it; empty for none."""
    return _COLOURS.get(state, "")
