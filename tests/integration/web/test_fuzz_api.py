"""The API held against its own document, by schemathesis: no error of ours, and no answer that is not documented.

FUZZ_REQUESTS may be set: how many requests in all. `make fuzz` makes 20,000. FUZZ_SEED repeats a run.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    IgnoredAuth,
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from mailroom.api_keys.secret import hash_of, new_secret, start_of
from mailroom.kit.ids import new_id
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.valkey import Valkey
from tests.conftest import database_on
from tests.integration.web.fuzzing import Target, environment_for, target

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "0"))
EXAMPLES = 10
"""Requests of each operation where no number is given."""
SEED = int(os.environ.get("FUZZ_SEED", random.randrange(1 << 32) if REQUESTS else 17))
"""The same requests each time in the suite; `make fuzz` draws others."""


def ignored_auth_within_limits(ctx: Any, response: Any, case: schemathesis.Case) -> bool | None:
    """Check that the key is asked for. Where few requests are allowed, their limit may answer before."""
    try:
        return ignored_auth(ctx, response, case)
    except IgnoredAuth as error:
        if "got `429 " in str(error):
            return None
        raise


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
    allow_header_conformance,
    ignored_auth_within_limits,
]
EVERY_HEALTH_CHECK = list(HealthCheck)


@pytest.fixture(scope="module")
def web(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with (
        database_on(postgres, f"api_{os.getpid()}") as url,
        target(environment_for(url, valkey.url), tmp_path_factory.mktemp("api")) as web,
    ):
        web.database_url = url
        yield web


def new_key(url: str, *, test: bool) -> str:
    secret = new_secret()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into api_keys (id, name, start, hash, scope, domains, origins, test)"
            " values (%s, 'fuzz', %s, %s, 'full', '{}', '{}', %s)",
            (new_id(), start_of(secret), hash_of(secret), test),
        )
    return secret


@pytest.mark.filterwarnings("ignore")  # of schemathesis and hypothesis, about themselves
@pytest.mark.timeout(240 + REQUESTS)
def test_the_api_answers_as_its_document_says(web: Target) -> None:
    schema = schemathesis.openapi.from_url(f"http://localhost:{web.port}/api/openapi.json")
    usual, of_all = new_key(web.database_url, test=True), new_key(web.database_url, test=False)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 3
    examples = REQUESTS // len(operations) if REQUESTS else EXAMPLES
    made, wrong = 0, []
    for operation in operations:
        # The desk is shown to no test key: each of its requests would be refused before anything is read.
        secret = of_all if "desk" in operation.definition.raw["tags"] else usual

        @seed(SEED)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=EVERY_HEALTH_CHECK)
        @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def ask(case: schemathesis.Case) -> None:
            headers = {
                "Authorization": f"Bearer {secret}",  # noqa: B023  # it is asked in this round
                "Cookie": web.cookie,
                "X-Forwarded-For": web.client().decode().split()[1],  # the limits are not what is tried here
            }
            nonlocal made
            made += 1
            response = case.call(base_url=f"http://localhost:{web.port}", headers=headers, timeout=10)
            # A parameter without a name ("?=") is none to whoever reads the query: nothing wrong was sent.
            nameless = "" in (case.query or {})
            checks = [one for one in CHECKS if not (nameless and one is negative_data_rejection)]
            case.validate_response(response, checks=checks)

        try:
            ask()
        except Exception as error:  # the other operations are worth trying, too
            wrong.append(f"{operation.label}: {error}")
    print(f"FUZZ_SEED={SEED}: {made} requests to {len(operations)} operations")  # noqa: T201
    assert not wrong, "\n\n".join(wrong)
    assert "Traceback" not in web.process.text, web.process.text[-5000:]
