"""The embedded stack behind `mailroom up`: real servers from wheels, on loopback, in one folder."""
