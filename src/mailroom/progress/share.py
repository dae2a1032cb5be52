"""How much of a mail's or task's way is done: for the bars of pages and of the shell."""

from collections.abc import Mapping
from typing import Any

from mailroom.progress.moods import GOOD, MOODS

STAGES = {"queued": 0.06, "claimed": 0.25, "connected": 0.5, "handing over": 0.75, "accepted": 1.0}
"""How far a mail is that has reached this stage."""
ALMOST = 0.96
"""The bar is full at a good end only."""


def share_of(public: Mapping[str, Any]) -> float | None:
    """Return how far a snapshot in its public form is, 0 to 1; None for a running task without a total.

    It is 1 only at a good end, and a later attempt of a mail never shows less than an earlier one.
    """
    if MOODS.get(public["state"]) == GOOD:
        return 1.0
    if public.get("total"):
        return min(ALMOST, float((public.get("current") or 0) / public["total"]))
    if public["state"] == "running":
        return None
    seen = [entry["stage"] for entry in public.get("timeline") or ()] + [public.get("stage") or "queued"]
    return min(ALMOST, max(STAGES.get(stage, 0.0) for stage in seen))
