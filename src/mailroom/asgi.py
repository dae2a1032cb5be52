"""The door for an ASGI server: `hypercorn mailroom.asgi:app`. (`mailroom web` serves better: see the docs.)"""

from mailroom import bootstrap

app = bootstrap.web()
