"""A histogram of times with buckets 10 % wide: sums of histograms still tell p50 and p99 to 5 %."""

import math
from collections.abc import Mapping

SMALLEST = 0.001
"""Seconds; all that is shorter is in bucket 0."""
STEP = 1.1
LAST = 200
"""The last bucket ends at two days; all that is longer is in it."""

_PER_STEP = 1 / math.log(STEP)


def bucket_of(seconds: float) -> int:
    """Return the bucket of a time: bucket n ends at `SMALLEST` * `STEP` ** n seconds."""
    if seconds <= SMALLEST:
        return 0
    return min(LAST, math.ceil(math.log(seconds / SMALLEST) * _PER_STEP))


def end_of(bucket: int) -> float:
    """Return the longest time in a bucket, in seconds."""
    return SMALLEST * STEP**bucket


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """Return the time in seconds that `share` (0 to 1) of the measurements do not exceed; None without any.

    The answer is the middle of a bucket, so it is off by 5 % at most.
    """
    wanted = share * sum(buckets.values())
    if not wanted:
        return None
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            break
    return SMALLEST if not bucket else end_of(bucket) / math.sqrt(STEP)
