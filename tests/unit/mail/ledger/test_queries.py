"""The ledger's statements."""

from mailroom.mail.ledger.claims import queries as statements

LONGEST = 4096
"""Characters of a statement that psycopg keeps as read."""


def test_what_is_hot_is_short_enough_to_be_read_once() -> None:
    hot = (statements.CLAIM, statements.HANDED, statements.ACCEPT_AND_HAND_OVER, statements.RECORD)
    assert all(len(statement) <= LONGEST for statement in hot)
