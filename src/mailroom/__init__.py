"""Mailroom: accounts and mail, self-hosted; no mail is lost, and everyone can see where it is."""

__version__ = "0.1.0"
