"""Reads the settings, and says in a sentence what is wrong with each."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from mailroom.settings import env_file as env_files
from mailroom.settings.errors import SettingsError
from mailroom.settings.settings import Settings

OF_HOSTS = {
    "database_url": (
        "POSTGRESQL_ADDON_DIRECT_URI",
        "POSTGRESQL_ADDON_URI",
        "SCALINGO_POSTGRESQL_URL",
        "POSTGRES_URL",
    ),
    "redis_url": ("SCALINGO_REDIS_URL", "REDISCLOUD_URL", "REDIS_DIRECT_URI", "VALKEY_URL"),
}
"""Names that hosts and their add-ons give to the address of a server, the best first: Clever Cloud (its direct
address leads past a proxy), Scalingo, Redis Cloud and others."""
SENTENCES = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be yes or no",
    "greater_than_equal": "must be {ge:g} or more",
    "greater_than": "must be more than {gt:g}",
    "literal_error": "must be {expected}",
    "less_than_equal": "must be {le} or less",
}
"""What pydantic's errors are called here, so that each finishes the sentence "NAME …"."""


def load(env_file: Path | None = None, **overrides: object) -> Settings:
    """Read the environment and `.env` of the current folder (or `env_file`); the environment wins.

    Raises `SettingsError` naming every problem, one sentence each, never a value.
    """
    path = (env_file or Path(".env")).absolute()
    written = env_files.read(path)  # raises a sentence if it cannot be read
    found = path if os.path.isfile(path) else None  # noqa: PTH113  # raises nothing if we may not look
    try:
        return Settings(
            _env_file=found,
            _env_file_encoding="utf-8-sig",
            env_file=found,
            **{**_of_hosts(os.environ | written), **overrides},  # type: ignore[arg-type]
        )
    except ValidationError as error:
        raise SettingsError([_sentence(detail) for detail in error.errors(include_input=False)]) from None


def _of_hosts(given: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are not set under our names, but under a host's."""
    missing = [name for name in OF_HOSTS if not given.get(name.upper())]
    found = {name: next(filter(None, map(given.get, OF_HOSTS[name])), None) for name in missing}
    return {name: value for name, value in found.items() if value}


def _sentence(detail: object) -> str:
    assert isinstance(detail, dict)
    name = ".".join(str(part) for part in detail["loc"]).upper()
    if detail["type"] == "missing":
        description = Settings.model_fields[name.lower()].description
        return f"{name} is not set ({description})."
    form, limits = SENTENCES.get(detail["type"], ""), detail.get("ctx", {})
    words = form.format(**limits) if form else str(detail["msg"]).removeprefix("Value error, ")
    return f"{name} {words}." if name else f"{words}."
