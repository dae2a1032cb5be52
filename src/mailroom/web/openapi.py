"""`/api/openapi.json`: the API's routes with every answer they give, refusals included."""

from typing import Any

from quart import Quart
from quart_schema import Info, QuartSchema
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import Rule

from mailroom.web.program_answers import is_program_path

PROBLEM = {
    "type": "object",
    "description": "what went wrong (RFC 9457)",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["field", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
REFUSAL = {
    "type": "object",
    "description": "what went wrong",
    "properties": {
        "statusCode": {"type": "integer"},
        "name": {"type": "string"},
        "message": {"type": "string"},
    },
    "required": ["statusCode", "name", "message"],
}
REFUSALS = {
    "400": "The request cannot be read.",
    "401": "Please sign in first.",
    "403": "The request came from another site.",
    "404": "Nothing has this id, or it belongs to somebody else.",
    "405": "This address does not accept this method.",
    "413": "The body is too large. `detail` names the limit.",
    "415": "Send JSON, without Content-Encoding.",
    "422": "A value is wrong. `errors` names the field.",
    "429": "Too many requests. `Retry-After` says when to try again.",
    "503": "Mailroom is busy, or PostgreSQL cannot be reached. `Retry-After` says when to try again.",
}
"""What any route may answer, where it documents no refusals of its own."""
NOT_MODIFIED = {"description": "Nothing has changed since the answer with this ETag."}


class ApiDocument(OpenAPIProvider):
    """Documents the API, not the pages."""

    def schema(self) -> dict[str, Any]:
        """Return the document."""
        schema = super().schema()
        schema["components"]["schemas"].update(Problem=PROBLEM, Refusal=REFUSAL)
        return schema

    def generate_rules(self) -> Any:
        """Return the rules to document."""
        rules: list[Rule] = list(super().generate_rules())
        return [rule for rule in rules if rule.rule.startswith("/api/")]

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the path of a rule, with what it may answer beside success."""
        paths, components = super().build_paths(rule)
        answer = _refusal if is_program_path(rule.rule) else _problem
        for operations in paths.values():
            for method, operation in operations.items():
                answers = operation["responses"] = {str(code): one for code, one in operation["responses"].items()}
                if not any(code.startswith(("4", "5")) for code in answers):
                    answers.update({code: answer(text) for code, text in REFUSALS.items()})
                    if method == "get":
                        answers["304"] = NOT_MODIFIED
        return paths, components


def _refusal(description: str) -> dict[str, Any]:
    """Return how a refusal is told to programs: in Resend's form, or as a problem where they ask for it."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {"description": description, "content": {**content, **_problem(description)["content"]}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def document(app: Quart) -> None:
    """Give `app` its document."""
    QuartSchema(
        app,
        openapi_path="/api/openapi.json",
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        info=Info(title="Mailroom", version="1", description="Where a mail is, for those who may know."),
        openapi_provider_class=ApiDocument,
    )
