"""What the mail says. It runs in the worker, in the recipient's language."""

from collections.abc import Mapping

from mailroom.api import MailRow, gettext, ngettext, number


def ended(row: MailRow) -> Mapping[str, str]:
    """Return the variables of the mail about the end of an import."""
    file, contacts, skipped = (row.params[name] for name in ("file", "contacts", "skipped"))
    imported = ngettext(
        "%(count)s contact is imported.", "%(count)s contacts are imported.", contacts, count=number(contacts)
    )
    left_out = ngettext(
        "%(count)s line has no mail address and was left out.",
        "%(count)s lines have no mail address and were left out.",
        skipped,
        count=number(skipped),
    )
    return {
        "headline": gettext("Your contacts are imported"),
        "file": file,
        "imported": imported,
        "left_out": left_out if skipped else gettext("Every line was used."),
    }
