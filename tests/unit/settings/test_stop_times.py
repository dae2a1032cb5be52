"""STOP_SECONDS: one number, and what a process does within it."""

from dataclasses import astuple

import pytest

from mailroom.settings import Settings
from mailroom.settings.stop_times import DEFAULT, StopTimes


@pytest.mark.parametrize("seconds", [1, 8, DEFAULT, 55])
def test_each_part_of_a_stop_comes_in_its_order_and_all_of_it_in_time(seconds: float) -> None:
    times = StopTimes.of(seconds)
    assert list(astuple(times)) == sorted(astuple(times))
    assert times.end < seconds
    assert times.give_up - times.give_back >= 0.2 * seconds, "time for what is being handed over"
    assert times.requests >= 0.5 * seconds, "time for requests"
    assert times.recorded - times.cut >= 0.15 * seconds, "time for the web to close what it used"


def test_the_default_is_the_setting_s() -> None:
    assert Settings.model_fields["stop_seconds"].default == DEFAULT
