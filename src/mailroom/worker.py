"""The door for Celery: `celery -A mailroom.worker worker`."""

from mailroom.bootstrap.worker import create_worker

app = create_worker()
