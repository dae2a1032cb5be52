"""The alerts in the database: conditions come, fire, pass and end; operators silence them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from mailroom.desk.alerts.rules import RULES, Condition
from mailroom.events.log import note
from mailroom.kit.database import Database, PlainWork
from mailroom.kit.ids import new_id

ALL = "*"
"""The silence of every rule."""
TELLING = timedelta(seconds=60)
"""How long a process has to tell of an alert; after that another process may."""

COLUMNS = """
    id, rule, subject, facts, began_at, fired_at, good_since, ended_at, told_at, reached,
    (select max(until) from alert_silences where rule in (alerts.rule, '*') and until > now()) as silenced_until
"""
OPEN = f"select {COLUMNS} from alerts where ended_at is null order by fired_at nulls last, began_at"  # noqa: S608
HOLDS = """
insert into alerts (id, rule, subject, facts, began_at)
values (%(id)s, %(rule)s, %(subject)s, %(facts)s, least(coalesce(%(since)s, now()), now()))
on conflict (rule, subject) where ended_at is null do update set facts = excluded.facts, good_since = null
"""
FIRE = "update alerts set fired_at = now() where id = %(id)s and fired_at is null"
PASSES = "update alerts set good_since = now() where id = %(id)s and good_since is null"
# Those who were told of an alert's beginning are told of its end.
END = """
update alerts set ended_at = now(), reached = '{}',
    told_at = case when reached <> '{}' then coalesce(told_at, now()) else told_at end
where id = %(id)s and ended_at is null
"""
DROP = "delete from alerts where id = %(id)s and fired_at is null"
PAST = f"""
select {COLUMNS} from alerts where fired_at is not null and ended_at is not null and began_at > now() - %(since)s
order by began_at desc limit 50
"""  # noqa: S608
TO_TELL = f"""
update alerts set telling_until = now() + %(telling)s
where id in (
    select id from alerts
    where ((fired_at is not null and told_at is null and ended_at is null)
        or (told_at is not null and told_end_at is null and ended_at > now() - interval '1 day'))
        and coalesce(telling_until < now(), true)
        and not exists (select from alert_silences where rule in (alerts.rule, '*') and until > now())
    order by began_at limit 20 for update skip locked
) returning {COLUMNS}
"""  # noqa: S608
TOLD = """
update alerts set telling_until = null, reached = '{}', told_at = coalesce(told_at, now()),
    told_end_at = case when %(ended)s then now() end
where id = %(id)s
"""
# `telling_until` stays: the other addresses are tried again after that time.
REACHED = "update alerts set reached = %(reached)s where id = %(id)s"
SILENCE = """
insert into alert_silences (rule, until, by_name) values (%(rule)s, now() + %(time)s, %(by_name)s)
on conflict (rule) do update set until = excluded.until, by_name = excluded.by_name
"""
SILENCES = "select rule, until, by_name from alert_silences where until > now() order by rule"
UNSILENCE = "delete from alert_silences where rule = %(rule)s or until < now()"
FORGET = "delete from alerts where ended_at < now() - interval '90 days'"


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert. It fires once `fired_at` is set; before that it may pass by itself."""

    id: UUID
    rule: str
    subject: str
    facts: dict[str, Any]
    began_at: datetime
    fired_at: datetime | None
    good_since: datetime | None
    ended_at: datetime | None
    told_at: datetime | None
    reached: Sequence[str]
    """The addresses that a mail about its beginning (or its end) reached, while others are still to be told."""
    silenced_until: datetime | None

    @classmethod
    def of_test(cls, now: datetime) -> "AlertView":
        """Return an alert that only tests whether alerts arrive."""
        return cls(new_id(), "test", "", {}, now, now, None, None, None, (), None)

    @property
    def firing(self) -> bool:
        """True from the moment the rule's time is over until the alert has ended."""
        return self.fired_at is not None and self.ended_at is None

    @property
    def noticed_at(self) -> datetime:
        """When it was first seen: the time in its id."""
        return datetime.fromtimestamp((self.id.int >> 80) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class SilenceView:
    """A rule (or `ALL` rules) whose alerts are mailed to nobody, until when, and who silenced it."""

    rule: str
    until: datetime
    by_name: str


async def current_alerts(work: PlainWork) -> list[AlertView]:
    """Return what is wrong now, those that fire first; also those that may pass by themselves."""
    return await work.fetch(OPEN, {}, class_row(AlertView))


async def past_alerts(work: PlainWork, since: timedelta = timedelta(days=7)) -> list[AlertView]:
    """Return what was wrong, newest first, 50 at most."""
    return await work.fetch(PAST, {"since": since}, class_row(AlertView))


async def note_conditions(work: PlainWork, now: datetime, found: Sequence[Condition]) -> None:
    """Write down what is wrong now: begin, fire, pass and end alerts accordingly, and write their events."""
    for condition in found:
        await work.write(
            HOLDS,
            {
                "id": new_id(),
                "rule": condition.rule,
                "subject": condition.subject,
                "since": condition.since,
                "facts": Jsonb(dict(condition.facts)),
            },
        )
    wrong = {(condition.rule, condition.subject) for condition in found}
    for alert in await current_alerts(work):
        if (alert.rule, alert.subject) in wrong:
            await _fire(work, alert, now)
        else:
            await _pass(work, alert, now)


async def _fire(work: PlainWork, alert: AlertView, now: datetime) -> None:
    rule = RULES[alert.rule]
    began = alert.noticed_at if rule.from_notice else alert.began_at
    if alert.fired_at is None and now - began >= rule.fires_after:
        await work.write(FIRE, {"id": alert.id})
        await note(work, "alert.fired", alert.id, event_of(alert))


async def _pass(work: PlainWork, alert: AlertView, now: datetime) -> None:
    rule = RULES.get(alert.rule)  # a rule of another release ends at once
    if alert.good_since is None:
        await work.write(PASSES, {"id": alert.id})
    if rule is None or now - (alert.good_since or now) >= rule.clears_after:
        await work.write(END if alert.fired_at else DROP, {"id": alert.id})
        if alert.fired_at:
            await note(work, "alert.cleared", alert.id, event_of(alert))


def event_of(alert: AlertView) -> dict[str, Any]:
    """Return what webhooks tell of an alert."""
    return {
        "alert_id": str(alert.id),
        "rule": alert.rule,
        "subject": alert.subject,
        "since": alert.began_at.isoformat(),
        "facts": alert.facts,
    }


async def take_to_tell(work: PlainWork) -> list[AlertView]:
    """Return the alerts that fired or ended and are still to be told; the caller has the time `TELLING` for it."""
    return await work.fetch(TO_TELL, {"telling": TELLING}, class_row(AlertView))


async def told(work: PlainWork, alert: AlertView) -> None:
    """Note that people were told of this."""
    await work.write(TOLD, {"id": alert.id, "ended": alert.ended_at is not None})


async def reached(work: PlainWork, alert: AlertView, addresses: Sequence[str]) -> None:
    """Note who was told of this, while others were not."""
    await work.write(REACHED, {"id": alert.id, "reached": list(addresses)})


async def silence(work: PlainWork, rule: str, time: timedelta, by_name: str) -> None:
    """Mail no alerts of this rule for a time; `ALL`: of any rule. They are still shown."""
    await work.write(SILENCE, {"rule": rule, "time": time, "by_name": by_name})


async def end_silence(work: PlainWork, rule: str) -> None:
    """Mail this rule's alerts again."""
    await work.write(UNSILENCE, {"rule": rule})


async def silences(work: PlainWork) -> list[SilenceView]:
    """Return the current silences, by rule."""
    return await work.fetch(SILENCES, {}, class_row(SilenceView))


async def forget_old(database: Database) -> None:
    """Delete alerts that ended long ago; the sweep calls this."""
    await database.fetch(FORGET, {})
