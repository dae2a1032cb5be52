"""The `.env` of the current folder: read as it was meant, or refused with the line that cannot be read."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from mailroom.settings.errors import SettingsError

UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read(path: Path) -> dict[str, str]:
    """Return the names (in capitals) and values of a `.env`; empty values are left out. The file may be missing.

    Raises `SettingsError` if the file cannot be read, is not UTF-8, or has a line that is no ``NAME=value``.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):  # a virtual environment may have this name
        return {}
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}."]) from None
    if content.startswith(UTF16) or b"\0" in content:
        raise SettingsError([f"{path} is saved as UTF-16. Save it as UTF-8 (in an editor: Save as, UTF-8)."])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError([f"{path} is not UTF-8: line {line}. Save it as UTF-8."]) from None
    wrong = next((binding.original for binding in parse_stream(StringIO(text)) if binding.error), None)
    if wrong:
        line = wrong.line + len(wrong.string) - len(wrong.string.lstrip("\n"))
        raise SettingsError([f"{path}, line {line}, is no NAME=value. Is a quotation mark left open?"])
    return {name.upper(): value for name, value in dotenv_values(stream=StringIO(text)).items() if value}


def unquoted(value: str) -> str:
    """Return `value` without the space around it and the quotation marks that ``docker --env-file`` leaves on."""
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip() if quoted else value


def given(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is set in `environment` or else in the `.env` of `folder`. Empty values count as not set.

    Raises `SettingsError`.
    """
    return read(folder / ".env") | {name: value for name, value in environment.items() if value}
