"""Redis as Debian packs it, with TLS, a certificate that signs itself, and a password."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailroom.ops.embedded.ports import free_port
from tests.servers.conftest import Certificate, program, running


@contextmanager
def redis_with_tls(folder: Path, certificate: Certificate, *, password: str = "") -> Iterator[int]:
    """Run one; lend its port."""
    port = free_port()
    options = {
        "--port": "0", "--tls-port": str(port), "--tls-auth-clients": "no", "--save": "", "--dir": str(folder),
        "--tls-cert-file": str(certificate.file), "--tls-key-file": str(certificate.key),
        "--tls-ca-cert-file": str(certificate.file), **({"--requirepass": password} if password else {}),
    }  # fmt: skip
    with running([program("redis-server"), *(word for pair in options.items() for word in pair)], folder, port):
        yield port
