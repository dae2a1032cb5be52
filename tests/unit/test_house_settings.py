"""House rule: `.env.example` is all there is to set, and says the truth about it."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from mailroom.settings import Settings, SettingsError, load

EXAMPLE = Path(__file__).parents[2] / ".env.example"
LINES = re.findall(r"^(#?)([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
# How many cores there are differs; the file is the .env itself.
BY_MACHINE, NOT_SET_BY_HAND = "WORKER_PROCESSES", "ENV_FILE"
FIELDS = {name.upper(): field for name, field in Settings.model_fields.items() if name.upper() != NOT_SET_BY_HAND}


def written(value: Any) -> str:
    """Write a default as one would in a .env."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_env_example_names_every_setting_once_and_in_the_order_of_settings_py() -> None:
    assert [name for _, name, _ in LINES] == list(FIELDS)


def test_env_example_writes_out_exactly_what_must_be_set() -> None:
    assert {name for comment, name, _ in LINES if not comment} == {
        name for name, field in FIELDS.items() if field.is_required()
    }


@pytest.mark.parametrize(("name", "value"), [(name, value) for comment, name, value in LINES if comment])
def test_env_example_shows_the_true_default(name: str, value: str) -> None:
    default = FIELDS[name].default
    assert default is not PydanticUndefined
    assert value == ("" if name == BY_MACHINE else written(default))


def test_every_line_of_env_example_has_a_comment_above_it() -> None:
    text = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(text):
        if re.match(r"#?[A-Z_]+=", line) and not line.startswith("#MAILROOM_INBOX"):
            assert text[number - 1].startswith("# "), line


def test_a_copy_of_env_example_left_as_it_is_names_all_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    with pytest.raises(SettingsError) as caught:
        load()
    missing = {problem.split()[0] for problem in caught.value.problems if "is not set" in problem}
    assert missing == {name for name, field in FIELDS.items() if field.is_required()}


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in FIELDS.items() if not field.description] == []
