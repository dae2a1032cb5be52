"""House rule: whatever is public says what it is for. (Ruff's D1 would ask it of nested things too.)"""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "mailroom"
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def is_public(name: str) -> bool:
    return not name.startswith("_")


def definitions(body: list[ast.stmt], within: str) -> Iterator[tuple[str, Definition]]:
    """Go through public classes and functions of a module, and the public methods of those classes."""
    for node in body:
        if isinstance(node, Definition) and is_public(node.name):
            name = f"{within}.{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, name)


def silent_in(source: str, name: str) -> list[str]:
    """Return what has no docstring in a module's text."""
    tree = ast.parse(source)
    silent = [name] if tree.body and not ast.get_docstring(tree) else []
    return silent + [found for found, node in definitions(tree.body, name) if not ast.get_docstring(node)]


def test_every_public_module_class_and_function_has_a_docstring() -> None:
    silent: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        silent += silent_in(path.read_text(), str(path.relative_to(SOURCE).with_suffix("")).replace("/", "."))
    assert silent == []


def test_the_rule_itself_finds_what_is_silent() -> None:
    module = "class A:\n    'Said.'\n    def said(self): 'Said.'\n    def silent(self): ...\ndef _private(): ...\n"
    assert silent_in(module, "m") == ["m", "m.A.silent"]
