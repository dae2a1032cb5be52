"""Rate and time left: smooth, never negative, and silent while nobody can tell."""

import pytest

from mailroom.progress.rate import ProgressRate


def counted(*samples: tuple[float, float], total: float | None = 100) -> ProgressRate:
    pace = ProgressRate()
    for at, current in samples:
        pace.add(at, current, total)
    return pace


def steady(seconds: float, rate: float, total: float | None = None, every: float = 0.25) -> ProgressRate:
    return counted(*((n * every, n * every * rate) for n in range(int(seconds / every) + 1)), total=total)


def test_a_steady_count_has_its_own_rate_and_the_rest_of_the_time() -> None:
    pace = steady(20, rate=5, total=200)
    assert pace.rate == pytest.approx(5)
    assert pace.eta == pytest.approx(20, abs=1)


def test_nothing_is_said_while_it_warms_up() -> None:
    assert ProgressRate().rate is None
    pace = steady(1.5, rate=1000, total=10_000)
    assert (pace.rate, pace.eta) == (None, None)


def test_the_rate_follows_a_change_within_half_a_minute_but_not_at_once() -> None:
    pace = steady(60, rate=10)
    for n in range(1, 5):
        pace.add(60 + n * 0.25, 600 + n * 0.25 * 100)
    assert 10 < (pace.rate or 0) < 25
    for n in range(5, 200):
        pace.add(60 + n * 0.25, 600 + n * 0.25 * 100)
    assert pace.rate == pytest.approx(100, rel=0.1)


def test_samples_that_come_at_odd_times_weigh_by_their_time() -> None:
    pace = counted((0, 0), (0.1, 1), (0.15, 1.5), (4, 40), (4.05, 40.5), (9, 90), total=None)
    assert pace.rate == pytest.approx(10)


def test_a_task_that_falls_quiet_keeps_the_pace_it_had_and_a_pause_counts_once_it_is_over() -> None:
    pace = steady(20, rate=5, total=1000)
    before = (pace.rate, pace.eta)
    assert (pace.rate, pace.eta) == before
    pace.add(140, 101, 1000)
    assert (pace.rate or 0) < 0.1


@pytest.mark.parametrize("current", [100, 150])
def test_at_or_beyond_the_total_nothing_is_left(current: float) -> None:
    assert counted((0, 0), (5, 50), (10, current)).eta is None


def test_without_a_total_or_without_counting_there_is_no_time_left() -> None:
    assert counted((0, 0), (10, 50), total=None).eta is None
    assert counted((0, 50), (10, 50)).eta is None
    assert counted((0, 50), (10, 50)).rate is None


def test_a_count_that_begins_anew_is_measured_anew() -> None:
    pace = steady(20, rate=50)
    pace.add(20.5, 0)
    assert pace.rate is None
    pace.add(30.5, 10)
    assert pace.rate == pytest.approx(1)


def test_a_forecast_of_months_is_none() -> None:
    assert counted((0, 0), (10, 0.001), total=1e9).eta is None
