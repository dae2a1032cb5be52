"""The templates of pages, in an environment of their own: Quart's awaits each macro, which takes longer."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from mailroom.i18n import code_words, formats, languages
from mailroom.i18n.templates import translate_templates
from mailroom.kit import clock
from mailroom.kit.template_loader import OverridingLoader
from mailroom.settings.brand import Brand
from mailroom.web.static_files import StaticFiles
from mailroom.web.views import words
from mailroom.web.views.progress_view import attempt_words, clock_time

FOLDER = Path(__file__).parent / "templates"


def page_templates(brand: Brand, files: StaticFiles, overrides: Sequence[Path] = ()) -> jinja2.Environment:
    """Return the environment with all that a page may use. Templates in the folders `overrides` go before ours."""
    environment = jinja2.Environment(
        loader=OverridingLoader(FOLDER, overrides),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    translate_templates(environment)
    environment.globals.update(
        page_words=words.page_words,
        now=_now,
        static_url=files.url,
        time_zone=formats.time_zone,
        brand=brand,
        languages_there=languages.choices,
    )
    environment.filters.update(clock_time=clock_time, attempt_words=attempt_words, date_time=formats.date_time)
    environment.globals.update(codes=code_words)
    environment.filters.update(word_of=code_words.word_of)
    environment.filters.update(number=formats.number, percent=formats.percent)
    return environment


def _now() -> str:
    """Return the server's time, so that a page can count down whatever the reader's clock says."""
    return clock.now().isoformat(timespec="milliseconds")
