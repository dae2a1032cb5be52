"""Reads a CSV file piece by piece (RFC 4180), as a stranger's: what it may be is bounded."""

import codecs
import csv
import io
from collections.abc import Iterator

from mailroom.api import MailroomError

LONGEST = 1_000_000
"""Characters of one record."""
ADDRESS, NAME = ("email", "e-mail", "mail"), ("name",)


class NoText(MailroomError):
    """The file is not UTF-8."""

    message_code = "csv_import.error.no_text"


class NoAddress(MailroomError):
    """No column holds addresses."""

    message_code = "csv_import.error.no_address"


class OpenQuotation(MailroomError):
    """A quotation mark is left open."""

    message_code = "csv_import.error.quotation"

    def __init__(self, line: int) -> None:
        super().__init__()
        self.params = {"line": line}


class Records:
    """Takes pieces of a file and gives out (address, name) of each record; an address may be empty."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = ""
        self._columns: tuple[int, int | None] | None = None
        self._delimiter = ","
        self.lines = 0
        """Lines read so far."""

    def feed(self, piece: bytes, *, last: bool = False) -> Iterator[tuple[str, str]]:
        """Yield the records that end in this piece. Raises `NoText`, `NoAddress`, `OpenQuotation`."""
        try:
            text = self._rest + self._decoder.decode(piece, final=last)
        except UnicodeDecodeError:
            raise NoText from None
        if "\0" in text:
            raise NoText
        end = len(text) if last else _end_of_records(text)
        whole, self._rest = text[:end], text[end:]
        if len(self._rest) > LONGEST or (last and whole.count('"') % 2):
            raise OpenQuotation(self.lines + 1)
        if self._columns is None and whole:
            head = whole.partition("\n")[0]
            self._delimiter = max(",;\t", key=head.count)
        before = self.lines
        reader = csv.reader(io.StringIO(whole, newline=""), delimiter=self._delimiter)
        try:
            for row in reader:
                self.lines = before + reader.line_num
                if self._columns is None:
                    self._columns = _columns(row)
                elif row:
                    yield self._record(row)
        except csv.Error:  # a field of more than 131,072 characters
            raise OpenQuotation(self.lines + 1) from None
        self.lines = before + whole.count("\n") + (last and not whole.endswith("\n") and bool(whole))

    def _record(self, row: list[str]) -> tuple[str, str]:
        address, name = self._columns or (0, None)
        email = row[address].strip()[:320] if address < len(row) else ""
        words = row[name].strip()[:200] if name is not None and name < len(row) else ""
        local, _, domain = email.rpartition("@")
        return (email if local and domain else ""), words


def _columns(head: list[str]) -> tuple[int, int | None]:
    named = [cell.strip().casefold() for cell in head]
    address = next((named.index(one) for one in ADDRESS if one in named), None)
    if address is None:
        raise NoAddress
    return address, next((named.index(one) for one in NAME if one in named), None)


def _end_of_records(text: str) -> int:
    """Return where the last whole record ends: behind a line's end outside of quotation marks."""
    end = text.rfind("\n") + 1
    while end and text.count('"', 0, end) % 2:
        end = text.rfind("\n", 0, end - 1) + 1
    return end
