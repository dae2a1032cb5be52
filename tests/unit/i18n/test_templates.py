"""Templates that speak the language of the moment."""

import jinja2

from mailroom.i18n import languages
from mailroom.i18n.templates import translate_mail_templates, translate_templates

LONG = "{% trans who=name %}" + "A sentence of some length that goes on. " * 4 + "{{ who }}{% endtrans %}"


def environment() -> jinja2.Environment:
    return jinja2.Environment(autoescape=jinja2.select_autoescape(["html"], default_for_string=False))


def test_a_page_says_its_language_and_escapes_parameters_but_not_the_sentence() -> None:
    pages = environment()
    translate_templates(pages)
    page = pages.from_string(
        "<p lang='{{ language() }}' dir={{ direction() }}>{% trans %}\n  a &amp; {{ b }}\n{% endtrans %}"
    )
    with languages.speaking("ar"):
        assert "lang='ar' dir=rtl" in page.render(b="")
    autoescaped = pages.overlay(autoescape=True).from_string(
        "{% trans %}<b>{{ x }}</b>{% endtrans %} {{ _('1 %%') }}"
    )
    assert autoescaped.render(x="<i>") == "<b>&lt;i&gt;</b> 1 %"


def test_paragraphs_of_a_text_mail_are_wrapped_alike_whatever_is_filled_in() -> None:
    mails = environment()
    translate_mail_templates(mails)
    text = mails.from_string(LONG)
    short, long = text.render(name="Ann"), text.render(name="Ann " * 40)
    assert max(map(len, short.splitlines())) <= 72
    assert len(short.splitlines()) == len(long.splitlines()) == 3
    html = mails.overlay(autoescape=True).from_string(LONG)
    assert len(html.render(name="Ann").splitlines()) == 1
