"""`mailroom restored`: to be run once after a restore, before workers start."""

from collections import Counter
from datetime import datetime

import click

from mailroom.cli.with_services import with_services
from mailroom.i18n.messages import gettext, gettext_noop, ngettext
from mailroom.kit import clock
from mailroom.mail.ledger.restoration import adopt, mark_restored
from mailroom.ops.entrypoints import Entrypoints

NO_TIME = gettext_noop("%(text)s is not a time. Write it like 2026-11-27T03:00Z or 2026-11-27T04:00+01:00.")
NO_ZONE = gettext_noop("%(text)s has no time zone. Write it like 2026-11-27T03:00Z or 2026-11-27T04:00+01:00.")
IN_FUTURE = gettext_noop("%(text)s is in the future. Give the time at which the backup was begun.")


class BackupTime(click.ParamType[datetime]):
    """When the backup was made: ISO 8601 with a time zone, not in the future."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time; fails with a sentence that says what to write instead."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(gettext(NO_TIME, text=repr(value)), param, ctx)
        if at.tzinfo is None:
            self.fail(gettext(NO_ZONE, text=repr(value)), param, ctx)
        if at > clock.now():
            self.fail(gettext(IN_FUTURE, text=repr(value)), param, ctx)
        return at


@click.command()
@click.option("--from", "since", type=BackupTime(), help="When the backup was begun, with a time zone.")
@click.option("--same", is_flag=True, help="Nothing was restored: it is the same database, upgraded or moved.")
@click.pass_obj
def restored(entrypoints: Entrypoints, since: datetime | None, same: bool) -> None:
    """Mark the mails that may have gone out since the backup. Then workers start on a restored database.

    Stop all workers first. Mails that wait in the backup become uncertain. Most kinds are sent again, marked, with
    the same Message-ID. Kinds that must not arrive twice wait for a person. All of it is one transaction.
    """
    if (since is None) is not same:
        raise click.UsageError(
            gettext("Give --from and the time of the backup, or --same where nothing was restored.")
        )
    if since is None:
        with_services(entrypoints, lambda services: adopt(services.database))
        click.echo(gettext("Nothing was marked. Workers may start."))
        return
    at = since
    marked = with_services(entrypoints, lambda services: mark_restored(services.database, at))
    click.echo(gettext("Sent again, and marked as uncertain: %(mails)s.", mails=_told(marked.resent)))
    click.echo(gettext("Left to a person: %(mails)s.", mails=_told(marked.held)))
    if marked.held:
        words = gettext("`mailroom mails --state uncertain` lists them. Decide with `mailroom retry` or `cancel`.")
        click.echo(words)
    click.echo(gettext("Workers may start."))


def _told(kinds: Counter[str]) -> str:
    names = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    mails = ngettext("%(num)s mail", "%(num)s mails", kinds.total())
    return f"{mails} ({names})" if names else mails
