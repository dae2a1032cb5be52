"""Addresses of servers have one reading, for us and for every library. What has none is refused, never quoted."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, unquote

import pytest
from celery import Celery
from hypothesis import example, given
from hypothesis import strategies as st
from kombu import Connection
from psycopg.conninfo import conninfo_to_dict
from redis.connection import parse_url
from sqlalchemy.engine import make_url

from mailroom.ops.doctor.findings import quoted
from mailroom.settings import Settings, SettingsError, SMTPServer
from mailroom.settings.urls import database_place, database_url, libpq_url, redis_place
from tests.unit.settings.test_settings import problem_with, settings_with

PIECE = "wqxz"
"""Stands for what is secret: no word of ours holds it."""
HOST = "host.example"
passwords = st.lists(
    st.sampled_from([PIECE, *"@/?#%:;[]&=+,\\\"'!$ |", "%41", "587", "é", "x@y"]), min_size=1
).map(lambda pieces: PIECE + "".join(pieces))
Result = TypeVar("Result")
Read = Callable[[str], tuple[str, str]]


def read_database(url: str) -> tuple[str, str]:
    url = settings_with(database_url=url).database_url
    sqlalchemy, libpq = make_url(url), conninfo_to_dict(libpq_url(url))
    assert (sqlalchemy.host, sqlalchemy.password) == (libpq["host"], libpq["password"])
    assert sqlalchemy.database == libpq["dbname"] == "name"
    return str(libpq["host"]), str(libpq["password"])


def read_redis(url: str) -> tuple[str, str]:
    settings = settings_with(redis_url=url)
    ours = parse_url(settings.limits)
    for app in (Celery(broker=settings.broker, backend=settings.results),):
        broker: Connection = app.connection_for_write()
        assert (broker.hostname, broker.password) == (ours["host"], ours["password"])
        results = app.backend.connparams
        assert (results["host"], results["password"]) == (ours["host"], ours["password"])
        assert int(broker.virtual_host) == results["db"] == ours["db"] == 3
    return ours["host"], ours["password"]


def read_broker(url: str) -> tuple[str, str]:
    ours = parse_url(settings_with(broker_url=url).broker)
    return ours["host"], ours["password"]


def read_smtp(url: str) -> tuple[str, str]:
    server = settings_with(smtp_url=url).smtp
    return server.host, server.password or ""


FORMS: dict[str, tuple[Read, str]] = {
    "DATABASE_URL": (read_database, "postgresql://olga:{}@host.example:5432/name"),
    "REDIS_URL": (read_redis, "redis://:{}@host.example:6379/3"),
    "BROKER_URL": (read_broker, "rediss://olga:{}@host.example"),
    "SMTP_URL": (read_smtp, "smtp://olga:{}@host.example:587"),
}
every_form = pytest.mark.parametrize("name", FORMS)


def outcome(call: Callable[[], Result]) -> Result | str:
    """Return what `call` returns, or the words of its `SettingsError`."""
    try:
        return call()
    except SettingsError as error:
        return str(error)


@every_form
@given(password=passwords)
def test_a_password_that_is_percent_encoded_is_read_by_all_as_it_is(name: str, password: str) -> None:
    read, form = FORMS[name]
    assert read(form.format(quote(password, safe=""))) == (HOST, password)


@every_form
@given(password=passwords)
@example(password=f"{PIECE}@{PIECE}")
@example(password=f"587/{PIECE}")
@example(password=f"#{PIECE}")
@example(password=f"{PIECE};redis://{PIECE}")
def test_one_that_is_not_is_read_right_or_refused_with_what_to_do(name: str, password: str) -> None:
    read, form = FORMS[name]
    found = outcome(lambda: read(form.format(password)))
    if isinstance(found, str):
        assert found.startswith(name)
        assert "percent-encode" in found
        assert PIECE not in found.lower()
    else:
        assert found == (HOST, unquote(password))


@given(password=passwords, encoded=st.booleans())
def test_no_message_about_a_server_holds_a_piece_of_a_password(password: str, encoded: bool) -> None:
    written = quote(password, safe="") if encoded else password
    changes = {name.lower(): form.format(written) for name, (_, form) in FORMS.items()}
    settings = outcome(lambda: settings_with(**changes))
    if isinstance(settings, str):
        assert PIECE not in settings.lower()
        return
    redis = settings.broker.split(";")
    places = [database_place(settings.database_url), *map(redis_place, redis), str(settings.smtp)]
    assert PIECE not in "".join(places)
    read = str(settings.smtp.password)
    for words in (
        password,
        read,
        quote(read, safe=""),
        settings.database_url,
        settings.limits,
        settings.redis_url,
    ):
        assert PIECE not in quoted(f"cannot connect with {words}", settings)


@pytest.mark.parametrize(
    ("name", "written", "words"),
    [
        ("smtp_url", f"smtp://{PIECE}:587/x@host.example", "percent-encode"),
        ("smtp_url", f"smtp://{PIECE}:#x@host.example", "percent-encode"),
        ("smtp_url", f"smtp://olga:{PIECE}%zz@host.example", "percent-encode"),
        ("smtp_url", f"smtp://olga:{PIECE}%ff@host.example", "percent-encode"),
        ("smtp_url", "smtp://host.example/inbox", "must end with host and port"),
        ("smtp_url", "smtp://host.example?tls=yes", "there is only starttls"),
        ("smtp_url", "smtp://host.example?starttls=yes", "starttls=required, opportunistic or never"),
        ("smtp_url", "smtp://host.example?starttls=never&starttls=required", "names an option twice"),
        ("smtp_url", f"smtp://{PIECE}@host.example", "must name user and password, or neither"),
        ("smtp_url", f"smtp://:{PIECE}@host.example", "must name user and password, or neither"),
        ("smtp_url", "smtp://host.example:0", "port from 1 to 65535"),
        ("smtp_url", "smtp://host.example:٥٨٧", "port from 1 to 65535"),
        ("smtp_url", "smtp://", "names no host"),
        ("smtp_url", "smtp://[::1", "IPv6 address in brackets"),
        ("database_url", f"postgresql://olga:{PIECE}/w@host/db", "percent-encode"),
        ("database_url", "postgresql://host.example", "names no database"),
        ("database_url", "postgresql://host.example/", "names no database"),
        ("database_url", "mysql://host.example/db", "must look like postgresql://"),
        ("database_url", "postgresql://host.example/db?schema=public", "libpq does not know"),
        (
            "database_url",
            f"postgresql://o:{PIECE}@h/db?password={PIECE}",
            "names password after the question mark",
        ),
        ("redis_url", "redis://host.example/one", "must have a number for the database"),
        ("redis_url", "redis://host.example/1?db=2", "names the database twice"),
        ("redis_url", "redis://host.example?timeout=2", "has an option that is not known"),
        ("redis_url", "redis://host.example?ssl_cert_reqs=none", "only a rediss:// address takes"),
        ("redis_url", "rediss://host.example?ssl_cert_reqs=maybe", "ssl_cert_reqs=required, optional or none"),
        ("redis_url", f"redis://{PIECE}@host.example", "names a user but no password"),
        ("redis_url", "redis://one.example;redis://two.example", "names a host that cannot exist"),
    ],
)
def test_what_an_address_cannot_be_is_told_with_what_to_write(name: str, written: str, words: str) -> None:
    problem = problem_with(**{name: written})
    assert problem.startswith(f"{name.upper()} ")
    assert words in problem
    assert PIECE not in problem


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("redis://host.example", "redis://host.example:6379/0"),
        ("redis://host.example?db=3", "redis://host.example:6379/3"),
        ("valkeys://:word@host.example/03", "rediss://:word@host.example:6379/3?ssl_cert_reqs=required"),
        ("rediss://host.example?ssl_cert_reqs=CERT_NONE", "rediss://host.example:6379/0?ssl_cert_reqs=none"),
        (
            "rediss://host.example?ssl_ca_certs=/etc/ca.pem",
            "rediss://host.example:6379/0?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_cert_reqs=required",
        ),
        ("redis://[2001:DB8::1]", "redis://[2001:db8::1]:6379/0"),
        ('"redis://host.example/1"', "redis://host.example:6379/1"),
    ],
)
def test_redis_addresses_have_one_form(written: str, read: str) -> None:
    assert settings_with(redis_url=written).limits == read


def test_what_an_address_asks_for_is_not_overruled() -> None:
    asks = "rediss://host.example?ssl_cert_reqs=required"
    assert problem_with(redis_url=asks, redis_tls_verify="no").startswith("REDIS_URL asks for a good certificate")
    without = settings_with(redis_url="rediss://host.example", redis_tls_verify="no")
    assert without.limits.endswith("ssl_cert_reqs=none")


@pytest.mark.parametrize(
    ("written", "host", "port", "name"),
    [
        ("postgres://host.example/db", "host.example", None, "db"),
        ("postgresql://one.example:5433,two.example/db", "one.example,two.example", "5433,5432", "db"),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/db", "/var/run/postgresql", "5432", "db"),
        ("postgresql:///db?host=/var/run/postgresql", "/var/run/postgresql", None, "db"),
        ("postgresql://[::1]:5433/my%20mails", "::1", "5433", "my mails"),
        ("postgresql://bücher.example/db", "xn--bcher-kva.example", None, "db"),
    ],
)
def test_databases_are_where_libpq_and_sqlalchemy_both_look(
    written: str, host: str, port: str | None, name: str
) -> None:
    url = database_url(written)
    libpq = conninfo_to_dict(libpq_url(url))
    assert (libpq["host"], libpq.get("port"), libpq["dbname"]) == (host, port, name)
    sqlalchemy = make_url(url)
    _, asked = sqlalchemy.get_dialect()().create_connect_args(sqlalchemy)
    assert (asked["host"], asked["dbname"]) == (host, name)
    assert str(asked.get("port", port or "")) == (port or "")
    assert asked["target_session_attrs"] == libpq["target_session_attrs"] == "read-write"
    assert database_place(url).endswith(name)


def test_a_standby_may_be_asked_for() -> None:
    url = database_url("postgresql://host.example/db?target_session_attrs=any")
    assert conninfo_to_dict(libpq_url(url))["target_session_attrs"] == "any"


def test_mail_servers_are_read_with_their_defaults() -> None:
    settings: Settings = settings_with(smtp_url="smtp://olga:word@Host.example")
    assert settings.smtp == SMTPServer("host.example", 587, False, "required", "olga", "word")
    assert SMTPServer.parse("smtp://host.example").starttls == "opportunistic"
    assert SMTPServer.parse("smtp://host.example").port == 25
    assert SMTPServer.parse("smtps://olga:word@[2001:db8::1]").port == 465
    assert str(SMTPServer.parse("smtps://olga:word@[2001:db8::1]")) == "[2001:db8::1]:465"
