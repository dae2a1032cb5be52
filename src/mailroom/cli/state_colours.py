"""The colours of states in the terminal."""

from mailroom.progress.moods import BAD, GOOD, MOODS, MOVING, UNSURE

_COLOURS = {GOOD: "green", BAD: "red", UNSURE: "yellow", MOVING: "cyan"}


def state_colour(state: str) -> str:
    """Return the colour of a state, as click and rich both name it; empty for none."""
    return _COLOURS.get(MOODS.get(state, ""), "")


def is_good(state: str) -> bool:
    """Tell whether the state is the ending that was wanted."""
    return MOODS.get(state) == GOOD
