"""PostgreSQL with TLS and a certificate authority of one's own: what works, and what the doctor says where not."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailroom.kit.database import Database
from mailroom.ops.doctor import database
from mailroom.ops.doctor.findings import Finding
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.terminal import Mark
from mailroom.settings.urls import database_url
from tests.conftest import settings_of
from tests.servers.conftest import program
from tests.servers.postgresql import PASSWORD, DebianPostgres, debian_postgres

pytestmark = pytest.mark.servers

ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@dataclass(frozen=True)
class Authority:
    """A certificate authority of one's own."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "ca.crt"

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        folder.mkdir()
        made = cls(folder)
        made._openssl("req", "-x509", "-subj", "/CN=An authority", "-keyout", folder / "ca.key", "-out", made.file)
        return made

    def certify(self, name: str) -> tuple[Path, Path]:
        """Return a certificate for a host name, and its key."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self._openssl("req", "-x509", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                      "-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.file,
                      "-CAkey", self.folder / "ca.key", "-keyout", key, "-out", certificate)  # fmt: skip
        return certificate, key

    def _openssl(self, *words: object) -> None:
        subprocess.run(
            [program("openssl"), *words, "-newkey", "rsa:2048", "-nodes", "-days", "2"],
            check=True,
            capture_output=True,
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def safe(authority: Authority) -> Iterator[DebianPostgres]:
    """A PostgreSQL that lets nobody in without TLS."""
    certificate, key = authority.certify("localhost")
    with debian_postgres() as server:
        server.make("ssl = on", access="hostssl all mailroom 127.0.0.1/32 scram-sha-256")
        server.write(server.data / "server.crt", certificate.read_bytes())
        server.write(server.data / "server.key", key.read_bytes())
        with server.start(sslmode="require"):
            yield server


def address(server: DebianPostgres, words: str, host: str = "localhost") -> str:
    return server.url.replace("@127.0.0.1:", f"@{host}:") + words


async def examined(environment: dict[str, str], url: str) -> Finding:
    first, *_ = await database.check(settings_of(environment, database_url=url))
    return first


async def test_a_certificate_of_ones_own_authority_is_verified_by_every_way_in(
    environment: dict[str, str], safe: DebianPostgres, authority: Authority
) -> None:
    url = address(safe, f"?sslmode=verify-full&sslrootcert={authority.file}")
    pool = Database(database_url(url), connections=1, name="test")
    assert await pool.fetch(ENCRYPTED, {}) == [(True,)]
    await pool.close()
    assert (await examined(environment, url)).mark is Mark.GOOD


@pytest.mark.parametrize(
    ("words", "host", "said"),
    [
        ("?sslmode=verify-full&sslrootcert={other}", "localhost", "certificate verify failed"),
        ("?sslmode=verify-full&sslrootcert={own}", "127.0.0.1", "does not match host name"),
        ("?sslmode=verify-full&sslrootcert=/nowhere/ca.crt", "localhost", "/nowhere/ca.crt"),
        ("?sslmode=disable", "localhost", "lets nobody in from here"),
    ],
)
async def test_what_is_wrong_with_tls_is_a_sentence_that_names_the_setting(
    environment: dict[str, str],
    safe: DebianPostgres,
    authority: Authority,
    tmp_path: Path,
    words: str,
    host: str,
    said: str,
) -> None:
    other = Authority.make(tmp_path / "other")
    url = address(safe, words.format(own=authority.file, other=other.file), host)
    found = await examined(environment, url)
    assert found.mark is Mark.BROKEN
    assert said in found.words and "sslmode" in found.advice, found
    assert PASSWORD not in f"{found}"


async def test_a_server_without_tls_is_not_used_where_tls_is_asked_for(
    environment: dict[str, str], postgres: Postgres
) -> None:
    found = await examined(environment, f"{postgres.url}?sslmode=verify-full&sslrootcert=system")
    assert found.mark is Mark.BROKEN
    assert "does not support SSL" in found.words and "sslmode" in found.advice
