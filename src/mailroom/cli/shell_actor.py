"""Who acts in the shell, as the audit log has it."""

import getpass

from mailroom.desk.audit_log import Actor


def shell_actor() -> Actor:
    """Return the user of the machine."""
    try:
        return Actor("shell", getpass.getuser())
    except (KeyError, OSError):  # a user without a name, as in some containers
        return Actor("shell", "unknown")
