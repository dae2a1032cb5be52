"""A recipient who wants no mail gets none: each mail ends `suppressed`, in every way that mails are sent."""

from collections.abc import Sequence

import pytest

from mailroom.kit.errors import Unavailable
from mailroom.mail.ledger.claims import Claim
from tests.integration.mail.delivery.test_bulk_stream import put_bulk
from tests.integration.mail.delivery.test_deliverer import Make, make, sink, templates  # noqa: F401  # fixtures
from tests.sink import Sink


class NotTo:
    """Knows one recipient who wants no mail."""

    def __init__(self, address: str) -> None:
        self.address, self.away = address, False

    async def suppressed(self, claims: Sequence[Claim]) -> Sequence[bool]:
        if self.away:
            raise Unavailable
        return [claim.recipient == self.address for claim in claims]


async def test_a_suppressed_recipient_gets_nothing_one_by_one_and_in_bulk(make: Make, sink: Sink) -> None:  # noqa: F811
    post = make(suppressions=NotTo("alice@example.org"))
    alone = await post.promise("alice@example.org")
    shown = await post.delivery.deliver(alone)
    assert shown and (shown.state, shown.final) == ("suppressed", True)
    (attempt,) = await post.attempts(alone)
    assert (attempt.outcome, attempt.connected_at) == ("suppressed", None)
    together = [await post.promise(f"{name}@example.org") for name in ("alice", "bob")]
    await post.delivery.deliver_many(together)
    await put_bulk(post, 3)
    await post.delivery.begin_bulk()
    async with post.database.begin_plain() as work:
        while await work.fetch("select 1 from mails where ended_at is null", {}):
            pass
        rows = await work.fetch("select recipient, state from mails", {})
    assert sorted(map(tuple, rows)) == [("alice@example.org", "suppressed")] * 5 + [("bob@example.org", "sent")]
    assert [mail.recipient for mail in sink.accepted] == ["bob@example.org"]


async def test_while_nobody_can_say_who_wants_mail_nothing_is_sent(make: Make, sink: Sink) -> None:  # noqa: F811
    nobody = NotTo("")
    post = make(suppressions=nobody)
    nobody.away = True
    mail = await post.promise("bob@example.org")
    with pytest.raises(Unavailable):
        await post.delivery.deliver(mail)
    assert sink.accepted == []
