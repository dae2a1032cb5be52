"""The addresses of PostgreSQL, of Redis and of a collector of traces, in the one form that all libraries take.

Every function raises `ValueError` with what to write instead, never with a part of the address.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError

from mailroom.settings.smtp import SMTP_SCHEMES
from mailroom.settings.url_parts import ENCODE, UrlParts, shown_host

POSTGRESQL = "postgresql://user:password@host:5432/name"
POSTGRESQL_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
REDIS = "redis://:password@host:6379/0 (or rediss:// for TLS)"
REDIS_SCHEMES = ("redis", "rediss", "valkey", "valkeys")
REDIS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
REDIS_VERIFY = {
    "required": "required", "CERT_REQUIRED": "required", "optional": "optional", "CERT_OPTIONAL": "optional",
    "none": "none", "CERT_NONE": "none",
}  # fmt: skip


def database_url(url: str) -> str:
    """Return `url` as SQLAlchemy takes it, with its driver; `libpq_url` makes of it what psycopg takes.

    Without ``target_session_attrs`` it asks for ``read-write``: the primary of several hosts, and no standby.
    """
    parts = UrlParts.parse(url, schemes=POSTGRESQL_SCHEMES, example=POSTGRESQL, many_hosts=True)
    _refuse_twice(parts)
    options = {"target_session_attrs": "read-write", **parts.options}
    name = options.get("dbname") or parts.path
    if not name:
        raise ValueError("names no database: end it with /name")
    plain_name = quote(name, safe="") == name and "dbname" not in options
    if not plain_name:  # SQLAlchemy does not decode the path
        options["dbname"] = name
    place = ""
    if len(parts.hosts) == 1 and not parts.host.startswith("/"):
        place = shown_host(parts.host, parts.port)
    elif parts.hosts:
        options |= {
            "host": ",".join(host for host, _ in parts.hosts),
            "port": ",".join(str(port or 5432) for _, port in parts.hosts),
        }
    _check_options(options)
    path = name if plain_name else ""
    return f"postgresql+psycopg://{_user(parts)}{place}/{path}?{urlencode(options, quote_via=quote, safe='')}"


def passwords(url: str) -> set[str]:
    """Return the passwords in the address of any server: plain, as written, and as libraries get them."""
    every = {*POSTGRESQL_SCHEMES, *REDIS_SCHEMES, *SMTP_SCHEMES}
    parts = UrlParts.parse(url, schemes=every, example="", many_hosts=True)
    _, _, as_written = url.partition("://")[2].rpartition("@")[0].partition(":")
    found = {parts.password, parts.options.get("password", "")}
    return {as_written, *found, *(quote(password, safe="") for password in found)} - {""}


def libpq_url(url: str) -> str:
    """Return what `database_url` returned as psycopg and libpq take it: without SQLAlchemy's driver."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


def database_place(url: str) -> str:
    """Return where a database is, fit to show: ``host:port/name``."""
    parts = UrlParts.parse(url, schemes=POSTGRESQL_SCHEMES, example=POSTGRESQL, many_hosts=True)
    hosts, ports = parts.options.get("host", "").split(","), parts.options.get("port", "").split(",")
    several = [shown_host(host, int(port)) for host, port in zip(hosts, ports, strict=False) if host and port]
    one = [shown_host(host, port) for host, port in parts.hosts]
    return f"{','.join(one or several or hosts) or 'the local socket'}/{parts.options.get('dbname') or parts.path}"


def _refuse_twice(parts: UrlParts) -> None:
    """Refuse what is given both before and after the question mark: libraries disagree which of the two counts."""
    before = {
        "user": parts.username, "password": parts.password, "host": parts.host, "port": parts.host,
        "dbname": parts.path,
    }  # fmt: skip
    for name in parts.options:
        if before.get(name):
            raise ValueError(f"names {name} after the question mark and also before it: leave one out")


def _check_options(options: Mapping[str, str]) -> None:
    """Ask libpq whether it knows these options; its message may quote a value, so it is replaced by ours."""
    try:
        conninfo_to_dict("postgresql://?" + urlencode(options, quote_via=quote, safe=""))
    except ProgrammingError:
        raise ValueError(
            "has an option after the question mark that libpq does not know; it knows sslmode, sslrootcert, host, "
            "options, target_session_attrs and others (PostgreSQL manual, section 34.1.2)"
        ) from None


def redis_url(url: str, *, verify_tls: bool) -> str:
    """Return `url` in the one form that kombu, Celery's backend and redis-py all take.

    ``rediss://`` needs ``ssl_cert_reqs`` for Celery: if the address does not say it, ``required`` unless
    `verify_tls` is false. The database number is the path or ``?db=``, 0 when left out.
    """
    parts = UrlParts.parse(url, schemes=REDIS_SCHEMES, example=REDIS)
    options = dict(parts.options)
    number = options.pop("db", "")
    if number and parts.path:
        raise ValueError("names the database twice, after the host and with ?db=: leave one out")
    number = number or parts.path or "0"
    if not (number.isascii() and number.isdigit()):
        raise ValueError("must have a number for the database after the host: redis://:password@host:6379/0")
    tls = parts.scheme in {"rediss", "valkeys"}
    verify = options.pop("ssl_cert_reqs", "required" if verify_tls else "none")
    if parts.username and not parts.password:
        raise ValueError("names a user but no password: redis://:password@host:6379/0")
    if "ssl_cert_reqs" in parts.options and not verify_tls and REDIS_VERIFY.get(verify) != "none":
        raise ValueError("asks for a good certificate, and REDIS_TLS_VERIFY says no: leave one of them out")
    if set(options) - set(REDIS_FILES):
        raise ValueError(f"has an option that is not known; there are db, ssl_cert_reqs, {', '.join(REDIS_FILES)}")
    if (options or "ssl_cert_reqs" in parts.options) and not tls:
        raise ValueError("has options of TLS, which only a rediss:// address takes")
    if verify not in REDIS_VERIFY:
        raise ValueError("must have ssl_cert_reqs=required, optional or none")
    if tls:
        options["ssl_cert_reqs"] = REDIS_VERIFY[verify]
    place = f"{'rediss' if tls else 'redis'}://{_user(parts)}{shown_host(parts.host, parts.port or 6379)}"
    return f"{place}/{int(number)}" + (f"?{urlencode(options, quote_via=quote, safe='')}" if options else "")


def redis_place(url: str) -> str:
    """Return where a Redis is, fit to show: ``host:port/number``."""
    parts = UrlParts.parse(url, schemes=REDIS_SCHEMES, example=REDIS)
    return f"{shown_host(parts.host, parts.port or 6379)}/{parts.path or 0}"


def broker_url(urls: str, *, verify_tls: bool) -> str:
    """Like `redis_url`, for several brokers joined by ``;`` (Celery takes the first that answers)."""
    each = [url for url in urls.split(";") if url.strip()]
    if not all("://" in url for url in each):
        raise ValueError(ENCODE)
    return ";".join(redis_url(url, verify_tls=verify_tls) for url in each)


def _user(parts: UrlParts) -> str:
    if not parts.username and not parts.password:
        return ""
    password = f":{quote(parts.password, safe='')}" if parts.password else ""
    return f"{quote(parts.username, safe='')}{password}@"


def otlp_endpoint(value: str) -> str:
    """Return the address of an OpenTelemetry collector; empty: none. Raises ValueError."""
    if not value:
        return value
    if not value.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// address: http://localhost:4318")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ValueError("needs OpenTelemetry: pip install 'mailroom[otel]'")
    return value
