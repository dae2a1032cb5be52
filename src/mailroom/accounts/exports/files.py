"""The zip file of an export: each table once as JSON and once as CSV (RFC 4180), and nothing secret."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mailroom.i18n.formats import date_time
from mailroom.i18n.messages import gettext_noop, translated

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of cells that a spreadsheet would take for a formula."""
README = (
    gettext_noop("This is what is stored about your account, as of %(at)s."),
    gettext_noop(
        "Each table is there twice: as .json for programs and as .csv for spreadsheets. Times are in UTC."
    ),
    gettext_noop(
        "In the .csv files a text that a spreadsheet could take for a formula has an apostrophe in front."
    ),
    gettext_noop("Passwords and links are not in here: none is kept that could be read."),
)
"""The export's README, in the language of the account."""


class ExportFiles:
    """Collects tables row by row and gives the zip file. Works on one thread at a time."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._json: dict[str, io.StringIO] = {}
        self._csv: dict[str, io.StringIO] = {}

    def add(self, table: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to a table. The first call creates it, even if there are no rows."""
        if table not in self._json:
            self._json[table], self._csv[table] = io.StringIO(), io.StringIO(newline="")
            csv.writer(self._csv[table]).writerow(columns)
        lines, cells = self._json[table], csv.writer(self._csv[table])
        for row in rows:
            plain = {column: as_json(row[column]) for column in columns}
            lines.write(",\n" if lines.tell() else "\n")
            lines.write(json.dumps(plain, ensure_ascii=False))
            cells.writerow([as_cell(value) for value in plain.values()])

    def zip(self) -> bytes:
        """Return the file."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            said = [translated(sentence) % {"at": date_time(self._at)} for sentence in README]
            archive.writestr("README.txt", "\n\n".join(said) + "\n")
            for table, lines in self._json.items():
                archive.writestr(f"{table}.json", f"[{lines.getvalue()}\n]\n")
                archive.writestr(f"{table}.csv", self._csv[table].getvalue())
        return packed.getvalue()


def as_json(value: Any) -> Any:
    """Return a value of a row as JSON has it; times are ISO 8601 in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return str(value) if isinstance(value, UUID) else value


def as_cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula (OWASP, CSV Injection)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
