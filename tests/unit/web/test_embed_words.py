"""The words of <mailroom-progress>: of each language with a catalogue, and English where there is none."""

import json
import re

from quart.typing import TestClientProtocol as Client

from mailroom.mail.states import State
from mailroom.tasks.states import TaskState
from mailroom.web.embed.words import WORDS
from mailroom.web.static_files import STATIC

SCRIPT = (STATIC / "embed.js").read_text()


def test_the_script_has_the_same_english_as_the_catalogues() -> None:
    block = re.search(r"^const ENGLISH = \{(.*?)^\};", SCRIPT, re.DOTALL | re.MULTILINE)
    assert block
    assert dict(re.findall(r'(\w+): "([^"]*)"', block[1])) == WORDS
    assert {*map(str, State), *map(str, TaskState)} <= WORDS.keys()


async def test_a_page_in_another_language_gets_the_words_of_its_catalogue(browser: Client, pseudo: str) -> None:
    answer = await browser.get(f"/embed/words?lang={pseudo}", headers={"Origin": "https://shop.example"})
    body = json.loads(await answer.get_data())
    assert body == {"language": pseudo, "words": {name: f"⟦{text}⟧" for name, text in WORDS.items()}}
    assert answer.headers["Access-Control-Allow-Origin"] == "*" and "Set-Cookie" not in answer.headers


async def test_a_language_that_is_not_spoken_and_nonsense_get_english(browser: Client) -> None:
    for language in ("fr-CA", "", "x" * 500, "..%2F..%2Fetc"):
        body = json.loads(await (await browser.get(f"/embed/words?lang={language}")).get_data())
        assert body == {"language": "en", "words": WORDS}
