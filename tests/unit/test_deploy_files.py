"""Files that hosts read: each with the keys its host knows, commands that we have, and paths that are there.

Images are not built here: there is no daemon. `tests/journeys/test_deployment.py` runs the Procfile.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailroom.bootstrap.shell import create_commands
from mailroom.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NAMES = {name.upper() for name in Settings.model_fields}
REQUIRED = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def read(name: str) -> Any:
    text = (ROOT / name).read_text()
    return json.loads(text) if name.endswith(".json") or name == "captain-definition" else yaml.safe_load(text)


def commands() -> set[str]:
    return set(create_commands().commands)


def runs(line: str) -> str:
    """Return the command of ours that a line runs."""
    found = re.fullmatch(r"env PYTHONPATH=src python -m mailroom (\w+)", line)
    assert found, line
    return found[1]


def test_the_procfile_migrates_on_hosts_that_know_release_and_on_those_that_know_postdeploy() -> None:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert {name: runs(line) for name, line in lines.items()} == {
        "release": "migrate",
        "postdeploy": "migrate",
        "web": "web",
        "worker": "worker",
        "submission": "submission",
    }
    assert set(lines.values()) and commands() >= {runs(line) for line in lines.values()}


@pytest.mark.parametrize("name", ["app.json", "scalingo.json"])
def test_a_manifest_asks_for_what_must_be_set_and_starts_a_worker(name: str) -> None:
    found = read(name)
    known = {"name", "description", "keywords", "addons", "buildpacks", "env", "formation", "healthchecks"}
    assert set(found) <= known
    given = set(found["env"]) | {"DATABASE_URL", "REDIS_URL"}  # the add-ons set these two
    assert REQUIRED <= given <= NAMES
    assert found["env"]["SECRET_KEY"]["generator"] == "secret"
    assert set(found["formation"]) == {"web", "worker"}
    assert len(found["addons"]) == 2


@pytest.mark.parametrize(("name", "command"), [("railway.json", "web"), ("deploy/railway-worker.json", "worker")])
def test_railway_runs_one_process_a_service_and_lets_it_end(name: str, command: str) -> None:
    deploy = read(name)["deploy"]
    assert set(deploy) <= {
        "preDeployCommand", "startCommand", "healthcheckPath", "healthcheckTimeout", "drainingSeconds",
        "restartPolicyType",
    }  # fmt: skip
    assert runs(deploy["startCommand"]) == command
    assert [runs(line) for line in deploy.get("preDeployCommand", [])] == ["migrate"] * (command == "web")
    assert deploy["drainingSeconds"] > 30


def test_render_s_blueprint_sets_all_for_each_service() -> None:
    found = read("render.yaml")
    group = {one["key"] for one in found["envVarGroups"][0]["envVars"]}
    services = [one for one in found["services"] if one["type"] != "keyvalue"]
    for service in services:
        own = {one["key"] for one in service["envVars"] if "key" in one}
        assert group | own >= REQUIRED
        assert group | own <= NAMES | {"PYTHON_VERSION"}
        assert service["maxShutdownDelaySeconds"] > 30
    assert [runs(one["startCommand"]) for one in services] == ["web", "worker"]
    assert next(one for one in found["services"] if one["type"] == "keyvalue")["maxmemoryPolicy"] == "noeviction"


def test_compose_runs_each_process_once_the_tables_are_there() -> None:
    found = read("deploy/docker/compose.yaml")["services"]
    ours = {name: one for name, one in found.items() if one.get("image") == "mailroom"}
    assert {name: one.get("command", ["web"]) for name, one in ours.items()} == {
        name: [name] for name in ("migrate", "web", "worker", "submission")
    }
    for name, one in ours.items():
        assert REQUIRED <= set(one["environment"]) <= NAMES
        assert name == "migrate" or one["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert ((DEPLOY / "docker" / one["build"]["context"]).resolve(), one["read_only"]) == (ROOT, True)


def test_the_image_holds_what_it_needs_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert {"requirements.txt", "alembic", "src"} == set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert re.search(r"^USER mailroom$", text, re.MULTILINE)
    assert "requirements.txt" not in (ROOT / ".dockerignore").read_text()
    for words in re.findall(r"^(?:ENTRYPOINT|CMD|HEALTHCHECK .*? CMD) (\[.*\])$", text, re.MULTILINE):
        assert json.loads(words)
    assert json.loads((ROOT / "captain-definition").read_text())["dockerfilePath"] == "./deploy/docker/Dockerfile"


def test_kamal_knows_every_setting_and_gives_a_worker_its_time() -> None:
    found = read("deploy/kamal/deploy.yml")
    env = found["env"]
    assert REQUIRED <= {*env["clear"], *env["secret"]} <= NAMES
    assert found["drain_timeout"] > 30
    assert (ROOT / found["builder"]["dockerfile"]).is_file()
    hook = ROOT / found["hooks_path"] / "pre-deploy"
    assert hook.stat().st_mode & 0o111 and " migrate" in hook.read_text()


def test_each_health_check_asks_a_page_that_there_is() -> None:
    asked = {
        read("app.json")["healthchecks"]["web"][0]["path"],
        read("railway.json")["deploy"]["healthcheckPath"],
        read("deploy/kamal/deploy.yml")["proxy"]["healthcheck"]["path"],
        *(one["healthCheckPath"] for one in read("render.yaml")["services"] if "healthCheckPath" in one),
    }
    assert asked == {"/up"}
    assert '@blueprint.get("/up")' in (ROOT / "src/mailroom/web/health.py").read_text()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_each_unit(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("systemd-analyze is not installed")
    text = unit.read_text().replace("/srv/mailroom/.venv/bin/python", sys.executable)
    assert text.count(sys.executable) == 1
    copy = tmp_path / unit.name
    copy.write_text(text.replace("User=mailroom", "User=daemon").replace("/srv/mailroom", "/"))
    done = subprocess.run(
        [program, "verify", "--man=no", "--generators=no", str(copy)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert said == []
    command = re.search(r"^ExecStart=.* -m mailroom (\w+)$", text, re.MULTILINE)
    assert command and command[1] in commands()
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop and int(stop[1]) > 30
