"""Names for kinds of mail: our own, and for kinds of apps the title in their `MailKind`."""

from mailroom.i18n.code_words import KINDS, STREAMS, with_code, word_of
from mailroom.i18n.sentences import message_of
from mailroom.mail.kinds import MailKind
from mailroom.mail.ledger.pauses import Pause
from mailroom.progress.sentence import as_facts
from mailroom.web.browser import services


def kind_word(name: str) -> str:
    """Return what a kind of mail is called; its bare name if this process does not know it."""
    if name in KINDS:
        return word_of(name, KINDS)
    return next((_title(kind) for kind in services().mail_kinds if kind.name == name), name)


def _title(kind: MailKind) -> str:
    return message_of(as_facts(kind.title)) or kind.name


def kind_choices() -> list[tuple[str, str]]:
    """Return name and words of each kind, sorted by words, which contain the name: two kinds may share a title."""
    choices = [(kind.name, with_code(kind_word(kind.name), kind.name)) for kind in services().mail_kinds]
    return sorted(choices, key=lambda choice: choice[1].lower())


def stream_choices() -> list[tuple[str, str]]:
    """Return name and words of each stream."""
    return [(name, with_code(word_of(name, STREAMS), name)) for name in STREAMS]


def held_back_words(pause: Pause) -> str:
    """Return what a pause of a stream or kind holds back."""
    words = word_of(pause.name, STREAMS) if pause.what == "stream" else kind_word(pause.name)
    return with_code(words, pause.name)
