"""Ids of one process rise, and are UUIDs of version 7."""

from datetime import UTC, datetime, timedelta

from mailroom.kit.ids import first_id, new_id


def test_ids_made_one_after_the_other_rise_strictly() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}


def test_an_id_tells_its_time() -> None:
    now = datetime.now(UTC)
    assert first_id(now - timedelta(seconds=1)) < new_id() < first_id(now + timedelta(seconds=60))
