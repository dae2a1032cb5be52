"""What `mailroom up` will run, from the environment, `.env` and the Procfile; decided before anything starts."""

import os
import shlex
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import mailroom
from mailroom.apps.installed import Apps
from mailroom.apps.loader import load as load_apps
from mailroom.ops.embedded import postgres, valkey
from mailroom.ops.embedded.ports import HIGHEST, LOOPBACK, free_port
from mailroom.ops.embedded.procfile import read_procfile
from mailroom.ops.processes.errors import NotInstalled, Refused
from mailroom.ops.processes.supervisor import seconds_for_last_layers
from mailroom.settings import Settings, SettingsError, env_file
from mailroom.settings.settings import SECRETS
from mailroom.settings.stop_times import DEFAULT

PORT, SUBMISSION_PORT = 8000, 2587
LONGEST_STOP = 3600
PROCFILE = "Procfile"
OF_HOSTS = {"postdeploy"}
"""Names of lines that mean the same as `release`, for hosts that know only these names."""
RELEASE, WEB, SUBMISSION = "release", "web", "submission"
PLAIN = {name.upper() for name in Settings.model_fields} - {name.upper() for name in SECRETS}
"""Settings in which quotation marks around the value mean nothing."""
SOURCE = Path(mailroom.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Plan:
    """What to run, and how; `given` is what is set in the environment or else in `.env`, without empty values."""

    root: Path
    home: Path
    given: Mapping[str, str]
    wanted_port: int
    port: int
    submission_port: int
    release: str | None
    apps: Mapping[str, str]
    left_out: Mapping[str, str]
    embed_postgres: bool
    embed_valkey: bool
    embed_inbox: bool
    stop_seconds: float

    @property
    def local_url(self) -> str:
        """The address of the web on this machine: with a name, since browsers refuse passkeys at an IP address."""
        return f"http://localhost:{self.port}"

    @property
    def public_url(self) -> str:
        """The address that links in mails begin with: the one that is set, else the local one."""
        return self.given.get("PUBLIC_URL", self.local_url)

    @property
    def seconds_for_programs(self) -> float:
        """The seconds in which all programs have to end; the rest of the stop is for `mailroom up` itself."""
        return 0.9 * self.stop_seconds

    @property
    def stop_seconds_of_apps(self) -> float:
        """The seconds in which the Procfile's processes end, so that the servers end in time after them."""
        seconds = self.seconds_for_programs
        return max(1.0, 0.95 * (seconds - seconds_for_last_layers(seconds)))

    def load_apps(self) -> Apps:
        """Return the apps of MAILROOM_APPS and of installed packages. Raises `Refused`."""
        try:
            return load_apps(self.given.get("MAILROOM_APPS", ""))
        except SettingsError as error:
            raise Refused(str(error)) from None

    def exports(self, environment: Mapping[str, str]) -> str:
        """Return lines for a shell, so that a process started by hand finds what is running (secrets included)."""
        ours = sorted({"PYTHONPATH", *map(str.upper, Settings.model_fields)} & environment.keys())
        lines = [f"export {name}={shlex.quote(environment[name])}" for name in ours]
        lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
        return "\n".join(lines) + "\n"

    def environment(self, secret_key: str, servers: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the Procfile's processes; `servers` are settings of what is embedded."""
        environment = {
            name: value
            for name, value in self.given.items()
            if not (self.embed_postgres and name.startswith("PG"))  # libpq would obey PGSSLMODE and others
        }
        results, brokers = self.given.get("RESULT_BACKEND_URL"), self.given.get("BROKER_URL")
        redis = results or (brokers or "").split(";")[0]
        return {
            "MAIL_FROM": "mailroom@localhost" if "PRODUCT_NAME" in self.given else "Mailroom <mailroom@localhost>",
            "SECRET_KEY": secret_key,
            **({"REDIS_URL": redis} if redis else {}),
            **environment,
            **servers,
            "PUBLIC_URL": self.public_url,
            "PORT": str(self.port),
            "SUBMISSION_PORT": str(self.submission_port),
            "HOST": LOOPBACK,
            "STOP_SECONDS": f"{self.stop_seconds_of_apps:.3g}",
            "MAILROOM_EMBEDDED": "yes",
            "MAILROOM_HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), self.given.get("PYTHONPATH")])),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), self.given.get("PATH", os.defpath)]),
        }


def make(root: Path | None, environment: Mapping[str, str], port: int | None, without: Collection[str]) -> Plan:
    """Decide what to run; starts and writes nothing. Raises `Refused` with the sentence to show."""
    root = (root or _root()).resolve()
    given = _given(root, environment)
    lines = {name: line for name, line in read_procfile(_procfile(root)).items() if name not in OF_HOSTS}
    unknown = sorted(set(without) - set(lines))
    if unknown:
        raise Refused(f"The Procfile has no {unknown[0]!r} to leave out; it has: {', '.join(lines)}.")
    kept = {name: line for name, line in lines.items() if name not in without}
    wanted = port or _port(given.get("PORT"), "PORT", PORT)
    home = given.get("MAILROOM_HOME")
    plan = Plan(
        root=root,
        home=Path(home).resolve() if home else root / ".mailroom",
        given=given,
        wanted_port=wanted,
        port=free_port(wanted),
        submission_port=free_port(_port(given.get("SUBMISSION_PORT"), "SUBMISSION_PORT", SUBMISSION_PORT)),
        release=kept.pop(RELEASE, None),
        apps=kept,
        left_out={name: lines[name] for name in lines if name in without},
        embed_postgres="DATABASE_URL" not in given,
        embed_valkey=not given.keys() & {"REDIS_URL", "BROKER_URL", "RESULT_BACKEND_URL"},
        embed_inbox="SMTP_URL" not in given,
        stop_seconds=_seconds(given.get("STOP_SECONDS")),
    )
    _check_installed(plan)
    return plan


def _root() -> Path:
    """The checkout this code runs from, else the current folder."""
    return next((folder for folder in (SOURCE.parent, Path.cwd()) if (folder / PROCFILE).is_file()), Path.cwd())


def _procfile(root: Path) -> Path:
    """The Procfile of that folder; of an installed Mailroom, the one that came with it."""
    for file in (root / PROCFILE, SOURCE / "mailroom" / PROCFILE):
        if file.is_file():
            return file
    raise Refused("There is no Procfile here. Run `mailroom up` in Mailroom's own folder.")


def _given(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is set in the environment or else in `.env`, read as `settings` does (no quotation marks)."""
    try:
        found = env_file.given(root, environment)
    except SettingsError as error:
        raise Refused(str(error)) from None
    return {name: env_file.unquoted(value) if name in PLAIN else value for name, value in found.items()}


def _port(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= HIGHEST:
        raise Refused(f"{name} must be a number from 1 to {HIGHEST}.")
    return int(text)


def _seconds(text: str | None) -> float:
    if text is None:
        return DEFAULT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= LONGEST_STOP:
        raise Refused(f"STOP_SECONDS must be a number from 1 to {LONGEST_STOP}.")
    return seconds


def _check_installed(plan: Plan) -> None:
    if plan.embed_postgres:
        postgres.programs()
    if plan.embed_valkey:
        valkey.server_binary()
    if plan.embed_inbox and find_spec("aiosmtpd") is None:
        raise NotInstalled
