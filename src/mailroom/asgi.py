"""The door for an ASGI server: `hypercorn mailroom.asgi:app`. (`mailroom web` serves better: see the docs.)"""

from mailroom.bootstrap.web import create_web

app = create_web()
