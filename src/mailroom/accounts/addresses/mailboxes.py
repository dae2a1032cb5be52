"""Which addresses lead to one mailbox: for counting mails only, never for finding an account.

Counting may join too much: then a mail too few is sent. An account found so would be a stranger's.
Look-alikes (fullwidth letters, long s) are other people's mailboxes: one must not use up another's mails.
"""

from mailroom.accounts.addresses.characters import visible

SAME_DOMAIN = {"googlemail.com": "gmail.com"}
IGNORE_DOTS = frozenset({"gmail.com"})
"""Domains whose mailboxes ignore dots in the local part."""


def mailbox_of(key: str) -> str:
    """Return the mailbox of an address by its key: without tag (`+news`) and invisible characters."""
    local, _, domain = key.rpartition("@")
    domain = SAME_DOMAIN.get(domain, domain)
    local = visible(local)
    local = local.partition("+")[0] or local
    if domain in IGNORE_DOTS:
        local = local.replace(".", "")
    return f"{local}@{domain}"


def is_variant(key: str) -> bool:
    """Tell whether this is another spelling of a mailbox's plain address."""
    return mailbox_of(key) != key
