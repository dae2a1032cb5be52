"""`mailroom restored`: to be run once after a restore, before workers start."""

from collections import Counter
from datetime import datetime

import click

from mailroom.cli.with_services import with_services
from mailroom.kit import clock
from mailroom.kit.text import counted
from mailroom.mail.ledger.restoration import adopt, mark_restored
from mailroom.ops.entrypoints import Entrypoints


class BackupTime(click.ParamType[datetime]):
    """When the backup was made: ISO 8601 with a time zone, not in the future."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time; fails with a sentence that says what to write instead."""
        if isinstance(value, datetime):
            return value
        example = "write it like 2026-11-27T03:00Z or 2026-11-27T04:00+01:00"
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; {example}.", param, ctx)
        if at.tzinfo is None:
            self.fail(f"{value!r} has no time zone; {example}.", param, ctx)
        if at > clock.now():
            self.fail(f"{value!r} is in the future; give the time at which the backup was begun.", param, ctx)
        return at


@click.command()
@click.option("--from", "since", type=BackupTime(), help="When the backup was begun, with a time zone.")
@click.option("--same", is_flag=True, help="Nothing was restored: it is the same database, upgraded or moved.")
@click.pass_obj
def restored(entrypoints: Entrypoints, since: datetime | None, same: bool) -> None:
    """Mark what may have gone out since the backup, so that workers start on a restored database.

    Mails that waited in the backup are uncertain then: most kinds are sent again, marked, under the same
    Message-ID; those that must not arrive twice wait for a person. Stop all workers first. All of it is one
    transaction.
    """
    if (since is None) is not same:
        raise click.UsageError("Say --from and the time of the backup, or --same where nothing was restored.")
    if since is None:
        with_services(entrypoints, lambda services: adopt(services.database))
        click.echo("Nothing was marked. Workers may start.")
        return
    at = since
    marked = with_services(entrypoints, lambda services: mark_restored(services.database, at))
    click.echo(f"Sent again, marked as uncertain: {_told(marked.resent)}.")
    click.echo(f"Left to a person: {_told(marked.held)}.")
    if marked.held:
        click.echo("`mailroom mails --state uncertain` lists them; `mailroom retry` or `cancel` decides.")
    click.echo("Workers may start.")


def _told(kinds: Counter[str]) -> str:
    names = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return counted(kinds.total(), "mail") + (f" ({names})" if names else "")
