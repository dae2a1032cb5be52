"""`mailroom restored` says what to write instead, before it touches anything."""

import pytest
from click.testing import CliRunner

from mailroom.cli.restored_command import restored


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give --from and the time of the backup, or --same"),
        (["--from", "2026-11-27T03:00Z", "--same"], "Give --from and the time of the backup, or --same"),
        (["--from", "yesterday"], "'yesterday' is not a time. Write it like 2026-11-27T03:00Z"),
        (["--from", "2026-11-27T03:00"], "has no time zone. Write it like"),
        (["--from", "2999-01-01T00:00Z"], "is in the future"),
    ],
)
def test_a_time_that_cannot_be_right_is_a_sentence_and_changes_nothing(arguments: list[str], told: str) -> None:
    run = CliRunner().invoke(restored, arguments, obj=None)  # without entrypoints there is nothing to reach
    assert run.exit_code == 2
    assert told in " ".join(run.output.split())
