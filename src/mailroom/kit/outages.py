"""One function decides whether an error means that a server of ours is away: PostgreSQL, Redis, or any peer.

Each library has its own errors for that, and event loops add theirs. A separate list at each call would miss one
of them, and an outage would be reported as a fault of the program.
"""

import sys

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_ALWAYS = (
    OSError,  # every error of a socket, TLS and name resolution; TimeoutError, too
    EOFError,  # asyncio's IncompleteReadError: the peer closed within an answer
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # this server was demoted; the one that takes writes is elsewhere
    PoolTimeout,
)
_CLOSED = ("the handler is closed", "'NoneType' object has no attribute '_add_writer'")
"""Messages about a connection that was reset while it was idle: uvloop's RuntimeError (uvloop/handles/handle.pyx);
asyncio's AttributeError in Python 3.12 (`writelines` of a transport that has lost its loop)."""


def is_away(error: BaseException) -> bool:
    """Tell whether `error` means that a server cannot be reached, or refuses every request.

    Return False for an error that the same request would cause again on a healthy server.
    """
    if isinstance(error, _ALWAYS) or _is_redis_error(error):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_away(error.orig))
    return isinstance(error, (RuntimeError, AttributeError)) and any(words in str(error) for words in _CLOSED)


def _is_redis_error(error: BaseException) -> bool:
    """Tell whether redis-py raised it. Not imported here: the shell's commands need no Redis, and load faster."""
    exceptions = sys.modules.get("redis.exceptions")
    return exceptions is not None and isinstance(error, exceptions.RedisError)
