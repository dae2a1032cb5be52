import os
import string
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mailroom.accounts.tokens import ALPHABET, Tokens, mail_id_of, typed_code

OLD, NEW = "an old key, long enough to be one", "a new key, long enough to be one "
ids, nonces = st.uuids(), st.binary(min_size=16, max_size=16)


@given(ids, nonces)
def test_a_token_names_its_mail_and_fits_only_it(mail_id: UUID, nonce: bytes) -> None:
    tokens = Tokens([NEW])
    token = tokens.token(mail_id, nonce)
    assert len(token) == 48
    assert token.replace("-", "").replace("_", "").isalnum()
    assert mail_id_of(token) == mail_id
    assert tokens.fits(token, mail_id, nonce)
    assert not tokens.fits(token, mail_id, bytes(b ^ 1 for b in nonce))
    assert not tokens.fits(token, UUID(int=mail_id.int ^ 1), nonce)


@given(ids, nonces, st.text(st.characters(exclude_characters="-_" + string.ascii_letters + string.digits)))
def test_what_a_mail_program_added_to_a_link_does_not_matter(mail_id: UUID, nonce: bytes, added: str) -> None:
    tokens = Tokens([NEW])
    token = tokens.token(mail_id, nonce) + added
    assert mail_id_of(token) == mail_id
    assert tokens.fits(token, mail_id, nonce)


@given(st.text())
def test_any_text_is_read_as_a_token_or_none_and_fits_nothing(text: str) -> None:
    mail_id_of(text)
    assert not Tokens([NEW]).fits(text, UUID(int=0), b"")


@given(ids, nonces, st.integers(0, 47))
def test_a_token_with_one_letter_changed_fits_no_more(mail_id: UUID, nonce: bytes, place: int) -> None:
    tokens = Tokens([NEW])
    token = tokens.token(mail_id, nonce)
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    assert not tokens.fits(changed, mail_id, nonce)


def test_after_a_rotation_the_old_keys_links_and_codes_still_work_and_the_new_key_signs() -> None:
    mail_id, nonce = UUID(int=7), b"n" * 16
    before, after, later = Tokens([OLD]), Tokens([NEW, OLD]), Tokens([NEW])
    token, code = before.token(mail_id, nonce), before.code(mail_id, nonce).replace("-", "")
    assert after.fits(token, mail_id, nonce)
    assert after.code_fits(code, mail_id, nonce)
    assert after.token(mail_id, nonce) == later.token(mail_id, nonce) != token
    assert not later.fits(token, mail_id, nonce)
    assert not later.code_fits(code, mail_id, nonce)


@given(ids, nonces)
def test_a_code_is_read_as_it_is_shown(mail_id: UUID, nonce: bytes) -> None:
    tokens = Tokens([NEW])
    shown = tokens.code(mail_id, nonce)
    assert len(shown) == 9
    assert shown[4] == "-"
    for typed in (shown, shown.lower(), shown.replace("-", ""), f" {shown[:4]} - {shown[5:]}"):
        code = typed_code(typed)
        assert code
        assert tokens.code_fits(code, mail_id, nonce)


def test_codes_use_the_whole_alphabet_evenly_and_spell_nothing() -> None:
    assert not set(ALPHABET) & set("01OILAEU")
    tokens = Tokens([NEW])
    letters = "".join(tokens.code(UUID(int=n), b"x").replace("-", "") for n in range(2000))
    counts = [letters.count(letter) for letter in ALPHABET]
    assert sum(counts) == 16000
    assert min(counts) > 16000 / len(ALPHABET) * 0.8


def test_what_cannot_be_a_code_is_none() -> None:
    for text in ("", "2222", "2222-222", "2222-22222", "OOOO-OOOO", "22²2-2222", "x" * 10_000):
        assert typed_code(text) is None


def test_links_and_codes_come_from_different_keys() -> None:
    tokens, nonce = Tokens([NEW]), os.urandom(16)
    assert set(tokens._link_keys).isdisjoint(tokens._code_keys)
    assert tokens.token(UUID(int=1), nonce) != Tokens([OLD]).token(UUID(int=1), nonce)
