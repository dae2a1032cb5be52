"""Searches for mails in SQL: pages by key, bounded counts, and never longer than the budget.

A search looks at slices of time, the newest first, each several times as long as the one before it. When the
budget is used up, the page says how far it looked, and the next one continues there. So the cost of a page is
bounded whatever is asked for and however many mails there are.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select
from sqlalchemy.orm import aliased

from mailroom.api_keys.models import ApiKey
from mailroom.desk.search import MailSearch
from mailroom.desk.slices import FIRST_ID, LAST_ID, SKEW, Page, Window, page_of_slices, slices
from mailroom.desk.time_limit import BUDGET, within_time
from mailroom.kit.database import Database, UnitOfWork
from mailroom.kit.ids import first_id
from mailroom.mail.messages.models import Message
from mailroom.mail.models import Mail

MOST_COUNTED = 10_000
"""Where a count stops."""
SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")
NOT_SENT = Mail.state != literal_column("'sent'")
"""Written as in the partial indexes, so that the planner uses them."""
ACCEPTED_BELOW = 300


class MailSearches:
    """Finds and counts the mails of a search."""

    def __init__(self, database: Database, budget: float = BUDGET) -> None:
        self._database = database
        self._budget = budget

    async def page(
        self, search: MailSearch, now: datetime, *, before: UUID | None = None, limit: int = 50
    ) -> Page[Mail]:
        """Return at most `limit` mails, those with ids below `before` if given. Raises `Unavailable`."""
        narrow = is_narrow(search)
        return await page_of_slices(
            self._database,
            window_of(search, now, before=before),
            now,
            lambda window, most: page_of(search, window, most, narrow=narrow),
            limit=limit,
            budget=self._budget,
            whole_at_once=narrow,
        )

    async def first_page(
        self, search: MailSearch, now: datetime, *, limit: int = 50
    ) -> tuple[Page[Mail], int | None]:
        """Return the first page and the number of mails as `count` returns it, both within one budget.

        The number is None if it is unknown. Raises `Unavailable`.
        """
        ends_at = time.monotonic() + self._budget
        page = await self.page(search, now, limit=limit)
        if page.next is None:
            return page, len(page.rows)
        left = ends_at - time.monotonic()
        if page.looked_to or left <= 0:
            return page, None
        return page, await self.count(search, now, seconds=left)

    async def count(
        self, search: MailSearch, now: datetime, *, most: int = MOST_COUNTED, seconds: float | None = None
    ) -> int | None:
        """Return how many mails there are, at most `most` + 1.

        None if that takes longer than `seconds` (by default the budget).
        """
        ends_at = time.monotonic() + (self._budget if seconds is None else seconds)
        counted = 0
        async with self._database.begin() as work:
            # Slice by slice: most searches find `most` among the newest mails, and look at no others.
            for slice_ in slices(window_of(search, now), now, whole_at_once=is_narrow(search)):
                meant = select(Mail.id).where(*conditions(search, slice_)).limit(most + 1 - counted).subquery()
                left = ends_at - time.monotonic()
                number = await _number(work, select(func.count()).select_from(meant), left) if left > 0 else None
                if number is None:
                    return None
                counted += number
                if counted > most:
                    break
        return counted


async def _number(work: UnitOfWork, query: Select[int], seconds: float) -> int | None:
    async def ask(work: UnitOfWork) -> int:
        return await work.session.scalar(query) or 0

    return await within_time(work, seconds, ask)


def page_of(search: MailSearch, window: Window, limit: int, *, narrow: bool) -> Select[Mail]:
    """Return the query for a slice, the newest first.

    If an index finds the few that match (`narrow`), they are found first. The planner would assume that many rows
    match an expression, and would go through all mails by id until it had found enough.
    """
    meant = conditions(search, window)
    if narrow:
        few = aliased(Mail, select(Mail).where(*meant).cte("few").prefix_with("MATERIALIZED"))
        return select(few).order_by(few.id.desc()).limit(limit)
    return select(Mail).where(*meant).order_by(Mail.id.desc()).limit(limit)


def is_narrow(search: MailSearch) -> bool:
    """Tell whether an index finds the few mails that match: then one look at the whole time is the cheapest."""
    return search.id is not None or (bool(search.to) and not search.to.startswith("@"))


def window_of(search: MailSearch, now: datetime, *, before: UUID | None = None) -> Window:
    """Return what a search looks at; `before` is the end of the page before."""
    since, until = search.starts(now), search.before
    high = first_id(until) if until else LAST_ID
    return Window(first_id(since) if since else FIRST_ID, min(high, before) if before else high, since, until)


def within(window: Window) -> list[ColumnElement[bool]]:
    """Return the conditions of a window, both for ids and for times, which the index on state and time needs."""
    found: list[ColumnElement[bool]] = []
    if window.low > FIRST_ID:
        found.append(Mail.id >= window.low)
    if window.high < LAST_ID:
        found.append(Mail.id < window.high)
    if window.since:
        found.append(Mail.created_at >= window.since - SKEW)
    if window.until:
        found.append(Mail.created_at < window.until + SKEW)
    return found


def conditions(search: MailSearch, window: Window) -> list[ColumnElement[bool]]:
    """Return the conditions of a search for the mails of a window."""
    found = within(window)
    found += [column == value for column, value in _plain_facts(search) if value]
    if search.states:
        found.append(Mail.state.in_(search.states))
    if search.to:
        found.append(_to(search.to))
    if search.code is not None:
        found.append(and_(Mail.code == search.code, Mail.code.is_not(None)))
        if search.code >= ACCEPTED_BELOW:
            found.append(NOT_SENT)
    if search.id:
        low, high = search.id
        of_message = and_(Mail.message_id.between(low, high), Mail.message_id.is_not(None))
        found.append(or_(Mail.id.between(low, high), of_message))
    if search.key or search.tag:
        found.append(Mail.message_id.in_(messages_of(window, *_of_message(search))))
    if search.words:
        found.append(_words(" ".join(search.words), window))
    return found


def _plain_facts(search: MailSearch) -> Sequence[tuple[ColumnElement[Any], str]]:
    return (
        (Mail.kind.expression, search.kind),
        (Mail.stream.expression, search.stream),
        (Mail.reason.expression, search.reason),
        (Mail.enhanced.expression, search.enhanced),
    )


def _of_message(search: MailSearch) -> Iterator[ColumnElement[bool]]:
    if search.key:
        named = or_(ApiKey.name == search.key, func.starts_with(search.key, ApiKey.start))
        yield Message.key_id.in_(select(ApiKey.id).where(named))
    if search.tag:
        name, value = search.tag
        yield Message.tags.contains({name: value}) if value else Message.tags.has_key(name)


def _to(to: str) -> ColumnElement[bool]:
    """Return the condition for a recipient; two partial indexes answer it, one for those that have ended."""
    backwards = func.reverse(func.lower(Mail.recipient))
    asked = to[::-1]
    if to.startswith("@"):
        beyond = asked[:-1] + chr(ord("@") + 1)
        meant = and_(
            backwards.op("~>=~", is_comparison=True)(asked), backwards.op("~<~", is_comparison=True)(beyond)
        )
    else:
        meant = backwards == asked
    waits = and_(Mail.ended_at.is_(None), Mail.nudge_at.is_not(None), meant)
    return or_(and_(Mail.ended_at.is_not(None), meant), waits)


def _compared(column: ColumnElement[str], operator: str, value: str) -> ColumnElement[bool]:
    compared: ColumnElement[bool] = column.op(operator, is_comparison=True)(value)
    return compared


def messages_of(window: Window, *meant: ColumnElement[bool]) -> Select[UUID]:
    """Return the query for the messages of a window's mails: they are made together, within `SKEW`.

    Without the range, a word that is in many subjects would be looked up in all messages there ever were.
    """
    return select(Message.id).where(Message.id.between(*window.around), *meant)


def _words(words: str, window: Window) -> ColumnElement[bool]:
    """Return the condition that all words are in the server's answer, or in the subject."""
    asked = func.plainto_tsquery(SIMPLE, words)
    answer = func.to_tsvector(SIMPLE, Mail.answer).op("@@", is_comparison=True)(asked)
    subject = func.to_tsvector(SIMPLE, Message.subject).op("@@", is_comparison=True)(asked)
    return or_(
        and_(Mail.answer.is_not(None), NOT_SENT, answer),
        Mail.message_id.in_(messages_of(window, subject)),
    )
