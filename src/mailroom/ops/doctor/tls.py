"""Why there is no TLS: what is wrong with the certificate, or which of the two sides does not speak it."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress

from mailroom.i18n.messages import gettext

PATIENCE = 1.5


def own_issuer() -> str:
    """Return what to do about a certificate that a company signed for itself."""
    return gettext("Name the issuer of a certificate of your own in SSL_CERT_FILE (docs/OPERATING.md).")


def certificate_problem(error: BaseException | None) -> str | None:
    """Return what OpenSSL says is wrong with a certificate ("certificate has expired"); None if it is good.

    Looks through the errors that led to this one.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message or gettext("it cannot be verified")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


async def begins_with_tls(host: str, port: int) -> bool:
    """Tell whether this port speaks TLS from the first byte, whatever its certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError, EOFError):
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await writer.wait_closed()
        return True
    return False
