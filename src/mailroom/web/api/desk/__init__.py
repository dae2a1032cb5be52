"""`/api/v1/desk`: the operators' desk for programs. One file a subject, as the pages have it."""

from mailroom.web.api.desk import alerts, audit, failures, invitations, mails, overview, people, tasks, workers

ROOMS = (overview, workers, alerts, failures, mails, tasks, people, invitations, audit)
"""What the application registers."""
