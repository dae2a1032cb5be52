"""Which errors mean "the server is away", whichever library or event loop they come from."""

import asyncio
import ssl

import psycopg
import pytest
import redis.exceptions
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mailroom.kit.outages import is_away


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        ConnectionRefusedError(),
        BrokenPipeError(),
        TimeoutError(),
        OSError("No route to host"),
        ssl.SSLError(),
        asyncio.IncompleteReadError(b"", 1),
        RuntimeError("unable to perform operation on <TCPTransport closed=True 0x1>; the handler is closed"),
        redis.exceptions.ConnectionError(),
        redis.exceptions.BusyLoadingError(),
        redis.exceptions.ReadOnlyError(),
        redis.exceptions.AuthenticationError(),
        redis.exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
        psycopg.OperationalError(),
        psycopg.InterfaceError("the connection is closed"),
        psycopg.errors.AdminShutdown(),
        psycopg.errors.CannotConnectNow(),
        psycopg.errors.ReadOnlySqlTransaction(),
        psycopg.errors.DiskFull(),
        PoolTimeout(),
        DBAPIError("select 1", {}, psycopg.OperationalError()),
        DBAPIError("select 1", {}, psycopg.errors.ReadOnlySqlTransaction()),
        DBAPIError("select 1", {}, ValueError(), connection_invalidated=True),
    ],
    ids=repr,
)
def test_a_server_that_cannot_be_used_is_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Event loop is closed"),
        ValueError(),
        psycopg.errors.UniqueViolation(),
        psycopg.errors.UndefinedColumn(),
        IntegrityError("insert", {}, psycopg.errors.UniqueViolation()),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
def test_a_fault_of_our_own_is_no_outage(error: BaseException) -> None:
    assert not is_away(error)
