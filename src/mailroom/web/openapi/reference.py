"""The OpenAPI document as its page shows it: by subject, with every field by name.

The page is written from the document alone, so both always say the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OTHER = "other"
"""Where an operation without a tag is shown."""
MOST_LEVELS = 4
"""How deep fields of fields are shown."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field or parameter; `name` is its path: `recipients[].address`."""

    name: str
    kind: str
    description: str
    required: bool
    place: str = ""
    """Of a parameter: path, query or header."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    parameters: Sequence[Field]
    body: Sequence[Field]
    success: str
    """The status of its good answer."""
    answer: Sequence[Field]
    refusals: Sequence[tuple[str, str]]
    """Other statuses, each with what it means."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The operations of one tag."""

    name: str
    description: str
    operations: Sequence[Operation]

    @property
    def anchor(self) -> str:
        """The fragment at the end of the address of this part of the page."""
        return self.name.replace(" ", "-")


def subjects_of(document: Schema) -> list[Subject]:
    """Return the operations of an OpenAPI document (3.1), in the order of its tags."""
    descriptions: dict[str, str] = {tag["name"]: tag["description"] for tag in document["tags"]}
    found: dict[str, list[Operation]] = {name: [] for name in descriptions}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for tag in operation.get("tags", (OTHER,)):
                found.setdefault(tag, []).append(_operation(document, path, method, operation))
    return [Subject(name, descriptions.get(name, ""), operations) for name, operations in found.items()]


def _operation(document: Schema, path: str, method: str, operation: Schema) -> Operation:
    answers: Mapping[str, Schema] = operation["responses"]
    success = min(answers)
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", "").strip(),
        needs_key="security" in operation,
        parameters=[_parameter(document, one) for one in operation.get("parameters", ())],
        body=list(_fields(document, _content(operation.get("requestBody", {})))),
        success=success,
        answer=list(_fields(document, _content(answers[success]))),
        refusals=[(status, answers[status]["description"]) for status in sorted(answers) if status != success],
    )


def _content(part: Schema) -> Schema:
    """Return the schema of a body in JSON; an empty one if there is none."""
    schema: Schema = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _parameter(document: Schema, parameter: Schema) -> Field:
    schema = parameter["schema"]
    return Field(
        parameter["name"],
        _kind(document, schema),
        parameter.get("description", schema.get("description", "")),
        bool(parameter.get("required")),
        parameter["in"],
    )


def _fields(document: Schema, schema: Schema, under: str = "", level: int = 0) -> Iterator[Field]:
    """Yield the fields of a schema, each followed by the fields it has itself."""
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        yield from _fields(document, schema["items"], f"{under}[]", level)
        return
    if level >= MOST_LEVELS:
        return
    needed = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        full = f"{under}.{name}" if under else name
        yield Field(full, _kind(document, part), part.get("description", ""), name in needed)
        for choice in _choices(part):
            yield from _fields(document, choice, full, level + 1)


def _kind(document: Schema, schema: Schema) -> str:
    """Return the type in words: `string`, `array of string`, `string or null`."""
    kinds = []
    for choice in _choices(schema):
        found = _resolved(document, choice)
        kind = found.get("type", "any")
        kinds.append(f"array of {_kind(document, found['items'])}" if kind == "array" else kind)
    return " or ".join(dict.fromkeys(kinds))


def _choices(schema: Schema) -> Sequence[Schema]:
    choices: Sequence[Schema] = schema.get("anyOf", [schema])
    return choices


def _resolved(document: Schema, schema: Schema) -> Schema:
    """Return the schema that a `$ref` names, or the schema itself."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found
