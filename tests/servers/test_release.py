"""The release: the built wheel in an empty environment, away from the repository; `mailroom up`, the whole
journey.

What Mailroom depends on is taken from the tests' own environment, by a `.pth` file: to install it takes minutes.
With RELEASE_INSTALL=full everything is installed from the package index, as people do.
"""

import os
import re
import signal
import site
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

import mailroom
from mailroom.ops.embedded.ports import free_port
from tests.journeys.conftest import link_in
from tests.journeys.people import Person, text_of
from tests.processes import ROOT
from tests.sink import wait_for

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

FULL = os.environ.get("RELEASE_INSTALL") == "full"
NAME = f"mailroom-{mailroom.__version__}"


def run(*command: object, folder: Path, **environment: str) -> str:
    told = {"PATH": os.defpath, "HOME": str(folder), **environment}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=told, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dist/` (sdist and wheel) and `env/`, in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("release")
    build = "import sys; from hatchling.build import *; build_sdist(sys.argv[1]); build_wheel(sys.argv[1])"
    (folder / "dist").mkdir()
    subprocess.run([sys.executable, "-c", build, folder / "dist"], cwd=ROOT, check=True, timeout=100)
    venv.create(folder / "env", with_pip=FULL)
    wheel = folder / "dist" / f"{NAME}-py3-none-any.whl"
    if FULL:
        run(folder / "env/bin/pip", "install", "-q", f"{wheel}[embedded]", folder=folder)
    else:
        (packages,) = (folder / "env/lib").glob("python3*/site-packages")
        (packages / "of_the_tests.pth").write_text("\n".join(site.getsitepackages()))
        run(sys.executable, "-m", "pip", "--python", folder / "env/bin/python", "install", "-q", "--no-deps",
            "--no-index", wheel, folder=folder)  # fmt: skip
    return folder


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A folder that is no checkout, with no checkout above it."""
    assert not any((above / "pyproject.toml").exists() for above in tmp_path.parents)
    return tmp_path


def test_what_is_released_names_its_version_and_holds_what_it_needs(release: Path, away: Path) -> None:
    assert run(release / "env/bin/mailroom", "--version", folder=away).split()[-1] == mailroom.__version__
    place = run(release / "env/bin/python", "-c", "import mailroom; print(mailroom.__file__)", folder=away)
    assert Path(place.strip()).is_relative_to(release / "env")
    listed = subprocess.run(
        ["tar", "-tzf", release / "dist" / f"{NAME}.tar.gz"], check=True, capture_output=True, text=True
    ).stdout
    for name in ("alembic/env.py", "Procfile", "LICENSE", ".env.example", "src/mailroom/web/templates/base.html"):
        assert f"{NAME}/{name}\n" in listed


def test_up_runs_away_from_the_repository_and_somebody_signs_up_and_confirms(release: Path, away: Path) -> None:
    port, log = free_port(), away / "up.log"
    told = {"PATH": os.defpath, "HOME": str(away), "PORT": str(port), "SIGN_UP_SECONDS": "0"}
    with log.open("wb") as output:
        command = [release / "env/bin/mailroom", "up"]
        up = subprocess.Popen(command, cwd=away, env=told, stdout=output, stderr=output)
    try:
        wait_for(lambda: "Mailroom is up." in log.read_text() or up.poll() is not None, 120, "up")
        assert up.poll() is None, log.read_text()[-4000:]
        url = f"http://localhost:{port}"
        with Person("alice@example.org", url) as alice:
            assert alice.watch(alice.sign_up())[-1]["state"] == "sent"
            (mail,) = httpx.get(f"{url}/inbox/api/messages", params={"to": "alice@example.org"}).json()
            assert alice.post(link_in(mail["text"])).headers["Location"] == "/account"
            page = alice.get("/account")
            assert "alice@example.org" in text_of(page)
            for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
                assert alice.get(address).status_code == 200, address
        said = run(release / "env/bin/mailroom", "mails", folder=away)
        assert "alice@example.org" in said and "sent" in said
        assert "All is well." in run(release / "env/bin/mailroom", "doctor", folder=away, NO_COLOR="1")
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    assert (away / ".mailroom").is_dir()
    assert "Traceback" not in log.read_text()
