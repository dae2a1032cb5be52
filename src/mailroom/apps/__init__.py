"""Apps: packages of other people that add mails, tasks, pages and tables to Mailroom (`docs/APPS.md`)."""
