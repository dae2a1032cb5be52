"""The upload that CONTRIBUTING shows, run as it stands there."""

import re
import textwrap
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from quart import Blueprint, Quart, Response, request
from quart.datastructures import FileStorage
from quart.typing import TestClientProtocol as Client

from mailroom.accounts.views import Session
from mailroom.i18n.messages import gettext
from mailroom.services import Services
from mailroom.web.browser import services
from mailroom.web.forms.fields import Invalid
from mailroom.web.forms.return_to import member
from mailroom.web.page import redirect
from mailroom.web.parts import part_of
from mailroom.web.rate_limits import limits
from mailroom.web.requests import takes_body

As = Callable[[Session], Client]
SHOWN = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text().partition("## Adding an upload")[2]
NAMES = {
    "Response": Response,
    "request": request,
    "takes_body": takes_body,
    "limits": limits,
    "gettext": gettext,
    "services": services,
    "member": member,
    "redirect": redirect,
    "Invalid": Invalid,
}


class Tasks:
    started: tuple[Any, ...] = ()

    async def start(self, _work: Any, *arguments: Any, **more: Any) -> str:
        self.started = (*arguments, more["title"])
        return "ticket"


@pytest.fixture
def tasks(app: Quart) -> Tasks:
    blueprint, tasks = Blueprint("uploads", __name__), Tasks()
    code = textwrap.dedent(re.search(r"```python\n(.*?)```", SHOWN, re.DOTALL)[1])  # type: ignore[index]
    exec(compile(code, "CONTRIBUTING.md", "exec"), {**NAMES, "blueprint": blueprint})
    app.register_blueprint(blueprint)
    have: Any = part_of(app, Services)
    assert isinstance(have, SimpleNamespace)
    have.task_service = tasks
    return tasks


async def send(client: Client, content: bytes) -> Response:
    return await client.post("/addresses", files={"file": FileStorage(BytesIO(content), "addresses.csv")})


async def test_a_large_file_is_taken_and_its_task_has_a_page(as_: As, alice: Session, tasks: Tasks) -> None:
    lines = [f"person{number}@example.org" for number in range(20_000)]
    answer = await send(as_(alice), ("\ufeff" + "\n".join(lines)).encode())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/tasks/ticket")
    assert tasks.started == ("mailroom.import_addresses", lines, "Import")


@pytest.mark.usefixtures("tasks")
async def test_a_file_that_is_too_large_is_told_the_limit_in_numbers(as_: As, alice: Session) -> None:
    answer = await send(as_(alice), b"x" * (6 * 1024 * 1024))
    assert answer.status_code == 413
    assert "5 MB" in await answer.get_data(as_text=True)


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfe", "not UTF-8"), (None, "choose a file")])
async def test_a_file_that_cannot_be_read_says_why(
    as_: As, alice: Session, content: bytes | None, said: str
) -> None:
    client = as_(alice)
    answer = await (send(client, content) if content else client.post("/addresses", form={}))
    assert answer.status_code == 422
    assert said in await answer.get_data(as_text=True)
