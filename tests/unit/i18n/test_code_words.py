"""Each code that pages show has its words."""

import re
from pathlib import Path

import mailroom
from mailroom.accounts.operators import ROLES
from mailroom.accounts.tokens import Tokens
from mailroom.api_keys.keys import SCOPES
from mailroom.bootstrap.services import mail_kinds
from mailroom.i18n import code_words
from mailroom.mail.states import Reason
from mailroom.webhooks.payloads import TYPES
from tests.conftest import SECRET_KEY, settings_of_nowhere

SOURCE = Path(mailroom.__file__).parent
FOLDERS = ("web", "cli", "desk", "accounts")
SETTINGS = settings_of_nowhere()


def test_roles_scopes_reasons_kinds_and_events_have_words() -> None:
    assert code_words.ROLES.keys() == {"", *ROLES}
    assert code_words.SCOPES.keys() == set(SCOPES)
    assert code_words.REASONS.keys() == {"", *Reason}
    assert code_words.EVENTS.keys() == TYPES
    assert code_words.KINDS.keys() >= {kind.name for kind in mail_kinds(SETTINGS, Tokens([SECRET_KEY]))}


def test_each_act_of_the_audit_log_and_what_it_is_done_to_has_words() -> None:
    source = "\n".join(path.read_text() for folder in FOLDERS for path in (SOURCE / folder).rglob("*.py"))
    rooms = "|".join({act.partition(".")[0] for act in code_words.ACTS})
    literal = re.compile(rf'"((?:{rooms})\.[a-z_]+)"')
    written = {
        act
        for call in re.findall(r"(?:action\b|_act\(|write\(|_audit\()[^\n]*(?:\n[^\n]*){0,2}", source)
        for act in literal.findall(call)
    }
    assert len(written) > 20
    assert written - TYPES <= code_words.ACTS.keys()
    targets = set(re.findall(r'target="([a-z]\w*)"', source))
    assert targets and targets <= code_words.TARGETS.keys()


def test_a_code_of_a_newer_release_is_shown_as_it_is() -> None:
    assert code_words.word_of("key.rotated", code_words.ACTS) == "key.rotated"
    assert code_words.with_code("shop.order", "shop.order") == "shop.order"
    assert code_words.with_code("Bulk mails", "bulk") == "Bulk mails (bulk)"
