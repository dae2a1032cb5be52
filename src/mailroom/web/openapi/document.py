"""`/api/openapi.json`: the API's routes with every answer they give, refusals included."""

from collections.abc import Callable
from typing import Any, TypeVar

from quart import Quart, current_app
from quart_schema import HttpSecurityScheme, Info, QuartSchema, Tag
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import Rule

from mailroom.web.program_answers import is_program_path

View = TypeVar("View", bound=Callable[..., Any])
KEY = "key"
"""The document's name for the API key."""
INFO = Info(
    title="Mailroom",
    version="1",
    description="Send mail, and show where it is. In Resend's form: its SDKs work with a changed base address.",
)
TAGS = [
    Tag("emails", "Messages: send them, and see what became of each recipient's mail."),
    Tag("mails", "All mails of this Mailroom, one for each recipient, by the desk's searches."),
    Tag(
        "desk",
        "What operators see and do, for keys that have no domain and are no test keys. One of scope `read` "
        "sees what a viewer sees: no full addresses, no contents.",
    ),
    Tag("watch", "Tokens that show people where a message, a mail or a Celery task is."),
    Tag("webhooks", "Addresses that are told what happened."),
    Tag("api keys", "Keys of programs."),
    Tag("tasks", "For Mailroom's own pages: tasks and mails of the account or browser that asks."),
]
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
"""What a route may answer if it documents no refusals of its own."""
REFUSED = {
    "400": "The request, or its Idempotency-Key, cannot be read.",
    "401": "There is no API key, or its scope does not allow it.",
    "403": "The API key is unknown, revoked or expired, or it may not do this.",
    "404": "Nothing has this id, or it belongs to another key.",
    "405": "This address does not accept this method.",
    "409": "The Idempotency-Key was used with another payload, or the first request with it is under way.",
    "413": "The body is too large. `message` names the limit.",
    "415": "Send JSON, without Content-Encoding.",
    "422": "A value is wrong. `message` begins with its name.",
    "429": "Too many requests. `Retry-After` says when to try again.",
    "500": "Something went wrong on our side.",
    "503": "Mailroom is busy, or PostgreSQL cannot be reached. `Retry-After` says when to try again.",
}
"""What each refusal of a program's route means."""
NOT_MODIFIED = {"description": "Nothing has changed since the answer with this ETag."}
_UNCHANGED = "mailroom_may_be_unchanged"


def may_be_unchanged(view: View) -> View:
    """Document that a route answers 304 to an ETag that still holds."""
    setattr(view, _UNCHANGED, True)
    return view


class ApiDocument(OpenAPIProvider):
    """Documents the API, not the pages."""

    _made: dict[str, Any] | None = None

    def schema(self) -> dict[str, Any]:
        """Return the document, which is made once: the routes of a running application do not change."""
        if self._made is None:
            self._made = super().schema()
            self._made["components"]["schemas"].update(Problem=PROBLEM, Refusal=REFUSAL)
        return self._made

    def generate_rules(self) -> Any:
        """Return the rules to document."""
        rules: list[Rule] = list(super().generate_rules())
        return [rule for rule in rules if rule.rule.startswith("/api/v1/")]

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the path of a rule, with what it may answer beside success."""
        paths, components = super().build_paths(rule)
        view = self._app.view_functions[rule.endpoint]
        answer = _refusal if is_program_path(rule.rule) else _problem
        for operations in paths.values():
            for method, operation in operations.items():
                if "requestBody" in operation:  # quart-schema leaves out `required`: a body would be optional
                    operation["requestBody"]["required"] = True
                answers = operation["responses"] = {str(code): one for code, one in operation["responses"].items()}
                if not any(code.startswith(("4", "5")) for code in answers):
                    answers.update({code: answer(text) for code, text in REFUSALS.items()})
                    if method == "get":
                        answers["304"] = NOT_MODIFIED
                for code, text in REFUSED.items():
                    if code in answers and is_program_path(rule.rule):
                        answers[code] = answer(text)
                if getattr(view, _UNCHANGED, False):
                    answers["304"] = NOT_MODIFIED
        return paths, components


def _refusal(description: str) -> dict[str, Any]:
    """Return a refusal as programs get it: in Resend's form, or as a problem document if they ask for one."""
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
        info=INFO,
        tags=list(TAGS),
        security_schemes={KEY: HttpSecurityScheme(scheme="bearer", bearer_format="mr_…")},
        openapi_provider_class=ApiDocument,
    )


def current_document() -> dict[str, Any]:
    """Return the document of the application that serves this request."""
    found: dict[str, Any] = current_app.extensions["QUART_SCHEMA"].openapi_provider.schema()
    return found
