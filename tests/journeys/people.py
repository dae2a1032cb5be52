"""A person with a browser, as far as HTTP and a websocket go."""

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

PASSWORD = "seven quiet herons by the lake"


class Person(httpx.Client):
    """A browser of its own: cookies, Origin, and no redirects followed by themselves."""

    def __init__(self, email: str, base_url: str) -> None:
        super().__init__(
            base_url=base_url, headers={"Origin": base_url, "Sec-Fetch-Site": "same-origin"}, timeout=60
        )
        self.email = email

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)

    def sign_up(self, email: str | None = None, password: str = PASSWORD) -> str:
        """Sign up; return the ticket."""
        answer = self.post("/sign-up", data={"email": email or self.email, "password": password})
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"].rpartition("/")[2]

    def task(self, ticket: str) -> dict[str, Any]:
        answer = self.get(f"/api/v1/tasks/{ticket}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def live(self) -> ClientConnection:
        """Open the websocket with this browser's cookies."""
        url = str(self.base_url).replace("http", "ws", 1).rstrip("/") + "/live"
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies.jar)
        return connect(url, additional_headers={"Cookie": cookies}, origin=str(self.base_url).rstrip("/"))  # type: ignore[arg-type]

    def watch(
        self, ticket: str, seconds: float = 60, hear: Callable[[dict[str, Any]], object] = lambda _: None
    ) -> list[dict[str, Any]]:
        """Watch a ticket to its end; return everything that was told. `hear` gets each of it at once."""
        told: list[dict[str, Any]] = []
        with self.live() as socket:
            socket.send(json.dumps({"watch": [ticket]}))
            while not told or not told[-1]["final"]:
                told.append(json.loads(socket.recv(timeout=seconds)))
                hear(told[-1])
        return told


def text_of(page: httpx.Response) -> str:
    """Return a page's HTML without the marks that only say where an address may be broken."""
    return page.text.replace("<wbr>", "")
