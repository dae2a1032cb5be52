"""The shell: `mailroom <command>`. Expected trouble is a sentence, never a traceback."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from mailroom import __version__
from mailroom.cli import app_commands
from mailroom.cli.account_commands import accounts
from mailroom.cli.alert_commands import alerts
from mailroom.cli.bulk_commands import again, cancel, retry
from mailroom.cli.click_words import translate_click
from mailroom.cli.desk_commands import audit, failures, pause, queues, resume, workers
from mailroom.cli.invitation_commands import invitations
from mailroom.cli.key_commands import keys
from mailroom.cli.language import terminal_language, translate_help
from mailroom.cli.live_commands import send, watch
from mailroom.cli.mail_commands import mails, show
from mailroom.cli.new_app_command import new_app, new_migration
from mailroom.cli.operator_commands import operator
from mailroom.cli.restored_command import restored
from mailroom.cli.task_commands import tasks
from mailroom.cli.webhook_commands import webhooks
from mailroom.i18n import languages
from mailroom.i18n.messages import gettext
from mailroom.i18n.sentences import error_text
from mailroom.kit.errors import MailroomError, Unavailable
from mailroom.ops import startup
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.observability import logs
from mailroom.ops.terminal import write_what_can_be_written
from mailroom.settings import SettingsError

PORT = click.IntRange(1, 65535)


class Shell(click.Group):
    """The group of all commands. It turns their errors into sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands in the order a newcomer meets them, and after them those of apps."""
        try:
            return [*self.commands, *app_commands.names()]
        except SettingsError as error:  # the help is shown all the same
            startup.say_problems(error)
            return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of ours, or else an app's, imported."""
        return super().get_command(ctx, cmd_name) or app_commands.find(cmd_name)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Speak the terminal's language from here on, and read the arguments."""
        languages.speak(terminal_language())
        if languages.current() != languages.DEFAULT:
            translate_click()
            translate_help(self)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Exit code 2 for settings that cannot be used, 1 for any other expected trouble."""
        write_what_can_be_written()
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            startup.say_problems(error)
            ctx.exit(startup.BAD_SETTINGS)
        except Unavailable as error:
            click.echo(
                gettext("%(problem)s `mailroom doctor` says what is wrong.", problem=error_text(error)), err=True
            )
            ctx.exit(1)
        except MailroomError as error:
            click.echo(error_text(error), err=True)
            ctx.exit(1)


@click.command()
@click.option("--port", type=PORT, help="Port of the web; the next free one is taken. Default: PORT, else 8000.")
@click.option("--without", metavar="NAME", multiple=True, help="Leave out a line of the Procfile: worker, say.")
@click.option("--reload", is_flag=True, help="Start all of it again when a file of Mailroom or an app changes.")
def up(port: int | None, without: tuple[str, ...], reload: bool) -> None:
    """Run everything on this machine: servers, migrations, web, worker.

    Needs no settings. What is set (DATABASE_URL, REDIS_URL, SMTP_URL) is used instead of embedding that part.
    Data are kept in MAILROOM_HOME (default: .mailroom). Stop it with Ctrl-C.
    """
    from mailroom.ops.up import up as run_up

    sys.exit(run_up(port=port, without=without, reload=reload))


@click.command()
@click.option("--fd", type=int, hidden=True, help="Serve on this listening socket, in this one process.")
@click.pass_obj
def web(entrypoints: Entrypoints, fd: int | None) -> None:
    """Serve the web until stopped (WEB_CONCURRENCY processes on PORT)."""
    settings = startup.settings()
    logs.configure(settings.log_level, "web")
    _serve(lambda: entrypoints.web(settings, fd))


@click.command()
@click.option("--fd", type=int, hidden=True, help="Serve on this listening socket, in this one process.")
@click.pass_obj
def submission(entrypoints: Entrypoints, fd: int | None) -> None:
    """Take mails of other programs over SMTP until stopped (SUBMISSION_PROCESSES processes on SUBMISSION_PORT)."""
    settings = startup.settings()
    logs.configure(settings.log_level, "submission")
    _serve(lambda: entrypoints.submission(settings, fd))


@click.command()
@click.option("--processes", type=click.IntRange(1), help="Worker processes. Default: WORKER_PROCESSES.")
@click.option("--threads", type=click.IntRange(1), help="Tasks each runs at a time. Default: WORKER_THREADS.")
@click.option("--one", is_flag=True, hidden=True, help="Be one of the processes.")
@click.pass_obj
def worker(entrypoints: Entrypoints, processes: int | None, threads: int | None, one: bool) -> None:
    """Send mails and run background tasks until stopped (WORKER_PROCESSES processes)."""
    for name, value in (("WORKER_PROCESSES", processes), ("WORKER_THREADS", threads)):
        if value is not None:
            os.environ[name] = str(value)  # so that the processes it starts hear of it too
    settings = startup.settings()
    logs.configure(settings.log_level, "worker")
    _serve(lambda: entrypoints.worker(settings, one))


@click.command()
@click.argument("revision", default="heads")
def migrate(revision: str) -> None:
    """Bring the database's tables, and those of all apps, to this version (or to REVISION).

    NAME@base takes the tables of the app NAME away.

    Run it before the first start and with each upgrade. Two at once do no harm: the second waits for the first.
    """
    from mailroom.ops.migrate import migrate as run_migrations

    run_migrations(revision)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--exit-code", "only_wrong", is_flag=True, help="Print only what is wrong; the exit code says the rest."
)
@click.pass_obj
def doctor(entrypoints: Entrypoints, as_json: bool, only_wrong: bool) -> None:
    """Check settings, servers and workers; say what is wrong and what to do.

    Sends no mail. Changes nothing, with one exception: once the mail server accepts the sign-in, workers that it
    refused before try again at once. Exit code 0 where all is well, 1 with warnings, 2 where something is broken.
    """
    from mailroom.ops.doctor import report

    sys.exit(report.run(entrypoints, as_json=as_json, only_wrong=only_wrong))


@click.command(hidden=True)
@click.option("--port", type=PORT, required=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
def inbox(port: int, folder: Path) -> None:
    """Run the embedded stack's inbox: an SMTP server that keeps every mail and sends none on."""
    from mailroom.ops.embedded.inbox_server import serve_inbox

    serve_inbox(port, folder)


def _serve(run: Callable[[], int]) -> NoReturn:
    """Run a server and exit with its code. It speaks the languages of its users, not the terminal's."""
    languages.speak(languages.DEFAULT)
    sys.exit(run())


def shell(entrypoints: Entrypoints) -> click.Group:
    """Return the group of all commands, going through `entrypoints` to the rest of Mailroom."""

    @click.group(
        cls=Shell,
        invoke_without_command=True,
        context_settings={"obj": entrypoints, "help_option_names": ["-h", "--help"], "max_content_width": 100},
        epilog="Begin with `mailroom up`: it needs no settings. Elsewhere they come from the environment and from "
        ".env in the current folder; .env.example lists them, and `mailroom doctor` checks them.",
    )
    @click.version_option(__version__, prog_name="mailroom", help="Show the version and exit.")
    @click.pass_context
    def mailroom(ctx: click.Context) -> None:
        """Mailroom: accounts and mail, self-hosted. No mail is lost, and everyone can see where it is."""
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())

    for command in (
        up,
        migrate,
        web,
        worker,
        submission,
        doctor,
        mails,
        tasks,
        show,
        watch,
        send,
        retry,
        cancel,
        again,
        pause,
        resume,
        workers,
        queues,
        alerts,
        failures,
        audit,
        restored,
        keys,
        webhooks,
        accounts,
        invitations,
        operator,
        new_app,
        new_migration,
        inbox,
    ):
        mailroom.add_command(command)
    return mailroom
