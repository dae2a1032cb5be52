"""Which addresses lead to one mailbox: for counting mails only, never for finding an account.

If counting joins too many addresses, one mail too few is sent. If finding an account did so, it could find a
stranger's. Look-alike addresses (fullwidth letters, long s) belong to other people: mails to one of them must not
count against another.
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
