"""The door for Celery: `celery -A mailroom.worker worker`."""

from mailroom import bootstrap

app = bootstrap.worker()
