"""Clients of other languages, unmodified: npm's `resend` and `nodemailer`, and swaks, against a whole Mailroom."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailroom.ops.embedded.ports import free_port
from mailroom.ops.embedded.postgres import Postgres
from tests import processes
from tests.journeys.conftest import key_for
from tests.servers.conftest import Certificate, program
from tests.sink import wait_for
from tests.snippets import snippet
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.servers
HERE = Path(__file__).parent


@dataclass
class Office:
    """All of Mailroom, a key that sends for shop.example, and the door for SMTP with its certificate."""

    stack: Stack
    key: str
    port: int
    certificate: Certificate

    def run(self, *command: str | Path, cwd: Path) -> str:
        """Run a client, told what a developer would tell it; return what it prints."""
        told = {
            "PATH": os.environ["PATH"],
            "MAILROOM": self.stack.url,
            "MAILROOM_KEY": self.key,
            "RESEND_BASE_URL": f"{self.stack.url}/api/v1",
            "NODE_EXTRA_CA_CERTS": str(self.certificate.file),
        }
        done = subprocess.run(command, cwd=cwd, env=told, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def here(self, code: str) -> str:
        """Return a snippet with the port of this office."""
        return code.replace("2587", str(self.port))


@pytest.fixture(scope="module")
def office(
    postgres: Postgres, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    port = free_port()
    with running_stack(postgres, tmp_path_factory.mktemp("programs")) as stack:
        stack.reset()
        environment = {
            **stack.environment,
            "SUBMISSION_PORT": str(port),
            "SUBMISSION_CERTIFICATE": str(certificate.file),
            "SUBMISSION_KEY": str(certificate.key),
        }
        folder = tmp_path_factory.mktemp("submission")
        with processes.running("submission", ["mailroom", "submission"], environment, folder) as submission:
            submission.wait_for("listens on")
            yield Office(stack, key_for(environment, "--domain", "shop.example"), port, certificate)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the packages."""
    program("node")
    folder = tmp_path_factory.mktemp("node")
    command = [program("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "resend", "nodemailer"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install the packages: {done.stderr.strip().splitlines()[-1:]}")
    return folder


def test_npms_resend_does_all_that_mailroom_has_of_its_api(office: Office, modules: Path) -> None:
    walk = shutil.copy(HERE / "resend_walk.mjs", modules)
    sent = json.loads(office.run(program("node"), walk, cwd=modules).splitlines()[-1])
    wait_for(lambda: len(office.stack.sink.to("hidden@example.org")) == 1, 20)
    mail = office.stack.sink.to("hidden@example.org")[0]
    assert mail.message["X-Order"] == "17" and mail.message["Reply-To"] == "reply@shop.example"
    assert b"hidden" not in mail.raw
    assert {part.get_filename() for part in mail.message.walk()} >= {"ä.txt", "logo.png"}
    assert sent["id"]


@pytest.mark.parametrize("package", ["resend", "nodemailer"])
def test_the_documents_javascript_works_as_it_stands(office: Office, modules: Path, package: str) -> None:
    before = len(office.stack.sink.to("alice@example.org"))
    script = modules / f"{package}.mjs"
    script.write_text(office.here(snippet("js", f'from "{package}"')))
    office.run(program("node"), script, cwd=modules)
    wait_for(lambda: len(office.stack.sink.to("alice@example.org")) == before + 1, 20)
    assert office.stack.sink.to("alice@example.org")[-1].message["Subject"] == "Your order"


def test_nodemailer_reads_why_a_sender_or_a_key_is_refused(office: Office, modules: Path) -> None:
    script = modules / "refused.mjs"
    script.write_text(
        """
        import { createTransport } from "nodemailer";
        const open = pass => createTransport({host: "localhost", port: 2587, auth: {user: "any", pass}});
        const why = promise => promise.then(() => 0, error => error.responseCode);
        const mail = {from: "x@elsewhere.example", to: "alice@example.org", text: "t"};
        console.log(await why(open(process.env.MAILROOM_KEY).sendMail(mail)));
        console.log(await why(open("mr_wrong").verify()));
        """.replace("2587", str(office.port))
    )
    assert office.run(program("node"), script, cwd=modules).split() == ["553", "535"]


@pytest.mark.parametrize(
    ("way", "lines"),
    [
        ("--tls --auth PLAIN", ["=== TLS started", "<~  235 2.7.0"]),
        ("--tls --auth LOGIN", ["=== TLS started", "<~  235 2.7.0"]),
        ("--auth PLAIN", ["<-  235 2.7.0"]),
    ],
)
def test_swaks_sends_with_and_without_starttls(office: Office, tmp_path: Path, way: str, lines: list[str]) -> None:
    program("swaks")
    if (
        "--tls" in way
        and subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True, check=False).returncode
    ):
        pytest.skip("swaks has no TLS here: install Debian's libnet-ssleay-perl")
    before = len(office.stack.sink.to("alice@example.org"))
    command = office.here(snippet("", "swaks")).replace("--tls --auth PLAIN", way)
    told = office.run("sh", "-c", command, cwd=tmp_path)
    for line in [*lines, "250 2.0.0 Stored as "]:
        assert line in told, told
    wait_for(lambda: len(office.stack.sink.to("alice@example.org")) == before + 1, 20)
