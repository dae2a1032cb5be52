"""Charts as the template draws them: coordinates in an SVG of `WIDTH` by `HEIGHT`, and a table of the data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailroom.desk.processes.readings import Start
from mailroom.i18n.formats import axis_time, measured, number, percent
from mailroom.i18n.messages import gettext
from mailroom.statistics.readings import Point, Series

WIDTH, HEIGHT = 640, 170
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 14, 22
"""Room around the drawing, for labels."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve of a chart: its name, its CSS class, and its value at each point (None: not known)."""

    name: str
    css: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar, and the text shown when the pointer is over it."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line: a deploy or a start."""

    x: float
    title: str
    deploy: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart."""

    name: str
    title: str
    now: str
    """The whole period in some words, beside the title."""
    curves: Sequence[Curve]
    bars: Sequence[Bar] = ()
    lines: Sequence[tuple[str, str]] = ()
    """(CSS class, points of a polyline)."""
    dots: Sequence[tuple[str, float, float]] = ()
    """Points that have no neighbour, which a line would not show."""
    marks: Sequence[Mark] = ()
    heights: Sequence[tuple[float, str]] = ()
    """Labels of the vertical axis: position and text."""
    times: Sequence[tuple[float, str, str]] = ()
    """Labels of the horizontal axis: position, text and anchor."""
    rows: Sequence[tuple[str, Sequence[str]]] = field(default=())
    """The table: a time, and a value of each curve."""


def charts(series: Series, starts: Sequence[Start]) -> list[Chart]:
    """Return the charts of a period: sent, failed, waiting, time."""
    points, whole = series.points, series.whole
    share = percent(whole.failed / (whole.failed + whole.sent) if whole.failed else 0)
    made = [
        _bars(
            series,
            "sent",
            gettext("Sent"),
            gettext("%(sent)s sent, %(created)s created", sent=number(whole.sent), created=number(whole.created)),
            lambda point: point.sent,
        ),
        _bars(
            series,
            "failed",
            gettext("Failed"),
            gettext("%(failed)s failed, %(share)s", failed=number(whole.failed), share=share),
            lambda point: point.failed,
        ),
        _lines(
            series,
            "waiting",
            gettext("Waiting"),
            gettext("mails that wait, on average"),
            curves=[Curve(gettext("Waiting"), "waiting", [point.waiting for point in points])],
            form=lambda value: number(round(value)),
        ),
        _lines(
            series,
            "time",
            gettext("Time until sent"),
            gettext("half within %(p50)s, 99 %% within %(p99)s", p50=measured(whole.p50), p99=measured(whole.p99)),
            curves=[
                Curve(gettext("Half within"), "p50", [point.p50 for point in points]),
                Curve(gettext("99 %% within"), "p99", [point.p99 for point in points]),
            ],
            form=measured,
        ),
    ]
    marks = _marks(series, starts)
    return [_with_marks(chart, marks) for chart in made]


def _bars(series: Series, name: str, title: str, now: str, value: Callable[[Point], int]) -> Chart:
    values = [value(point) for point in series.points]
    top = nice(max(values, default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    bars = []
    for place, (point, count) in enumerate(zip(series.points, values, strict=True)):
        if count:
            tall = max(1.5, _height(count, top))
            x, width = LEFT + place * step + step * 0.12, max(1.0, step * 0.76)
            title_of = f"{_moment(point.at, series)}: {number(count)}"
            bars.append(Bar(_round(x), _round(HEIGHT - BOTTOM - tall), _round(width), _round(tall), title_of))
    curve = Curve(title, name, values)
    return Chart(
        name, title, now, [curve], bars=bars, heights=_heights(top, lambda v: number(round(v, 1))),
        times=_times(series), rows=_rows(series, [curve], number),
    )  # fmt: skip


def _lines(
    series: Series, name: str, title: str, now: str, *, curves: Sequence[Curve], form: Callable[[float], str]
) -> Chart:
    top = nice(max((value for curve in curves for value in curve.values if value), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(series.points))
    lines: list[tuple[str, str]] = []
    dots: list[tuple[str, float, float]] = []
    for curve in curves:
        part: list[tuple[float, float]] = []
        for place, value in enumerate([*curve.values, None]):
            if value is not None:
                x, y = LEFT + (place + 0.5) * step, HEIGHT - BOTTOM - _height(value, top)
                part.append((_round(x), _round(y)))
                continue
            if len(part) > 1:
                lines.append((curve.css, " ".join(f"{x},{y}" for x, y in part)))
            elif part:
                dots.append((curve.css, *part[0]))
            part = []
    return Chart(
        name, title, now, curves, lines=lines, dots=dots, heights=_heights(top, form),
        times=_times(series), rows=_rows(series, curves, form),
    )  # fmt: skip


def _with_marks(chart: Chart, marks: Sequence[Mark]) -> Chart:
    values = {name: getattr(chart, name) for name in Chart.__slots__}
    return Chart(**{**values, "marks": marks})


def _marks(series: Series, starts: Sequence[Start]) -> list[Mark]:
    """Return the marks, one for all starts at the same place; a deploy takes precedence over a start."""
    first = series.points[0].at
    places: dict[int, list[Start]] = {}
    for start in starts:
        share = (start.started_at - first) / series.period.length
        if 0 <= share <= 1:
            places.setdefault(round(LEFT + share * (WIDTH - LEFT - RIGHT)), []).append(start)
    return [Mark(float(x), _words(found), any(one.deploy for one in found)) for x, found in sorted(places.items())]


def _words(starts: Sequence[Start]) -> str:
    one = next((start for start in starts if start.deploy), starts[0])
    at = f"{axis_time(one.started_at, with_day=False)} UTC"
    if one.deploy:
        return gettext("%(time)s: release %(version)s", time=at, version=one.version)
    if one.role == "worker":
        return gettext("%(time)s: a worker began on %(host)s", time=at, host=one.host)
    return gettext("%(time)s: a web process began on %(host)s", time=at, host=one.host)


def nice(value: float) -> float:
    """Return the end of an axis: 1, 2 or 5 times a power of ten, at least `value`."""
    power = 1e-3
    while True:
        for factor in (1, 2, 5):
            if factor * power >= value:
                return max(factor * power, 0.001)
        power *= 10


def _height(value: float, top: float) -> float:
    return value / top * (HEIGHT - TOP - BOTTOM)


def _heights(top: float, form: Callable[[float], str]) -> list[tuple[float, str]]:
    return [(_round(HEIGHT - BOTTOM - _height(value, top)), form(value)) for value in (0, top / 2, top)]


def _times(series: Series) -> list[tuple[float, str, str]]:
    points = series.points
    places = ((0, "start"), (len(points) // 2, "middle"), (len(points) - 1, "end"))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(points))
    shift = {"start": 0.0, "middle": 0.5, "end": 1.0}
    return [
        (_round(LEFT + (place + shift[anchor]) * step), _moment(points[place].at, series), anchor)
        for place, anchor in places
    ]


def _rows(
    series: Series, curves: Sequence[Curve], form: Callable[[float], str]
) -> list[tuple[str, Sequence[str]]]:
    return [
        (_moment(point.at, series), ["—" if value is None else form(value) for value in values])
        for point, *values in zip(series.points, *(curve.values for curve in curves), strict=True)
    ]


def _moment(at: datetime, series: Series) -> str:
    return axis_time(at, with_day=series.period.length > timedelta(days=1))


def _round(value: float) -> float:
    return round(value, 1)
