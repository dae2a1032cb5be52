"""A body has the limit of its route, whatever came of it before the route was known."""

import hashlib

import pytest
from quart import Quart, request

from mailroom.web.requests import LARGEST_OF_ALL, read_requests, takes_body

MB = 1024 * 1024
MOST = 40 * MB


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    read_requests(app)

    @app.post("/large")
    @takes_body(MOST)
    async def large() -> str:
        return hashlib.sha256(await request.get_data()).hexdigest()

    @app.post("/small")
    async def small() -> str:
        return str(len(await request.get_data()))

    return app


@pytest.mark.parametrize("size", [MB, 16 * MB + 1, MOST])
async def test_all_of_a_body_arrives_up_to_the_limit_of_its_route(app: Quart, size: int) -> None:
    body = b"mail" * (size // 4) + b"s" * (size % 4)
    answer = await app.test_client().post("/large", data=body)
    assert await answer.get_data(as_text=True) == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("path", ["/large", "/small"])
@pytest.mark.parametrize("size", [MOST + 1, LARGEST_OF_ALL + 1])
async def test_one_byte_more_is_refused(app: Quart, path: str, size: int) -> None:
    answer = await app.test_client().post(path, data=bytes(size))
    assert answer.status_code == 413


def test_no_route_takes_more_than_the_largest_of_all_and_a_form_as_much(app: Quart) -> None:
    assert app.config["MAX_CONTENT_LENGTH"] == LARGEST_OF_ALL
    with pytest.raises(ValueError, match="LARGEST_OF_ALL"):
        takes_body(LARGEST_OF_ALL + 1)
