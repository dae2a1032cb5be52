"""The API held against its own document, by schemathesis: no error of ours, and no answer that is not documented.

FUZZ_REQUESTS may be set: how many requests in all. `make fuzz` makes 20,000. FUZZ_SEED repeats a run.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    IgnoredAuth,
    allow_header_conformance,
    content_type_conformance,
    ensure_resource_availability,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    use_after_free,
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
    positive_data_acceptance,
]
"""What one request can show."""
CHECKS_OF_WALKS = [not_a_server_error, status_code_conformance, use_after_free, ensure_resource_availability]
"""What only requests that follow each other show.

One check of schemathesis' fourteen is left out: `object_level_authorization` logs in by itself, as several users
whom a file in its own form describes. Whose objects a key sees is tested in `api/`, by hand.
"""
# An address, a moment or a search may be wrong in a way that no JSON schema says: 422 is a right answer to
# what the document allows. It must not be unreadable (400), of the wrong type (415) or too large (413).
ACCEPTED = ["2xx", "304", "401", "403", "404", "409", "422"]
CONFIG = SchemathesisConfig.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}})
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


def document_of(web: Target) -> Any:
    return schemathesis.openapi.from_url(f"http://localhost:{web.port}/api/openapi.json", config=CONFIG)


def options_of(web: Target, secret: str) -> dict[str, Any]:
    headers = {
        "Authorization": f"Bearer {secret}",
        "Cookie": web.cookie,
        "X-Forwarded-For": web.client().decode().split()[1],  # the limits are not what is tried here
    }
    return {"base_url": f"http://localhost:{web.port}", "headers": headers, "timeout": 10}


@pytest.mark.filterwarnings("ignore")  # of schemathesis and hypothesis, about themselves
@pytest.mark.timeout(240 + REQUESTS)
def test_the_api_answers_as_its_document_says(web: Target) -> None:
    schema = document_of(web)
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
            nonlocal made
            made += 1
            response = case.call(**options_of(web, secret))  # noqa: B023  # it is asked in this round
            # A parameter without a name ("?=") is none to whoever reads the query. Lists and objects are
            # written as text, an empty list not at all. What arrives is not wrong, then.
            query = (case.query or {}).items()
            lost = any(not name or isinstance(value, list | dict | None) for name, value in query)
            # No text has this character, and no schema can say so.
            unheard = response.status_code == 400 and "U+0000" in response.text
            left_out = {negative_data_rejection: lost, positive_data_acceptance: unheard}
            checks = [one for one in CHECKS if not left_out.get(one)]
            case.validate_response(response, checks=checks)

        try:
            ask()
        except (Exception, FailureGroup) as error:  # the other operations are worth trying, too
            wrong.append(f"{operation.label}: {error}")
    print(f"FUZZ_SEED={SEED}: {made} requests to {len(operations)} operations")  # noqa: T201
    assert not wrong, "\n\n".join(wrong)
    assert "Traceback" not in web.process.text, web.process.text[-5000:]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(240)
def test_what_was_made_is_there_and_what_was_removed_is_not(web: Target) -> None:
    secret, made, removed = new_key(web.database_url, test=True), Counter[tuple[str, int | str]](), set[str]()
    schema = document_of(web).include(path_regex="^/api/v1/webhooks")

    class Walk(schema.as_state_machine()):  # type: ignore[misc]  # made from the document
        def setup(self) -> None:
            """Begin with no webhooks: at their limit the same walk would be answered otherwise."""
            with psycopg.connect(web.database_url, autocommit=True) as connection:
                connection.execute("delete from webhook_endpoints")

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return options_of(web, secret)

        def before_call(self, case: schemathesis.Case) -> None:
            if case.method == "POST":  # what is drawn is no address that may be told of anything
                case.body = {"endpoint": "https://shop.example/hooks", "events": ["email.sent"]}

        def validate_response(self, response: Response, case: schemathesis.Case, **_: Any) -> None:
            made[case.method, response.status_code] += 1
            webhook = (case.path_parameters or {}).get("webhook_id", "")
            if (case.method, response.status_code) == ("DELETE", 200):
                removed.add(webhook)
            made["GET", "of a removed one"] += case.method == "GET" and webhook in removed
            case.validate_response(response, checks=CHECKS_OF_WALKS)

    Walk.run(
        settings=settings(
            max_examples=REQUESTS // 100 or EXAMPLES,
            stateful_step_count=6,
            deadline=None,
            database=None,
            derandomize=not REQUESTS,
            suppress_health_check=EVERY_HEALTH_CHECK,
        )
    )
    assert made["POST", 201] and made["DELETE", 200], "nothing was made, or removed"
    assert made["GET", 200] and made["GET", "of a removed one"], "nothing was read, or read once it was removed"
