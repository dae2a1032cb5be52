"""`.env` is read as it was meant, or refused with what to do: never a traceback, never half of it."""

import os
from pathlib import Path

import pytest

from mailroom.settings import SettingsError, env_file, load

REST = (
    "DATABASE_URL=postgresql://localhost/mailroom\nREDIS_URL=redis://localhost\nSMTP_URL=smtp://localhost\n"
    "PUBLIC_URL=https://mailroom.example\nSECRET_KEY=" + "k" * 32 + "\n"
)


def test_a_file_with_a_byte_order_mark_and_other_ends_of_lines_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(
        b"\xef\xbb\xbf" + f"MAIL_FROM=Bücher <hallo@buecher.example>\n{REST}".replace("\n", "\r\n").encode()
    )
    settings = load(file)
    assert settings.mail_from == "Bücher <hallo@buecher.example>"
    assert settings.env_file == file


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("MAIL_FROM=hello@mailroom.example\n".encode("utf-16"), "is saved as UTF-16. Save it as UTF-8"),
        ("MAIL_FROM=hello@mailroom.example\n".encode("utf-16-le"), "is saved as UTF-16. Save it as UTF-8"),
        ("PORT=1\nMAIL_FROM=Bücher <a@b.example>\n".encode("latin-1"), "is not UTF-8: line 2"),
        (b'PORT=1\n\nMAIL_FROM="Mailroom\n', "line 3, is no NAME=value"),
        (b"PORT=1\nMAIL FROM=hello\n", "line 2, is no NAME=value"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_what_to_do(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load(file)
    (problem,) = refused.value.problems
    assert problem.startswith(str(file))
    assert words in problem
    assert "hello" not in problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_we_may_not_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(REST)
    file.chmod(0)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        env_file.read(file)


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert env_file.given(tmp_path, {"PORT": "1", "HOST": ""}) == {"PORT": "1"}


def test_an_empty_variable_does_not_hide_the_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("port=2\n")
    assert env_file.given(tmp_path, {"PORT": ""}) == {"PORT": "2"}
