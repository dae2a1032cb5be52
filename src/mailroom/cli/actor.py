"""Who acts in the shell, for the audit log."""

import getpass

from mailroom.desk.audit_log import Actor


def shell_actor() -> Actor:
    """Return the user of this machine who runs the command."""
    try:
        return Actor("shell", getpass.getuser())
    except (KeyError, OSError):  # a user without a name, as in some containers
        return Actor("shell", "unknown")
