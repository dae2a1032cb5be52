"""The mail that tells an owner that a webhook was disabled."""

from collections.abc import Mapping

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.mail.kinds import MailKind, MailRow
from mailroom.progress.sentence import Sentence
from mailroom.settings import Settings

DISABLED = "webhook_disabled"
REASONS = {
    "gone": gettext_noop("Its server says that it is gone (410)."),
    "failing": gettext_noop("It has failed for five days."),
}


def kinds(settings: Settings) -> list[MailKind]:
    """Return the kinds of mail this room sends."""

    def variables(row: MailRow) -> Mapping[str, str]:
        return {
            "public_url": settings.public_url,
            "site": settings.brand.site,
            "host": str(row.params["host"]),
            "why": gettext(REASONS[str(row.params["reason"])]),
        }

    return [MailKind(DISABLED, Sentence("title.webhook_mail"), variables=variables)]
