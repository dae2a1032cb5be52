"""Settings: the only reader of the environment."""

from mailroom.settings.settings import Settings, SettingsError, load
from mailroom.settings.urls import SMTPServer, without_password

__all__ = ["SMTPServer", "Settings", "SettingsError", "load", "without_password"]
