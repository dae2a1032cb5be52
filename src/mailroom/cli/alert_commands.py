"""`mailroom alerts`: what is wrong, whom it is told to, silences, and a test."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from mailroom.cli.actor import shell_actor
from mailroom.cli.tables import Column, print_table
from mailroom.cli.with_services import with_services
from mailroom.desk.alerts.acts import LONGEST_SILENCE, Tested, change_silence, send_test
from mailroom.desk.alerts.book import ALL, AlertView, SilenceView, current_alerts, past_alerts, silences
from mailroom.desk.alerts.rules import RULES
from mailroom.desk.as_json import alert_json, silence_json
from mailroom.i18n.alert_words import AlertWords, alert_words
from mailroom.i18n.messages import gettext, gettext_noop, ngettext
from mailroom.kit import clock
from mailroom.kit.errors import MailroomError
from mailroom.kit.text import age, clean, full
from mailroom.ops.entrypoints import Entrypoints
from mailroom.services import Services

COLUMNS = (
    Column(gettext_noop("rule"), whole=True),
    Column(gettext_noop("state"), whole=True),
    Column(gettext_noop("since"), whole=True),
    Column(gettext_noop("what is wrong")),
)
NOBODY = gettext_noop("Alerts go to nobody: set ALERT_TO, or make an operator.")
NAMES = click.Choice(["all", *RULES])


class NotMailed(MailroomError):
    """The test alert could not be mailed."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list shows."""

    now: Sequence[AlertView]
    past: Sequence[AlertView]
    quiet: Sequence[SilenceView]
    to: Sequence[str]


@click.group(invoke_without_command=True)
@click.option("--past", is_flag=True, help="Also what was wrong in the last seven days.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def alerts(ctx: click.Context, *, past: bool, as_json: bool) -> None:
    """List what is wrong now, what is silenced, and whom alerts go to; silence a rule, send a test."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, past=past, as_json=as_json)


def _list(entrypoints: Entrypoints, *, past: bool, as_json: bool) -> None:
    async def read(services: Services) -> Listed:
        async with services.database.begin_plain() as work:
            found = await current_alerts(work), await past_alerts(work) if past else (), await silences(work)
        return Listed(*found, await services.teller.addresses())

    found = with_services(entrypoints, read)
    if as_json:
        told = {
            "alerts": [alert_json(one, asdict(_words(one))) for one in found.now],
            "past": [alert_json(one, asdict(_words(one))) for one in found.past],
            "silences": [silence_json(one) for one in found.quiet],
            "to": list(found.to),
        }
        click.echo(json.dumps(told, indent=2))
        return
    rows = [_cells(one) for one in (*found.now, *found.past)]
    if rows:
        print_table(COLUMNS, rows)
    else:
        click.echo(gettext("Nothing is wrong."), err=True)
    for one in found.quiet:
        words = gettext(
            "Silenced until %(moment)s, by %(who)s: %(rule)s",
            moment=full(one.until),
            who=one.by_name,
            rule="all" if one.rule == ALL else one.rule,
        )
        click.echo(clean(words), err=True)
    if not found.to:
        click.echo(gettext(NOBODY), err=True)


def _words(alert: AlertView) -> AlertWords:
    return alert_words(alert.rule, alert.facts, alert.began_at, clock.now())


def _cells(alert: AlertView) -> list[str]:
    state = "over" if alert.ended_at else "firing" if alert.firing else "pending"
    return [alert.rule, state, age(alert.began_at, clock.now()), clean(_words(alert).sentence)]


@alerts.command("silence")
@click.argument("rule", type=NAMES)
@click.option(
    "--hours", type=click.IntRange(1, LONGEST_SILENCE), default=8, show_default=True, help="For how many hours."
)
@click.pass_obj
def silence_rule(entrypoints: Entrypoints, rule: str, hours: int) -> None:
    """Tell nobody of RULE for some hours. The desk shows its alerts all the same."""
    _change(entrypoints, rule, hours)
    click.echo(
        ngettext(
            "%(rule)s: nobody is told for %(num)s hour.",
            "%(rule)s: nobody is told for %(num)s hours.",
            hours,
            rule=rule,
        )
    )


@alerts.command()
@click.argument("rule", type=NAMES)
@click.pass_obj
def lift(entrypoints: Entrypoints, rule: str) -> None:
    """Tell of RULE again that was silenced, here or on the desk."""
    _change(entrypoints, rule, 0)
    click.echo(gettext("%(rule)s: is told again.", rule=rule))


def _change(entrypoints: Entrypoints, rule: str, hours: int) -> None:
    name = ALL if rule == "all" else rule

    async def work(services: Services) -> None:
        await change_silence(services.database, services.audit_log, shell_actor(), name, hours)

    with_services(entrypoints, work)


@alerts.command("test")
@click.pass_obj
def send(entrypoints: Entrypoints) -> None:
    """Mail a test alert now, the way that alerts go. Exit code 1 where it could not be mailed."""

    async def work(services: Services) -> Tested:
        return await send_test(services.database, services.audit_log, shell_actor(), services.teller)

    tested = with_services(entrypoints, work)
    if not tested.to:
        raise NotMailed(gettext(NOBODY))
    if tested.problem:
        raise NotMailed(gettext("The test could not be mailed: %(problem)s", problem=clean(tested.problem)))
    click.echo(gettext("The mail server has the test for: %(addresses)s", addresses=clean(", ".join(tested.to))))
