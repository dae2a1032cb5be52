"""The doctor in front of servers as people have them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailroom.ops.doctor import database, mail_server, redis_servers
from mailroom.ops.doctor.findings import Finding
from mailroom.ops.embedded.ports import free_port
from mailroom.ops.terminal import Mark
from tests.conftest import settings_of
from tests.servers.conftest import Certificate, program, running
from tests.servers.pgbouncer import pgbouncer
from tests.servers.postfix import Postfix, postfix
from tests.servers.redis_tls import redis_with_tls

pytestmark = pytest.mark.servers

NOT_GOOD = "has a certificate that is not good: self-signed certificate"


def one(findings: list[Finding], check: str) -> Finding:
    (found,) = [finding for finding in findings if finding.check == check]
    return found


# -- PgBouncer


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("size", [1, 2, 20])
@pytest.mark.parametrize("round_robin", [False, True])
async def test_a_pooler_that_breaks_sessions_apart(
    environment: dict[str, str], database_url: str, tmp_path: Path, mode: str, size: int, round_robin: bool
) -> None:
    with pgbouncer(database_url, tmp_path, mode=mode, size=size, round_robin=round_robin) as url:
        found = one(await database.check(settings_of(environment, database_url=url)), "database pooler")
    assert found.mark is Mark.BROKEN
    assert "pool_mode = session" in found.advice


async def test_a_pooler_that_keeps_sessions(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    with pgbouncer(database_url, tmp_path, mode="session") as url:
        found = await database.check(settings_of(environment, database_url=url))
    assert {finding.mark for finding in found} == {Mark.GOOD}
    assert "keeps sessions" in one(found, "database pooler").words


# -- Redis


@pytest.fixture
def tls_port(certificate: Certificate, tmp_path: Path) -> Iterator[int]:
    with redis_with_tls(tmp_path, certificate) as port:
        yield port


async def test_a_redis_whose_certificate_nobody_trusts(
    environment: dict[str, str], tls_port: int, certificate: Certificate
) -> None:
    async def check(url: str) -> Finding:
        found, *_ = await redis_servers.check(settings_of(environment, redis_url=url))
        return found

    place = f"localhost:{tls_port}"
    assert NOT_GOOD in (await check(f"rediss://{place}")).words
    assert "Write rediss://" in (await check(f"redis://{place}")).advice
    assert (await check(f"rediss://{place}?ssl_ca_certs={certificate.file}")).mark is Mark.GOOD
    assert (await check(f"rediss://{place}?ssl_cert_reqs=none")).mark is Mark.GOOD


async def test_a_redis_in_cluster_mode(environment: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--cluster-enabled", "yes", "--save", ""]
    with running(command, tmp_path, port):
        (found,) = await redis_servers.check(settings_of(environment, redis_url=f"redis://127.0.0.1:{port}"))
    assert found.mark is Mark.BROKEN
    assert "is a cluster" in found.words


# -- Postfix


@pytest.fixture(scope="module")
def mail_host(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    with postfix(tmp_path_factory.mktemp("postfix"), certificate) as server:
        yield server


@pytest.mark.parametrize(
    ("form", "mark", "said"),
    [
        ("smtp://localhost:{port}", Mark.GOOD, "answers"),
        ("smtp://localhost:{port}?starttls=required", Mark.BROKEN, NOT_GOOD),
        ("smtps://localhost:{tls_port}", Mark.BROKEN, NOT_GOOD),
        ("smtp://localhost:{tls_port}", Mark.BROKEN, "begins with TLS"),
        ("smtps://localhost:{port}", Mark.BROKEN, "write smtp://"),
        ("smtp://olga:word@localhost:{port}?starttls=opportunistic", Mark.BROKEN, "does not accept the sign-in"),
    ],
)
async def test_each_way_of_naming_a_mail_server(
    environment: dict[str, str], mail_host: Postfix, form: str, mark: Mark, said: str
) -> None:
    url = form.format(port=mail_host.port, tls_port=mail_host.tls_port)
    (found,) = await mail_server.check(settings_of(environment, smtp_url=url))
    assert found.mark is mark, found
    assert said in f"{found.words}. {found.advice}"


@pytest.mark.parametrize("form", ["smtp://localhost:{port}?starttls=required", "smtps://localhost:{tls_port}"])
def test_an_issuer_of_ones_own_is_named_by_ssl_cert_file(
    environment: dict[str, str], mail_host: Postfix, certificate: Certificate, tmp_path: Path, form: str
) -> None:
    url = form.format(port=mail_host.port, tls_port=mail_host.tls_port)
    done = subprocess.run(
        [sys.executable, "-m", "mailroom", "doctor"],
        env={**environment, "SMTP_URL": url, "SSL_CERT_FILE": str(certificate.file)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "✓ Mail server: localhost:" in done.stdout
    assert "certificate good" in done.stdout
