"""Ids of mails and tasks, which may be shortened as long as they are unique, as in Git."""

import re
from dataclasses import dataclass
from uuid import UUID

import click
from sqlalchemy import select, union

from mailroom.i18n.messages import gettext
from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.mail.models import Mail
from mailroom.tasks.models import Task

SHORTEST = 4
DIGITS = 32


class UnknownId(MailroomError):
    """There is no mail or task with this id."""

    message_code = "cli.error.unknown_id"


class AmbiguousId(MailroomError):
    """Several mails or tasks have ids that begin like this."""


@dataclass(frozen=True, slots=True)
class IdPrefix:
    """The beginning of an id, or all of it."""

    first: UUID
    last: UUID
    """The lowest and the highest id that begin so."""

    def __str__(self) -> str:
        """Return the id, or its beginning as far as it is given, in hexadecimal digits."""
        if self.first == self.last:
            return str(self.first)
        same = next(n for n, (a, b) in enumerate(zip(self.first.hex, self.last.hex, strict=True)) if a != b)
        return self.first.hex[:same]

    @classmethod
    def parse(cls, text: str) -> "IdPrefix | None":
        """Read hexadecimal digits, with or without the dashes; None if there are other characters, or too few."""
        digits = text.strip().lower().replace("-", "")
        if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},{DIGITS}}}", digits):
            return None
        return cls(UUID(digits.ljust(DIGITS, "0")), UUID(digits.ljust(DIGITS, "f")))


class Id(click.ParamType[IdPrefix]):
    """The id of a mail, as `mailroom mails` shows it, or of a task, as `mailroom tasks` does; or its beginning."""

    name = "id"

    def convert(self, value: str | IdPrefix, param: click.Parameter | None, ctx: click.Context | None) -> IdPrefix:
        """Return the prefix; fails with a sentence if the text is none."""
        found = value if isinstance(value, IdPrefix) else IdPrefix.parse(value)
        if found is None:
            words = gettext(
                "%(text)s is not the id of a mail or task. `mailroom mails` and `mailroom tasks` show the ids. "
                "The first %(least)s characters are enough where no other id begins with them.",
                text=repr(value),
                least=SHORTEST,
            )
            self.fail(words, param, ctx)
        return found


async def find_id(work: UnitOfWork, prefix: IdPrefix) -> UUID:
    """Return the one id of a mail or task that begins so. Raises `UnknownId` and `AmbiguousId`."""
    found = union(
        select(Mail.id).where(Mail.id.between(prefix.first, prefix.last)).limit(2),
        select(Task.id).where(Task.id.between(prefix.first, prefix.last)).limit(2),
    )
    ids = (await work.session.scalars(found)).all()
    if not ids:
        raise UnknownId
    if len(ids) > 1:
        one, other, *_ = sorted(map(str, ids))
        raise AmbiguousId(
            gettext("Several ids begin like this: %(one)s, %(other)s. Give more of the id.", one=one, other=other)
        )
    return UUID(str(ids[0]))
