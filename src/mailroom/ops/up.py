"""`mailroom up`: everything on this machine, for trying, developing and small use; loopback only."""

import asyncio
import http.client
import os
import shlex
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mailroom.i18n.columns import padded
from mailroom.kit.stopping import exit_after
from mailroom.ops.embedded import copied, environment
from mailroom.ops.embedded import plan as plans
from mailroom.ops.embedded.data_directory import DataDirectory, write_private
from mailroom.ops.embedded.plan import RELEASE, SUBMISSION, WEB, Plan
from mailroom.ops.embedded.ports import LOOPBACK, free_port
from mailroom.ops.embedded.postgres import Postgres
from mailroom.ops.embedded.procfile import shell_command
from mailroom.ops.embedded.server import Server
from mailroom.ops.embedded.valkey import Valkey
from mailroom.ops.migrations import PACKAGE
from mailroom.ops.processes.console import BOLD, DIM, Console
from mailroom.ops.processes.errors import Refused
from mailroom.ops.processes.program import Program
from mailroom.ops.processes.supervisor import Supervisor
from mailroom.ops.reload import follow
from mailroom.ops.startup import shown

HEALTHY = 200
PUT_BACK = """\
This database is a copy that was put back. Mails that wait in it may have gone out since the copy was made, so the
worker does not start where some wait. Say in another window when the copy was made:
  {command} restored --from 2026-11-27T03:00Z
Or, where nothing was sent since (the folder was only brought to another disk):
  {command} restored --same
"""


def up(
    *,
    port: int | None = None,
    without: Collection[str] = (),
    environment: Mapping[str, str] | None = None,
    root: Path | None = None,
    reload: bool = False,
) -> int:
    """Run the whole of Mailroom until SIGINT, SIGTERM or SIGHUP; return the exit status.

    `port` is the wanted port of the web (default: PORT, else 8000); if it is taken, the next free one is used.
    `without` names lines of the Procfile to leave out. A server that `environment` (default: ours) or `.env` names
    is used, and not embedded. With `reload` the Procfile's processes start again when code changes.
    """
    given = os.environ if environment is None else environment
    try:
        plan = plans.make(root, given, port, without)
        if not plan.embed_postgres:
            from mailroom.ops.embedded.ownership_check import refuse_foreign

            refuse_foreign(plan.given["DATABASE_URL"], plan.load_apps())
        followed = [PACKAGE, *(app.folder for app in plan.load_apps())] if reload else []
        home = DataDirectory.open(plan.home)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    console = Console([*plan.apps, RELEASE, "inbox"], given)
    try:
        return asyncio.run(_Up(plan, home, console, followed).run())
    finally:
        home.close()
        console.close()


class _Up:
    def __init__(self, plan: Plan, home: DataDirectory, console: Console, followed: Sequence[Path]) -> None:
        self.followed = followed
        self.plan, self.home, self.console = plan, home, console
        self.supervisor = Supervisor(console, home)
        self.inbox_folder = home.path / "inbox"

    async def run(self) -> int:
        work = asyncio.create_task(self._work())
        self.supervisor.stop_on_signals(work.cancel)
        status = 0
        try:
            await work
        except asyncio.CancelledError:
            exit_after(0.98 * self.plan.stop_seconds)  # Python itself takes a second to end on a busy machine
            self.console.say("\nStopping …")
        except Refused as refusal:
            self.console.say(f"\n{refusal}\nStopping …")
            status = 1
        finally:
            await self.supervisor.stop(self.plan.seconds_for_programs)
        self.console.say("Stopped. Your data stay in " + str(self.home.path))
        return status

    async def _work(self) -> None:
        plan = self.plan
        if plan.port != plan.wanted_port:
            self.console.say(f"Port {plan.wanted_port} is in use; Mailroom takes {plan.port} instead.")
        for name in await asyncio.to_thread(self.home.end_leftovers):
            self.console.say(f"Ended {name}, left behind by an earlier `mailroom up`.")
        environment = await self._start_servers()
        if plan.embed_postgres:
            await asyncio.to_thread(self._notice_a_copy, environment["DATABASE_URL"])
        write_private(self.home.path / "environment", plan.exports(environment))
        if plan.release:
            status = await self.supervisor.once(self._app(RELEASE, plan.release, environment))
            if status != 0:
                raise Refused("The release line of the Procfile (migrations) failed; its lines above say why.")
        apps = {name: self._app(name, line, environment) for name, line in plan.apps.items()}
        first = [apps.pop(WEB)] if WEB in apps else []
        await self.supervisor.start(
            *first
        )  # alone: a person waits for the first page, and the others' start would slow it
        await self.supervisor.start(*apps.values(), join=True)
        self._show_banner()
        if self.followed:
            await self._follow(environment)
        await asyncio.Event().wait()

    async def _follow(self, environment: Mapping[str, str]) -> None:
        release = self._app(RELEASE, self.plan.release or "true", environment)
        await follow(
            self.followed,
            restart=lambda: self.supervisor.restart(*self.plan.apps),
            migrate=lambda: self.supervisor.once(release),
            say=self.console.say,
        )

    async def _start_servers(self) -> dict[str, str]:
        """Start what is embedded, in one layer; return the environment for the Procfile's processes."""
        plan, servers, settings, programs = self.plan, list[Server](), dict[str, str](), list[Program]()
        if plan.embed_postgres:
            servers.append(database := Postgres(self.home.path / "postgres"))
            settings["DATABASE_URL"] = database.url
        if plan.embed_valkey:
            servers.append(redis := Valkey(self.home.path / "valkey"))
            settings["REDIS_URL"] = redis.url
        for server in servers:
            await asyncio.to_thread(server.prepare)
            server.trim_log()
            programs.append(server.program)
        inbox_port = free_port()
        if plan.embed_inbox:
            settings["SMTP_URL"] = f"smtp://{LOOPBACK}:{inbox_port}?starttls=never"
            settings["MAILROOM_INBOX"] = str(self.inbox_folder)
        environment = plan.environment(plan.given.get("SECRET_KEY") or self.home.secret("secret-key"), settings)
        if plan.embed_inbox:
            programs.append(self._inbox(inbox_port, environment))
        await self.supervisor.start(*programs)
        return environment

    def _notice_a_copy(self, url: str) -> None:
        """If this database is a copy that was put back, make workers ask for `mailroom restored`."""
        folder = self.home.path / "postgres"
        if copied.is_copy(folder):
            copied.forget_identity(url)
            self.console.say(PUT_BACK.format(command=_command(self.home.path)))
        copied.note(folder)

    def _inbox(self, port: int, environment: Mapping[str, str]) -> Program:
        module = "mailroom.ops.embedded.inbox_server"
        options = ["--port", str(port), "--folder", str(self.inbox_folder)]
        command = [sys.executable, "-m", module, *options]
        return Program("inbox", command, self.plan.root, environment, ready=lambda: _greets(port))

    def _app(self, name: str, line: str, environment: Mapping[str, str]) -> Program:
        ready: Callable[[], bool] | None = None
        if name == WEB:
            ready = lambda: _is_healthy(self.plan.port)  # noqa: E731  # one of two
        elif name == SUBMISSION:
            ready = lambda: _greets(self.plan.submission_port)  # noqa: E731
        return Program(name, shell_command(line), self.plan.root, environment, ready=ready)

    def _show_banner(self) -> None:
        plan, styled = self.plan, self.console.styled
        rows = []
        if WEB in plan.apps:
            rows.append(("App", styled(BOLD, plan.local_url)))
            if plan.embed_inbox:
                inbox = styled(BOLD, f"{plan.local_url}/inbox")
                rows.append(("Inbox", f"{inbox}  {styled(DIM, 'every mail lands here; none leaves')}"))
        if SUBMISSION in plan.apps:
            smtp = styled(BOLD, f"{LOOPBACK}:{plan.submission_port}")
            rows.append(
                (
                    "SMTP",
                    f"{smtp}  {styled(DIM, 'for programs; the password is a key: mailroom keys create NAME')}",
                )
            )
        if plan.public_url != plan.local_url:
            rows.append(("Links", f"{plan.public_url}  {styled(DIM, 'where links in mails lead (PUBLIC_URL)')}"))
        rows.append(("Data", str(self.home.path)))
        hint = styled(DIM, "in another window; and mails, show, watch, send")
        rows.append(("Shell", f"{_command(self.home.path)} doctor  {hint}"))
        lines = [f"    {padded(label, 6)} {value}" for label, value in rows]
        for name, line in plan.left_out.items():
            environment = shlex.quote(str(self.home.path / "environment"))
            lines += ["", f"  {name} is left out; to start it, in another window:"]
            lines.append(f"    cd {shlex.quote(str(plan.root))} && . {environment} && {line}")
        title = styled(BOLD, "Mailroom is up.")
        self.console.say("\n".join(["", f"  {title}", "", *lines, "", "  Stop it with Ctrl-C.", ""]))


def _command(home: Path) -> str:
    """Return how to call us from this folder, so that this stack is found."""
    program = shlex.quote(shown(Path(sys.argv[0]).absolute()))
    if home in environment.homes(Path.cwd(), {}):
        return program
    return f"MAILROOM_HOME={shlex.quote(str(home))} {program}"


def _greets(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1) as connection:
        return connection.recv(3) == b"220"
    return False


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == HEALTHY
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
