"""Puts migrations and Procfile into the wheel. An editable install finds those of the checkout, and gets none."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PackedFiles(BuildHookInterface):
    """What `ops/migrations.py` and `mailroom up` look for outside a checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files of a wheel that is not an editable one."""
        if version == "standard":
            build_data["force_include"] |= {"alembic": "mailroom/migrations", "Procfile": "mailroom/Procfile"}
