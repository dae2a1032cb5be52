"""A picture of the states of a mail: which it is in, and which it has been in. The server draws it."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from mailroom.i18n.messages import translated
from mailroom.mail.states import MOVES, State
from mailroom.progress.moods import mood_of
from mailroom.web.views.words import STATES

WIDTH, HEIGHT = 680, 250
BOX = (104, 34)
"""Width and height of a state's box."""
PLACES = {
    State.SCHEDULED: (60, 40),
    State.QUEUED: (60, 125),
    State.SENDING: (260, 125),
    State.SENT: (460, 125),
    State.RETRYING: (160, 210),
    State.UNCERTAIN: (360, 210),
    State.CANCELLED: (260, 40),
    State.SUPPRESSED: (400, 40),
    State.FAILED: (610, 40),
    State.EXPIRED: (610, 210),
}
"""The middle of each state's box."""
DRAWN = (
    (State.SCHEDULED, State.SENDING),
    (State.QUEUED, State.SENDING),
    (State.SENDING, State.SENT),
    (State.SENDING, State.FAILED),
    (State.SENDING, State.RETRYING),
    (State.SENDING, State.UNCERTAIN),
    (State.SENDING, State.SUPPRESSED),
    (State.SENDING, State.EXPIRED),
    (State.QUEUED, State.CANCELLED),
    (State.UNCERTAIN, State.SENT),
    (State.RETRYING, State.SENDING),
)
"""The arrows that are drawn, a selection of `MOVES`: the usual moves of a mail."""
assert all(after in MOVES[before] for before, after in DRAWN)


@dataclass(frozen=True, slots=True)
class Box:
    """A state of the picture; `x` and `y` are its upper left corner."""

    x: int
    y: int
    word: str
    mood: str
    here: bool
    passed: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """A move of the picture, from edge to edge."""

    x1: float
    y1: float
    x2: float
    y2: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and arrows, and the same in words."""

    boxes: list[Box]
    arrows: list[Arrow]
    words: str


def picture(state: str, passed: Collection[str]) -> Picture:
    """Return the picture of a mail in `state` that has been in the states `passed`, in order."""
    words = {known: translated(STATES[known].word) for known in State}
    boxes = [
        Box(x - BOX[0] // 2, y - BOX[1] // 2, words[known], mood_of(known), known == state, known in passed)
        for known, (x, y) in PLACES.items()
    ]
    way = [*passed, state]
    steps = set(pairwise(way))
    arrows = [_arrow(before, after, passed=(before, after) in steps) for before, after in DRAWN]
    return Picture(boxes, arrows, " → ".join(words[State(one)] for one in way if one in words))


def _arrow(before: State, after: State, *, passed: bool) -> Arrow:
    (ax, ay), (bx, by) = PLACES[before], PLACES[after]
    x1, y1 = _edge(ax, ay, bx, by)
    x2, y2 = _edge(bx, by, ax, ay)
    return Arrow(x1, y1, x2, y2, passed)


def _edge(x: float, y: float, to_x: float, to_y: float) -> tuple[float, float]:
    """Return where the line from a box's middle leaves the box."""
    dx, dy = to_x - x, to_y - y
    gap = 5
    scale = min(
        (BOX[0] / 2 + gap) / abs(dx) if dx else float("inf"), (BOX[1] / 2 + gap) / abs(dy) if dy else float("inf")
    )
    return round(x + dx * scale, 1), round(y + dy * scale, 1)
