"""What no text may hold, in each body that the API takes: refused, or made harmless, never an error of ours."""

import json
from typing import Any

import pytest

from tests.integration.web.api.conftest import Office
from tests.integration.web.api.test_queries import routes_of


def filled(schema: Any, schemas: dict[str, Any], text: str) -> Any:
    """Return a value of this schema that holds `text` wherever a text may stand."""
    if "$ref" in schema:
        return filled(schemas[schema["$ref"].rpartition("/")[2]], schemas, text)
    for several in ("anyOf", "allOf", "oneOf"):
        if several in schema:
            return filled(schema[several][0], schemas, text)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {name: filled(one, schemas, text) for name, one in schema["properties"].items()}
        case "object":
            return {text: text}
        case "array":
            return [filled(schema["items"], schemas, text)]
        case "integer" | "number":
            return 1
        case "boolean":
            return False
    return text


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["NUL", "half of a surrogate pair"])
async def test_a_text_that_postgresql_cannot_hold_is_no_error_of_ours(office: Office, text: str) -> None:
    full, browser = await office.program(scope="full"), office.app.test_client()
    document = await (await browser.get("/api/openapi.json")).get_json()
    tried = 0
    for method, path, operation in await routes_of(office):
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        schemas = document["components"]["schemas"]
        whole, plain = filled(schema, schemas, text), filled(schema, schemas, "text")
        # All of it at once is refused for the first field alone; so each field is tried by itself, too.
        bodies = [whole, *({**plain, name: whole[name]} for name in whole if isinstance(whole, dict))]
        for body in bodies:
            answer = await browser.open(
                f"/api/v1{path}",
                method=method,
                data=json.dumps(body),
                headers={"Authorization": f"Bearer {full.secret}", "Content-Type": "application/json"},
            )
            assert answer.status_code < 500, (method, path, body, await answer.get_data(as_text=True))
            tried += 1
    assert tried > 50


@pytest.mark.parametrize("depth", [500, 1500, 7000])
async def test_deep_nesting_is_no_error_of_ours(office: Office, depth: int) -> None:
    full, browser = await office.program(scope="full"), office.app.test_client()
    for method, path, operation in await routes_of(office):
        if "requestBody" not in operation:
            continue
        for body in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            answer = await browser.open(
                f"/api/v1{path}",
                method=method,
                data=body,
                headers={"Authorization": f"Bearer {full.secret}", "Content-Type": "application/json"},
            )
            assert 400 <= answer.status_code < 500, (method, path, await answer.get_data(as_text=True))
