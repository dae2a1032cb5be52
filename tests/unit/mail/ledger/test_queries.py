"""The ledger's queries."""

from mailroom.mail.ledger import queries

LONGEST = 4096
"""Characters of a statement that psycopg keeps as read."""


def test_what_is_hot_is_short_enough_to_be_read_once() -> None:
    hot = (queries.CLAIM, queries.HANDED, queries.ACCEPT_AND_HAND_OVER, queries.RECORD)
    assert all(len(statement) <= LONGEST for statement in hot)
