"""House rule: each sentence that people read is marked for translation, in templates and at the edges in Python.

The templates and modules are read as syntax trees: what is marked stands inside `{% trans %}`, `_()` or
`gettext()`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

from mailroom.i18n.extraction import collect
from mailroom.i18n.templates import translate_templates
from tests.page_texts import PageTexts

SOURCE = Path(__file__).parents[2] / "src" / "mailroom"
TEMPLATES = [*(SOURCE / "web" / "templates").rglob("*.html"), *(SOURCE / "mail" / "templates").rglob("*.*")]
MODULES = ("errors", "error_table", "forms/fields", "requests")
OPS = ("database_errors", "startup", "terminal")
SHELL = [
    *(SOURCE / "cli").glob("*.py"),
    *(SOURCE / "ops" / "doctor").glob("*.py"),
    *(SOURCE / "ops" / f"{name}.py" for name in OPS),
]
"""Modules that speak in the terminal: there a sentence need not begin with a capital, nor end with a full stop."""
EDGES = [
    *(SOURCE / "web" / "pages").glob("*.py"),
    *(SOURCE / "web" / "desk").glob("*.py"),
    *(SOURCE / "web" / "views").glob("*.py"),
    *(SOURCE / "web" / f"{name}.py" for name in MODULES),
    SOURCE / "web" / "embed" / "words.py",
    SOURCE / "i18n" / "sentences.py",
    *SHELL,
]
"""Modules that speak to people."""
MARKS = {"_", "gettext", "ngettext", "pgettext", "gettext_noop", "ngettext_noop", "translated"}
COLLECTED = {"help", "epilog"}
"""Arguments of the shell's commands that are collected without a mark (`i18n/extraction.py`)."""
LOGGING = {"error", "exception", "warning", "info", "debug"}
NAMES = {"name", "application_name"}
"""Arguments that servers are given."""
OURS = {"Mailroom", "you@example.org", "Mailroom ·"}
"""Names, which are the same in every language."""
SENTENCE = re.compile(r"[A-Z][^\W\d_]+|[^\W\d_]{2,} [^\W\d_]{2,}")
"""A word with a capital, or two words: identifiers and class names are neither."""


def literal_texts(tree: nodes.Template) -> Iterator[str]:
    """Yield the pieces of the template that are written in it, as a reader of the page gets to see them."""
    reader = PageTexts()
    for output in tree.find_all(nodes.Output):
        reader.feed("".join(n.data if isinstance(n, nodes.TemplateData) else "◆" for n in output.nodes))
    reader.close()
    yield from reader.found


def constants(node: nodes.Node) -> Iterator[str]:
    """Yield every text in the template's expressions that is not given to one of `MARKS`."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in MARKS:
        for child in node.args[2 if node.node.name == "pgettext" else 1 :] + node.kwargs:
            yield from constants(child)
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    for child in node.iter_child_nodes():
        yield from constants(child)


def unmarked_in_template(text: str, *, html: bool = True) -> list[str]:
    environment = jinja2.Environment(autoescape=True)
    translate_templates(environment)
    tree = environment.parse(text)
    pieces = literal_texts(tree) if html else (data.data for data in tree.find_all(nodes.TemplateData))
    found = [piece.strip() for piece in pieces if SENTENCE.search(piece.replace("&nbsp;", " "))]
    written = [text.strip() for text in constants(tree) if re.search(r"^[A-Z].*[a-z]", text.strip())]
    return [piece for piece in [*found, *written] if piece.strip("◆ ·←→\n") not in OURS]


def unmarked_in_python(source: str, *, shell: bool = False) -> list[str]:
    tree = ast.parse(source)
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            logs = isinstance(node.func, ast.Attribute) and name in LOGGING
            if name in MARKS or logs:
                return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if shell and isinstance(node, ast.keyword) and node.arg in COLLECTED | NAMES:
            return
        if shell and isinstance(node, ast.Compare):
            return  # what a server says is looked at
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if speaks(text) or (shell and speaks_in_part(text)):
                found.append(text)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


def speaks(text: str) -> bool:
    return bool(re.search(r"^[A-Z][a-z]+( [a-zA-Z]+|\b.*[.?!]$|$)|[a-z]{2,} [a-z]{2,}.*[.?!]$", text.strip()))


def speaks_in_part(text: str) -> bool:
    """Tell whether a text holds two words; queries and commands do not count."""
    return bool(re.search(r"[a-z]{2,} [a-z]{2,}", text)) and not re.match(r"\s*(select|insert|python) ", text)


@pytest.mark.parametrize(
    "path", [path for path in TEMPLATES if path.suffix == ".html"], ids=lambda path: path.stem
)
def test_there_is_a_space_between_two_sentences(path: Path) -> None:
    """Blocks take the end of their line and the indent of the next one away (`trim_blocks`, `lstrip_blocks`)."""
    assert re.findall(r"end(?:trans|if) %}\n +{% (?:if [^%]*%}{% )?trans[^%]*%}.{0,40}", path.read_text()) == []


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_every_text_of_a_template_is_marked(file: Path) -> None:
    found = unmarked_in_template(file.read_text(), html=file.suffix == ".html")
    assert found == [], "mark it with {% trans %} or _()"


@pytest.mark.parametrize("file", EDGES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_every_sentence_at_an_edge_is_marked(file: Path) -> None:
    known = {
        "Checked",
        "View",
        "Location",
        "Retry-After",
        "Allow",
        "Content-Type",
        "Accept",
        "Content-Disposition",
        "Cache-Control",
        "Result",
        "Valkey",
        "Redis",
        "Multiple connection attempts failed",  # libpq's
    }
    found = [text for text in unmarked_in_python(file.read_text(), shell=file in SHELL) if text not in known]
    assert found == [], "mark it with gettext(), or gettext_noop() in a table"


def marked_in(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in MARKS - {"translated"}
        ):
            words = node.args[1:2] if node.func.id == "pgettext" else node.args[:1]
            yield from (one.value for one in words if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_every_marked_sentence_is_collected() -> None:
    """Inside an f-string Babel sees nothing, for one: such a sentence would stay English."""
    catalogue = collect()
    collected = {
        one for entry in catalogue if entry.id for one in ([entry.id] if isinstance(entry.id, str) else entry.id)
    }
    marked = {text for file in SOURCE.rglob("*.py") for text in marked_in(file.read_text())}
    assert len(marked) > 500
    assert marked - collected == set()
    assert list(marked_in("""x = f"{gettext('In here')} and {pgettext('of a thing', 'there')}" """)) == [
        "In here",
        "there",
    ]


def test_the_rule_finds_what_it_is_for() -> None:
    page = '<p class="a b" title="Where it is">{% trans %}Fine{% endtrans %} {{ _("Fine") }}</p>'
    assert unmarked_in_template(page) == ["Where it is"]
    assert unmarked_in_template("<h1>Hello</h1>") == ["Hello"]
    assert unmarked_in_template("<p>{{ name }} was sent</p>") == ["◆ was sent"]
    assert unmarked_in_template('{{ field("email", "Mail address", _("Fine")) }}') == ["Mail address"]
    assert unmarked_in_template('<script>Hello there</script><i class="{{ "a" if b }}">{{ b }}</i>') == []
    assert unmarked_in_template("Dear {{ name }},", html=False) == ["Dear"]
    assert unmarked_in_python('raise X("This is wrong.")\nt = {"a": "Failed"}') == ["This is wrong.", "Failed"]
    assert unmarked_in_python('warning(CHECK, "it is full")', shell=True) == ["it is full"]
    assert unmarked_in_python('logger.warning("it is full")', shell=True) == []
    assert unmarked_in_python('x = f"{n} mails wait"', shell=True) == [" mails wait"]
    assert unmarked_in_python('@command(help="Print JSON.")\ndef f(): "Doc string."', shell=True) == []
    assert unmarked_in_python('"""Doc string here."""\nx = gettext("Fine it is")\ny = "a code"') == []
