"""Settings: the only reader of the environment."""

from mailroom.settings.errors import SettingsError
from mailroom.settings.settings import Settings, load
from mailroom.settings.smtp import SMTPServer

__all__ = ["SMTPServer", "Settings", "SettingsError", "load"]
