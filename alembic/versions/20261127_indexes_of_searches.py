"""indexes of the desk's searches, built while their tables are in use

None of those on `mails` takes part in claiming or accepting a mail: they hold mails that have ended, or that got a
server's refusal.
"""

import sqlalchemy as sa
from alembic import op

from mailroom.ops.indexes import VALID, drop, one_by_one

revision = "e05b9c3f7a81"
down_revision = "c7e1a4d95b20"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_mails_recipient": ("mails", "(reverse(lower(recipient)) text_pattern_ops) WHERE ended_at IS NOT NULL"),
    "ix_mails_code": ("mails", "(code, id) WHERE code IS NOT NULL AND state <> 'sent'"),
    "ix_mails_answer": (
        "mails",
        "USING gin (to_tsvector('simple'::regconfig, answer)) WHERE answer IS NOT NULL AND state <> 'sent'",
    ),
    "ix_messages_subject": ("messages", "USING gin (to_tsvector('simple'::regconfig, subject))"),
    "ix_attempts_retrying": ("attempts", "(id) WHERE outcome = 'retrying'"),
    "ix_tasks_background": ("tasks", "(id) WHERE name IS NOT NULL"),
    "ix_tasks_state": ("tasks", "(state, id) WHERE name IS NOT NULL"),
    "ix_accounts_email_prefix": ("accounts", "(email_key text_pattern_ops)"),
    "ix_accounts_email_suffix": ("accounts", "(reverse(email_key) text_pattern_ops)"),
    "ix_sign_ups_email_prefix": ("sign_ups", "(email_key text_pattern_ops)"),
    "ix_sign_ups_email_suffix": ("sign_ups", "(reverse(email_key) text_pattern_ops)"),
}


def upgrade() -> None:
    with one_by_one():
        for name, (table, definition) in INDEXES.items():
            if op.get_bind().scalar(VALID, {"name": name}) is False:
                drop(table, name)
            op.execute(sa.text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {definition}"))


def downgrade() -> None:
    with one_by_one():
        for name, (table, _) in INDEXES.items():
            drop(table, name)
