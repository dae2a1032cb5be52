"""Leaked passwords, looked up on disk in both forms of list."""

import hashlib
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailroom.accounts.errors import WeakPassword
from mailroom.accounts.passwords.blocklist import Blocklist
from mailroom.accounts.passwords.hashing import Passwords

LEAKED = "seven quiet lanterns over water"
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=12)


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


def plain(path: Path, words: set[str], end: str = "\n") -> Blocklist:
    path.write_bytes(b"".join(line + end.encode() for line in sorted(word.encode() for word in words)))
    return Blocklist(path)


def hashed(path: Path, words: set[str], count: str = "") -> Blocklist:
    path.write_text("".join(f"{line}{count}\n" for line in sorted(map(sha1, words))))
    return Blocklist(path)


@given(words=st.sets(WORDS, min_size=1, max_size=40), others=st.sets(WORDS, max_size=10))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_finds_what_is_there_and_nothing_else(tmp_path: Path, words: set[str], others: set[str]) -> None:
    path = tmp_path / "list"
    for listed in (plain(path, words), hashed(path, words, ":17")):
        assert all(map(listed.holds, words))
        assert not any(map(listed.holds, others - words))


@pytest.mark.parametrize("count", ["", ":3", ":123456"])
def test_counts_and_the_first_and_the_last_line_do_not_matter(tmp_path: Path, count: str) -> None:
    words = {f"word {number}" for number in range(300)}
    listed = hashed(tmp_path / "list", words, count)
    for word in (min(words, key=sha1), max(words, key=sha1), "word 150"):
        assert listed.holds(word)
    assert not listed.holds("word 300")
    windows = plain(tmp_path / "windows", words, "\r\n")
    assert windows.holds(min(words)) and windows.holds(max(words)) and not windows.holds("word")
    (tmp_path / "last").write_text("alpha\nbeta")
    assert Blocklist(tmp_path / "last").holds("beta")
    (tmp_path / "empty").write_text("")
    assert not Blocklist(tmp_path / "empty").holds("beta")


async def test_nobody_may_choose_a_leaked_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list"
    passwords = Passwords(memory_kib=8, passes=1, blocklist=hashed(path, {LEAKED}))
    for refused in (passwords.hash(LEAKED, context=[]), passwords.check(LEAKED, [])):
        with pytest.raises(WeakPassword) as caught:
            await refused
        assert "password.leaked" in str(caught.value.params)
    assert await passwords.hash("eleven patient herons count rain", context=[])
    assert await passwords.hash(LEAKED), "a known one is only compared"
    path.unlink()
    with caplog.at_level(logging.ERROR):
        assert await passwords.hash(LEAKED, context=[])
    assert "PASSWORD_BLOCKLIST cannot be read" in caplog.text
    passwords.close()
