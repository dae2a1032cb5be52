"""House rule: every kind of mail has its three files, and fills them from what it makes."""

import re
from pathlib import Path

import pytest

from mailroom.accounts.tokens import Tokens
from mailroom.bootstrap.services import mail_kinds
from mailroom.i18n.sentences import text_of
from mailroom.mail.kinds import MailKind
from mailroom.mail.messages.store import MESSAGE
from mailroom.progress.sentence import Sentence
from tests.conftest import settings_of_nowhere

TEMPLATES = Path(__file__).parents[2] / "src" / "mailroom" / "mail" / "templates"
SETTINGS = settings_of_nowhere()
KINDS = [kind for kind in mail_kinds(SETTINGS, Tokens(SETTINGS.secret_keys)) if kind is not MESSAGE]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_mail_has_subject_text_and_html(kind: MailKind) -> None:
    for name in ("subject.txt", "body.txt", "body.html"):
        assert (TEMPLATES / kind.name / name).read_text().strip(), name
    assert len((TEMPLATES / kind.name / "subject.txt").read_text().strip().splitlines()) == 1
    assert kind.title


def test_no_folder_of_templates_is_left_without_a_kind() -> None:
    assert {path.name for path in TEMPLATES.iterdir() if path.is_dir()} == {kind.name for kind in KINDS}


def test_no_mail_loads_anything_from_elsewhere() -> None:
    """A picture of ours in a mail would tell us who opened it, and when."""
    for file in TEMPLATES.rglob("*.html"):
        loading = r"(?i)<img(?! src=\"cid:)|<(link|script|iframe)\b|url\(|@import"
        assert not re.search(loading, file.read_text()), file


def test_the_title_of_each_kind_of_mail_has_a_sentence() -> None:
    for kind in KINDS:
        assert isinstance(kind.title, Sentence), kind.name
        assert text_of(kind.title.code, kind.title.params) != kind.title.code, f"{kind.title.code} has no sentence"
