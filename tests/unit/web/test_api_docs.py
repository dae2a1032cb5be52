"""The page of the API says what the OpenAPI document says, and both say what there is."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from quart.typing import TestClientProtocol as Client

from mailroom.web.openapi.reference import subjects_of
from mailroom.web.program_answers import MEANINGS, REFUSALS
from tests.page_texts import left_over
from tests.unit.web.test_pseudo_language import NAMES


async def document_of(browser: Client) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(await (await browser.get("/api/openapi.json")).get_data())
    return body


async def test_the_page_shows_each_route_with_each_of_its_fields(browser: Client) -> None:
    document = await document_of(browser)
    page = await (await browser.get("/api/docs")).get_data(as_text=True)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len(operations) >= 20
    for operation in operations:
        part = re.search(rf'<details[^>]* id="{operation["operationId"]}">(.*?)</details>', page, re.DOTALL)
        assert part, operation["operationId"]
        assert ("It takes no API key." in part[1]) == ("security" not in operation)
    shown = {operation.id: operation for subject in subjects_of(document) for operation in subject.operations}
    assert len(shown) == len(operations)
    sent = {field.name: field for field in shown["post_sendEmail"].body}
    assert sent["from"].required and not sent["text"].required
    assert sent["attachments[].content"].kind == "string"
    assert {"recipients[].attempts[].error.code", "recipients[].watch_token"} <= {
        field.name for field in shown["get_getEmail"].answer
    }
    assert {field.place for field in shown["post_sendBatch"].parameters} == {"header"}
    assert "[].from" in {field.name for field in shown["post_sendBatch"].body}
    assert "[].to" in page and "recipients[].attempts[].error.code" in page
    assert "http://localhost/api/v1/emails" in page


async def test_the_document_says_who_needs_a_key_and_what_each_error_is_called(browser: Client) -> None:
    document = await document_of(browser)
    free = {
        path for path, methods in document["paths"].items() if any("security" not in m for m in methods.values())
    }
    assert free == {"/api/v1/tasks", "/api/v1/tasks/{ticket}", "/api/v1/watch/{token}"}
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert {refusal.name for refusal in REFUSALS.values()} <= MEANINGS.keys()
    batch = document["paths"]["/api/v1/emails/batch"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    assert (batch["type"], batch["maxItems"]) == ("array", 100)


async def test_what_the_document_does_not_say_is_translated(
    browser: Client, pseudo: str, unmarked: Callable[[str], list[str]]
) -> None:
    page = await (await browser.get("/api/docs", headers={"Accept-Language": pseudo})).get_data(as_text=True)
    assert left_over(without_english(page), unmarked, NAMES) == []


def without_english(page: str) -> str:
    """Return the page without what it marks as English, and without code."""
    kept: list[str] = []
    spoken = [False]

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            language = dict(attrs).get("lang")
            if tag not in {"meta", "link", "img", "input"}:
                spoken.append(tag in {"pre", "code"} or (spoken[-1] if language is None else language == "en"))

        def handle_endtag(self, tag: str) -> None:
            spoken.pop()

        def handle_data(self, data: str) -> None:
            if not spoken[-1]:
                kept.append(f"<p>{data}</p>")

    Reader().feed(page)
    return "".join(kept)
