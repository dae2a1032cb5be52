"""The whole journey over a Redis with TLS, a certificate that signs itself, and a password, as hosts offer it."""

from pathlib import Path

import pytest

from mailroom.ops.embedded.ports import free_port
from tests import processes
from tests.journeys.conftest import link_in
from tests.journeys.people import Person, text_of
from tests.servers.conftest import Certificate
from tests.servers.redis_tls import redis_with_tls
from tests.sink import Sink

pytestmark = pytest.mark.servers

PASSWORD = "p@ss/word:1"
WRITTEN = "p%40ss%2Fword%3A1"


@pytest.mark.parametrize("trust", ["REDIS_TLS_VERIFY", "ssl_ca_certs"])
def test_somebody_signs_up_watches_and_confirms(
    environment: dict[str, str], certificate: Certificate, tmp_path: Path, trust: str
) -> None:
    port = free_port()
    with Sink() as sink, redis_with_tls(tmp_path, certificate, password=PASSWORD) as redis_port:
        url = f"rediss://:{WRITTEN}@localhost:{redis_port}"
        told = {
            **environment,
            "REDIS_URL": url if trust == "REDIS_TLS_VERIFY" else f"{url}?ssl_ca_certs={certificate.file}",
            "REDIS_TLS_VERIFY": "no" if trust == "REDIS_TLS_VERIFY" else "yes",
            "SMTP_URL": sink.url,
            "PORT": str(port),
            "PUBLIC_URL": f"http://localhost:{port}",
        }
        with (
            processes.running("web", ["mailroom", "web"], told, tmp_path) as web,
            processes.running("worker", ["mailroom", "worker"], told, tmp_path) as worker,
        ):
            processes.wait_until_healthy(web, port)
            worker.wait_for(" ready.")
            with Person("alice@example.org", told["PUBLIC_URL"]) as alice:
                assert alice.get("/readyz").status_code == 200
                assert alice.watch(alice.sign_up())[-1]["state"] == "sent"
                assert alice.post(link_in(sink.to("alice@example.org")[0].part("plain"))).status_code == 303
                assert "alice@example.org" in text_of(alice.get("/account"))
                export = alice.post("/account/export").headers["Location"].rpartition("/")[2]
                assert alice.watch(export)[-1]["state"] == "done", "a Celery task with a result"
            for process in (web, worker):
                assert "Traceback" not in process.text and PASSWORD not in process.text, process.text[-3000:]
