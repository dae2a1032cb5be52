"""Numbers, lengths of time and moments in English, German and Chinese (Unicode CLDR)."""

from datetime import UTC, datetime, timedelta

import pytest

from mailroom.i18n import formats
from mailroom.i18n.languages import speaking

NOON = datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "zone", "date", "time"),
    [
        ("en", None, "24 Nov 2026, 12:00 UTC", "12:00:05 UTC"),
        ("de", None, "24.11.2026, 12:00 UTC", "12:00:05 UTC"),
        ("de", "Europe/Berlin", "24.11.2026, 13:00 MEZ", "13:00:05 MEZ"),
        ("zh-Hans", None, "2026年11月24日 12:00 UTC", "12:00:05 UTC"),
        ("zh-Hans", "Asia/Shanghai", "2026年11月24日 20:00 GMT+8", "20:00:05 GMT+8"),
        ("en", "Nowhere/Else", "24 Nov 2026, 12:00 UTC", "12:00:05 UTC"),
    ],
)
def test_a_moment_is_written_as_people_write_it_in_their_zone(
    language: str, zone: str | None, date: str, time: str
) -> None:
    with speaking(language), formats.in_time_zone(zone):
        assert (formats.date_time(NOON), formats.clock_time(NOON)) == (date, time)
    assert formats.time_zone() == "", "and nobody else's clock has changed"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["1,234.5", "1,235", "12.5%", "0%", "1.5 MB", "64 KB", "40 ms", "1.5 s", "3 min", "—"]),
        ("de", ["1.234,5", "1.235", "12,5\xa0%", "0\xa0%", "1,5 MB", "64 KB", "40 ms", "1,5 s", "3 min", "—"]),
        ("zh-Hans", ["1,234.5", "1,235", "12.5%", "0%", "1.5 MB", "64 KB", "40 ms", "1.5 s", "3 min", "—"]),
    ],
)
def test_numbers_shares_sizes_and_measured_times(language: str, words: list[str]) -> None:
    with speaking(language):
        assert [
            formats.number(1234.5),
            formats.number(1235),
            formats.percent(0.125),
            formats.percent(0),
            formats.size(3 * 512 * 1024),
            formats.size(65_536),
            *(formats.measured(seconds) for seconds in (0.04, 1.5, 180, None)),
        ] == words


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["5 min", "30 h", "12 ms", "in 3 min", "now", "Tue 12:00"]),
        ("de", ["5 Min.", "30 Std.", "12 ms", "in 3 Min.", "jetzt", "Di. 12:00"]),
        ("zh-Hans", ["5分钟", "30小时", "12毫秒", "3分钟后", "即将", "周二 12:00"]),
    ],
)
def test_short_lengths_of_time_and_what_is_due(language: str, words: list[str]) -> None:
    with speaking(language):
        assert [
            formats.span(300),
            formats.span(30 * 3600),
            formats.short_span(0.012),
            formats.until(NOON + timedelta(minutes=3), NOON),
            formats.until(NOON - timedelta(minutes=3), NOON),
            formats.axis_time(NOON, with_day=True),
        ] == words
        assert formats.until(None, NOON) == ""
        assert formats.listed(["3", "2"]) == ("3、2" if language == "zh-Hans" else "3, 2")
