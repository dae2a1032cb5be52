"""A Mailroom for each test, on a PostgreSQL and a Valkey of its own: the fixture `mailroom`."""

pytest_plugins = ["mailroom.api.testing"]
