"""House rules of the web, held against every route there is."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from quart import Quart

from mailroom.web.rate_limits.limits import limits_of
from mailroom.web.security import SAFE_METHODS

WEB = Path(__file__).parents[3] / "src" / "mailroom" / "web"

FOR_FRAMES = {"/embed/<token>"}


def changing_routes(app: Quart) -> list[tuple[str, str, str]]:
    return [
        (re.sub(r"<[^>]+>", "00000000-0000-7000-8000-000000000000", rule.rule), method, rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - SAFE_METHODS)
        if not rule.websocket
    ]


@pytest.fixture
def everything(make_app: Callable[..., Quart], tmp_path: Path) -> Quart:
    return make_app(mailroom_inbox=tmp_path)


async def test_every_state_changing_route_turns_strangers_away(everything: Quart) -> None:
    routes = changing_routes(everything)
    assert len(routes) >= 7
    for path, method, _ in routes:
        for headers in (
            {"Origin": "https://mallory.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
            {"Origin": "null"},
            {"Referer": "https://mallory.example/page"},
        ):
            answer = await everything.test_client().open(path, method=method, headers=headers)
            assert answer.status_code == 403, (path, headers)


async def test_no_page_can_be_framed_but_those_that_are_made_for_it(
    everything: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="mailroom.web.errors")  # the services in memory are few
    client, seen = everything.test_client(), 0
    for rule in everything.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.websocket or rule.rule in FOR_FRAMES:
            continue
        path = re.sub(r"<[^>]+>", "00000000-0000-7000-8000-000000000000", rule.rule)
        headers = (await client.get(path)).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Frame-Options"] == "DENY", path
        seen += 1
    assert seen > 60


def test_every_state_changing_route_has_a_rate_limit(everything: Quart) -> None:
    for path, method, endpoint in changing_routes(everything):
        assert limits_of(everything.view_functions[endpoint]), f"{method} {path} has no limit"


def test_no_request_takes_a_thread_for_a_function_that_is_no_coroutine(everything: Quart) -> None:
    around = [everything.before_request_funcs, everything.after_request_funcs]
    around += [everything.template_context_processors]
    functions = [function for hooks in around for found in hooks.values() for function in found]
    for function in (*functions, *everything.view_functions.values()):
        assert inspect.iscoroutinefunction(function), function


def test_no_page_has_inline_scripts_styles_or_handlers() -> None:
    for template in (WEB / "templates").rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text), template.name
        for script in re.findall(r"<script[^>]*>", text):
            assert "src=" in script or "application/json" in script, (template.name, script)


def test_scripts_build_pages_from_nodes_never_from_html() -> None:
    for script in (WEB / "static").glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text())


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in (*(WEB / "templates").rglob("*.html"), *(WEB / "static").iterdir()):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://\w", text), file.name


def test_every_icon_a_state_needs_exists() -> None:
    from mailroom.progress.moods import MOODS
    from mailroom.web.views import words

    assert MOODS.keys() >= {*words.STATES, *words.TASK_STATES, *words.FOLLOW_UPS}
    for mood in set(MOODS.values()):
        assert (WEB / "static" / f"favicon-{mood}.svg").is_file()


SIDES = re.compile(
    r"(?:margin|padding|border)-(?:left|right)\b|(?:^|[\s;{])(?:left|right):"
    r"|(?:text-align|float): (?:left|right)\b"
)
"""Properties that name a side, where those that follow the direction of the script are meant."""


@pytest.mark.parametrize("sheet", sorted((WEB / "static").glob("*.css")), ids=lambda sheet: sheet.name)
def test_a_style_sheet_follows_the_direction_of_the_script(sheet: Path) -> None:
    rules = re.sub(r"(?m)^:dir\(rtl\).*$", "", sheet.read_text())
    assert SIDES.findall(rules) == [], (
        "use logical properties: margin-inline-start, inset-inline-end, text-align: start"
    )
