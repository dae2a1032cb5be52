"""`mailroom pause` and `resume`, `workers`, `queues`, `failures`, `audit`: the desk in the shell."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from mailroom.cli.actor import shell_actor
from mailroom.cli.moments import Moment
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.desk.as_json import entry_json, failures_json, pause_json, process_json, queue_json
from mailroom.desk.backlog import backlog
from mailroom.desk.failures import Failures
from mailroom.desk.models import AuditEntry
from mailroom.desk.pause_acts import change_pause
from mailroom.desk.processes.readings import ProcessRow, processes
from mailroom.desk.queues import Queue, lately
from mailroom.desk.queues import queues as read_queues
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError
from mailroom.kit.text import age, clean, full
from mailroom.mail.ledger import pauses
from mailroom.mail.ledger.pauses import Pause, What
from mailroom.mail.messages.draft import STREAMS
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services


class UnknownKind(MailroomError):
    """There is no such kind of mail."""

    message_code = "cli.error.unknown_kind"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        """`known` are the kinds there are."""
        super().__init__()
        self.params = {"name": clean(name), "known": ", ".join(known)}


class UnknownWorker(MailroomError):
    """No worker has this name."""

    message_code = "cli.error.unknown_worker"


@click.command()
@click.argument("what", default="all")
@click.pass_obj
def pause(entrypoints: Entrypoints, what: str) -> None:
    """Hold back WHAT: all mails (the default), transactional or bulk, tasks, or a kind of mail.

    What is under way goes on. The rest waits, and says why. `mailroom workers` tells what is held back.
    """
    _hold(entrypoints, what, begins=True)


@click.command()
@click.argument("what", default="all")
@click.pass_obj
def resume(entrypoints: Entrypoints, what: str) -> None:
    """Let WHAT go again that was held back by `pause`, here or on the desk."""
    _hold(entrypoints, what, begins=False)


def _hold(entrypoints: Entrypoints, text: str, *, begins: bool) -> None:
    async def work(services: Services) -> bool:
        what, name = _what(text, [kind.name for kind in services.mail_kinds])
        return await change_pause(services.database, services.audit_log, shell_actor(), what, name, paused=begins)

    changed = with_services(entrypoints, work)
    if begins:
        words = (
            gettext("%(what)s: paused.", what=text) if changed else gettext("%(what)s: paused before.", what=text)
        )
    else:
        words = (
            gettext("%(what)s: resumed.", what=text) if changed else gettext("%(what)s: not paused.", what=text)
        )
    click.echo(words)


def _what(text: str, kinds: Sequence[str]) -> tuple[What, str]:
    """Return what a word means. Raises `UnknownKind`."""
    if text == "all":
        return "all", ""
    if text == "tasks":
        return "tasks", ""
    if text in STREAMS:
        return "stream", text
    if text in kinds:
        return "kind", text
    raise UnknownKind(text, sorted(kinds))


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def workers(ctx: click.Context, *, as_json: bool) -> None:
    """List the processes that live, or ended within the hour, and what is paused; drain and stop workers."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json=as_json)


def _list(entrypoints: Entrypoints, *, as_json: bool) -> None:
    async def read(services: Services) -> tuple[Sequence[ProcessRow], Sequence[Pause]]:
        async with services.database.begin_plain() as work:
            return await processes(work), await pauses.pauses(work)

    found, held_back = with_services(entrypoints, read)
    if as_json:
        told = {
            "processes": [process_json(row) for row in found],
            "pauses": [pause_json(one) for one in held_back],
        }
        click.echo(json.dumps(told, indent=2))
        return
    columns = (
        Column(gettext_noop("name"), whole=True),
        Column(gettext_noop("role")),
        Column(gettext_noop("state"), whole=True),
        Column(gettext_noop("version"), needed=False),
        Column(gettext_noop("since")),
        Column(gettext_noop("mails")),
        Column(gettext_noop("tasks")),
        Column(gettext_noop("a minute")),
    )
    now = clock.now()
    print_table(columns, [_process_cells(row, now) for row in found])
    for one in held_back:
        name = one.name or one.what
        words = gettext(
            "Paused since %(at)s, by %(who)s: %(what)s", at=full(one.since), who=one.by_name, what=name
        )
        click.echo(clean(words), err=True)
    if not any(row.role == "worker" and row.state == "alive" for row in found):
        click.echo(gettext("No worker runs."), err=True)


def _process_cells(row: ProcessRow, now: datetime) -> list[str]:
    facts = row.facts if row.state == "alive" and row.role == "worker" else {}
    return [
        clean(row.name),
        row.role,
        row.wish if row.wish and row.state == "alive" else row.state,
        clean(row.version),
        age(row.started_at, now),
        str(facts.get("mails", "")),
        str(facts.get("tasks", "")),
        str(row.last_minute) if facts else "",
    ]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def queues(entrypoints: Entrypoints, *, as_json: bool) -> None:
    """List the streams of mails: what waits, since when, and what came and went in the last ten minutes."""

    async def read(services: Services) -> tuple[Sequence[Queue], Sequence[Pause]]:
        async with services.database.begin_plain() as work:
            waits = await backlog(work)
            return await read_queues(work, await lately(work), waits), await pauses.pauses(work)

    found, held_back = with_services(entrypoints, read)
    told = [queue_json(one, held_back) for one in found]
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    columns = (
        Column(gettext_noop("stream"), whole=True),
        Column(gettext_noop("queued"), whole=True),
        Column(gettext_noop("retrying"), whole=True),
        Column(gettext_noop("scheduled"), whole=True),
        Column(gettext_noop("oldest"), whole=True),
        Column(gettext_noop("came")),
        Column(gettext_noop("went")),
        Column(gettext_noop("notes")),
    )
    now = clock.now()
    rows = [
        [
            one.stream,
            *(str(number) for number in (one.queued, one.retrying, one.scheduled)),
            age(one.oldest, now) if one.oldest else "",
            str(one.came),
            str(one.went),
            gettext("paused") if said["paused"] else "",
        ]
        for one, said in zip(found, told, strict=True)
    ]
    print_table(columns, rows)


@workers.command()
@click.argument("name")
@click.pass_obj
def drain(entrypoints: Entrypoints, name: str) -> None:
    """Have worker NAME take on nothing more. It ends what it has in hand."""
    _ask(entrypoints, name, "drain")


@workers.command("go-on")
@click.argument("name")
@click.pass_obj
def go_on(entrypoints: Entrypoints, name: str) -> None:
    """Have worker NAME, that was drained, take on work again."""
    _ask(entrypoints, name, None)


@workers.command()
@click.argument("name")
@click.pass_obj
def stop(entrypoints: Entrypoints, name: str) -> None:
    """Stop worker NAME within its STOP_SECONDS. Where something looks after it, a new one begins in its place."""
    _ask(entrypoints, name, "stop")


def _ask(entrypoints: Entrypoints, name: str, wish: str | None) -> None:
    async def work(services: Services) -> None:
        if not await services.acts.ask_worker(shell_actor(), name, wish):
            raise UnknownWorker

    with_services(entrypoints, work)
    click.echo(gettext("The worker hears of it within five seconds."))


@click.command()
@click.option("--since", type=Moment(), help="Only those since then; 24 hours, unless told.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def failures(entrypoints: Entrypoints, *, since: datetime | None, as_json: bool) -> None:
    """List what failed or waits in trouble, in groups: reason, codes, receiving domain; the largest first."""
    now = clock.now()
    length = now - since if since else timedelta(hours=24)

    async def read(services: Services) -> Failures:
        return await services.failure_report.groups(length)

    found = with_services(entrypoints, read)
    if as_json:
        click.echo(json.dumps(failures_json(found), indent=2))
        return
    columns = (
        Column(gettext_noop("mails"), whole=True),
        Column(gettext_noop("reason")),
        Column(gettext_noop("code"), whole=True),
        Column(gettext_noop("domain")),
        Column(gettext_noop("last"), whole=True),
        Column(gettext_noop("recovered"), needed=False),
        Column(gettext_noop("example"), whole=True, needed=False),
    )
    rows = [
        [
            str(group.count),
            group.cause.reason,
            " ".join(str(part) for part in (group.cause.code, group.cause.enhanced) if part),
            clean(group.cause.domain),
            age(group.last, now) if group.last else "",
            str(group.recovered or ""),
            str(group.example or ""),
        ]
        for group in found.groups
    ]
    print_table(columns, rows)
    for one in found.tasks:
        click.echo(clean(f"{one.count}  {one.name}  {one.error}  {one.place}"))
    if not found.groups and not found.tasks:
        click.echo(gettext("Nothing failed."), err=True)
    if not found.complete:
        click.echo(gettext("There are more: only the newest were grouped."), err=True)


@click.command()
@click.option("--target", help="Only what was done to this id.")
@click.option("--action", help="Only this action: mails.retry, say.")
@click.option("--before", type=click.IntRange(1), help="Only those before this number: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def audit(
    entrypoints: Entrypoints,
    *,
    target: str | None,
    action: str | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List what operators, keys and the shell did, newest first: who, what, on what, from where, when."""

    async def read(services: Services) -> Sequence[AuditEntry]:
        async with services.database.begin() as work:
            return await services.audit_log.entries(
                work, target_id=target, action=action, before=before, limit=limit
            )

    found = with_services(entrypoints, read)
    if as_json:
        click.echo(json.dumps([entry_json(entry) for entry in found], indent=2))
        return
    columns = (
        Column(gettext_noop("at"), whole=True),
        Column(gettext_noop("who")),
        Column(gettext_noop("action"), whole=True),
        Column(gettext_noop("target")),
        Column(gettext_noop("from"), needed=False),
        Column(gettext_noop("details"), needed=False),
    )
    print_table(columns, [_entry_cells(entry) for entry in found])
    if len(found) == limit:
        click.echo(gettext("More: mailroom audit --before %(number)s", number=found[-1].id), err=True)
    if not found:
        click.echo(gettext("Nothing was done."), err=True)


def _entry_cells(entry: AuditEntry) -> list[str]:
    target = " ".join(filter(None, (entry.target, entry.target_id)))
    details = json.dumps(entry.details, ensure_ascii=False) if entry.details else ""
    cells = (full(entry.at), entry.actor_name, entry.action, target, entry.client or "", details)
    return [clean(cell) for cell in cells]
