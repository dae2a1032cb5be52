"""Settings: the only reader of the environment."""

from mailroom.settings.errors import SettingsError
from mailroom.settings.loading import load
from mailroom.settings.settings import Settings
from mailroom.settings.smtp import SMTPServer

__all__ = ["SMTPServer", "Settings", "SettingsError", "load"]
