"""`/api/v1/desk`: the operators' desk for programs. One file for each subject, as for the pages."""

from mailroom.web.api.desk import alerts, audit, failures, invitations, mails, overview, people, tasks, workers

ROOMS = (overview, workers, alerts, failures, mails, tasks, people, invitations, audit)
"""The modules whose blueprints the application registers."""
