import pytest

from mailroom.mail.states import Reason
from mailroom.mail.words import SENTENCES, sentence


def test_there_is_a_sentence_for_every_reason() -> None:
    assert set(SENTENCES) == set(Reason)
    assert sentence(None) is None


@pytest.mark.parametrize("reason", list(Reason))
def test_a_sentence_fits_every_kind_of_mail(reason: Reason) -> None:
    """Whoever waits for a link to a new password has no use for another sign-up."""
    said = SENTENCES[reason].lower()
    assert not [words for words in ("sign up", "sign-up", "password", "confirm") if words in said]
