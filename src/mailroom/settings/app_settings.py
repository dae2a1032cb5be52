"""Settings of an app: the same environment and `.env`, the same sentences if one is wrong."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailroom.settings import env_file as env_files
from mailroom.settings.errors import SettingsError


class AppSettings(BaseSettings):
    """Base of an app's settings: a class with fields as in pydantic, each with a default if there can be one.

    The field `rows` of the app `acme` is read from ACME_ROWS.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )


Kind = TypeVar("Kind", bound=AppSettings)


def load_app_settings(kind: type[Kind], app: str, env_file: Path | None = None) -> Kind:
    """Read the settings of an app. Raises `SettingsError`, naming every problem, never a value."""
    path, prefix = (env_file or Path(".env")).absolute(), f"{app}_"
    env_files.read(path)
    found = path if path.is_file() else None
    try:
        return kind(_env_file=found, _env_file_encoding="utf-8-sig", _env_prefix=prefix)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise SettingsError(
            [_sentence(prefix, detail["loc"], detail["type"], detail["msg"]) for detail in problems]
        ) from None


def _sentence(prefix: str, place: tuple[object, ...], kind: str, said: str) -> str:
    name = f"{prefix}{'.'.join(map(str, place)).removeprefix(prefix)}".upper()
    return f"{name} is not set." if kind == "missing" else f"{name}: {said.removeprefix('Value error, ')}."
