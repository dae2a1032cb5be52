"""nginx as docs/OPERATING.md configures it, with another port and a certificate of its own."""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.processes import ROOT
from tests.servers.conftest import Certificate, program, running
from tests.sink import Sink

AROUND = """\
daemon off;
error_log stderr;
pid {folder}/nginx.pid;
{user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{documented}
}}
"""


def documented() -> str:
    """Return the configuration that docs/OPERATING.md gives."""
    (found,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "OPERATING.md").read_text(), re.DOTALL)
    return str(found)


@contextmanager
def nginx(
    folder: Path, certificate: Certificate, *, port: int, web_port: int, path: str = "", takes_off: bool = False
) -> Iterator[None]:
    """Run it on `port` with TLS, in front of the web on `web_port`, below `path`, which it may take off."""
    changed = documented()
    for before, after in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("server_name mail.example.org;", "server_name localhost;"),
        (
            "# ssl_certificate …",
            f"ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key};",
        ),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{web_port}{'/' if takes_off else ''}"),
        ("location / {", f"location {path}/ {{"),
        ("$host;", "$host:$server_port;"),  # as the page says for a port other than 443
    ):
        assert before in changed, before
        changed = changed.replace(before, after)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user, documented=changed))
    with running([program("nginx"), "-e", "stderr", "-p", folder, "-c", "nginx.conf"], folder, port):
        yield


@dataclass(frozen=True)
class Front:
    """Mailroom as the world sees it: the address of nginx, and who trusts its certificate."""

    url: str
    trust: ssl.SSLContext
    sink: Sink
    environment: dict[str, str]
    web: processes.Running


@contextmanager
def mailroom_behind(
    folder: Path, certificate: Certificate, environment: dict[str, str], *, path: str = "", takes_off: bool = False
) -> Iterator[Front]:
    """Run the web and a worker, and nginx in front of them; the same as for `nginx`."""
    port, web_port = free_port(), free_port()
    url, trust = f"https://localhost:{port}{path}", ssl.create_default_context(cafile=str(certificate.file))
    with Sink() as sink:
        told = {
            **environment,
            "SMTP_URL": sink.url,
            "PUBLIC_URL": url,
            "PORT": str(web_port),
            "TRUSTED_PROXIES": "1",
        }
        with (
            processes.running("web", ["mailroom", "web"], told, folder) as web,
            processes.running("worker", ["mailroom", "worker"], told, folder) as worker,
        ):
            processes.wait_until_healthy(web, web_port)
            worker.wait_for(" ready.")
            with nginx(folder, certificate, port=port, web_port=web_port, path=path, takes_off=takes_off):
                yield Front(url, trust, sink, told, web)
