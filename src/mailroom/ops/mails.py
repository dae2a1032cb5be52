"""The mail of this room: what an operator writes in the shell."""

from mailroom.mail.kinds import MailKind
from mailroom.progress.sentence import Sentence
from mailroom.settings import Settings

PLAIN = "plain"


def kinds(settings: Settings) -> list[MailKind]:
    """Return the kinds of mail this room sends. A mail that may have arrived is not sent again by itself."""
    words = {"site": settings.brand.site}
    return [MailKind(PLAIN, Sentence("title.plain_mail"), on_uncertain="hold", variables=lambda _row: words)]
