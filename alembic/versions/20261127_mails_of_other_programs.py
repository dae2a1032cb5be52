"""mails of other programs, API keys, roles and the audit log"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "4c1f7a92be30"
down_revision = "5e1d7a94c03b"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
NONE = sa.text("'{}'")


def text_list(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=NONE, nullable=False)


def when(name: str, *, given: bool = False) -> sa.Column[object]:
    default = NOW if given else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not given)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("start", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        text_list("domains"),
        text_list("origins"),
        sa.Column("test", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.Column("per_day", sa.Integer(), nullable=True),
        when("created_at", given=True),
        when("last_used_at"),
        when("expires_at"),
        when("revoked_at"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name=op.f("fk_api_keys_owner_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
    )
    op.create_table(
        "sending_limits",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sending_limits")),
    )
    op.create_table(
        "idempotent_requests",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("message_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        when("created_at", given=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_idempotent_requests_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name=op.f("pk_idempotent_requests")),
    )
    op.create_index("ix_idempotent_requests_created_at", "idempotent_requests", ["created_at"])
    op.create_table(
        "external_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("celery_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        when("created_at", given=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_external_tasks_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_tasks")),
        sa.UniqueConstraint("celery_id", name=op.f("uq_external_tasks_celery_id")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("to_addresses", postgresql.ARRAY(sa.Text()), nullable=False),
        text_list("cc_addresses"),
        text_list("bcc_addresses"),
        text_list("reply_to"),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("stream", sa.Text(), server_default="transactional", nullable=False),
        sa.Column("tags", postgresql.JSONB(), server_default=NONE, nullable=False),
        when("scheduled_at"),
        sa.Column("test", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("source", sa.Text(), server_default="http", nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        when("created_at", given=True),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_messages_key_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index("ix_messages_key_id", "messages", ["key_id", "id"])
    op.create_index("ix_messages_tags", "messages", ["tags"], postgresql_using="gin")
    op.create_table(
        "message_contents",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_message_contents_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_message_contents")),
    )
    op.create_table(
        "mail_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        when("at", given=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("code", sa.SmallInteger(), nullable=True),
        sa.Column("enhanced", sa.Text(), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mail_id"], ["mails.id"], name=op.f("fk_mail_events_mail_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_events")),
    )
    op.create_index("ix_mail_events_mail_id", "mail_events", ["mail_id", "id"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        when("at", given=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("target_id", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(), server_default=NONE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_actor_id", "audit_log", ["actor_id", "id"])
    op.create_index("ix_audit_log_target_id", "audit_log", ["target_id", "id"])

    # Defaults that are constants: no row of a large table is written anew. `number` gets its default after it is
    # there, for the same reason: rows from before have none.
    op.add_column("mails", sa.Column("message_id", sa.Uuid(), nullable=True))
    op.add_column("mails", sa.Column("stream", sa.Text(), server_default="transactional", nullable=False))
    op.add_column("mails", sa.Column("test", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("mails", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("mails", sa.Column("number", sa.BigInteger(), nullable=True))
    op.execute("CREATE SEQUENCE mails_number_seq OWNED BY mails.number")
    op.execute("ALTER TABLE mails ALTER COLUMN number SET DEFAULT nextval('mails_number_seq')")
    op.create_foreign_key(  # the next revision has it checked
        op.f("fk_mails_message_id"),
        "mails",
        "messages",
        ["message_id"],
        ["id"],
        ondelete="CASCADE",
        postgresql_not_valid=True,
    )
    op.add_column("accounts", sa.Column("role", sa.Text(), nullable=True))
    op.execute("UPDATE accounts SET role = 'operator' WHERE is_operator")


def downgrade() -> None:
    op.drop_column("accounts", "role")
    op.execute("DELETE FROM mails WHERE message_id IS NOT NULL")
    op.execute("UPDATE mails SET state = 'cancelled' WHERE state IN ('scheduled', 'suppressed')")
    op.drop_constraint(op.f("fk_mails_message_id"), "mails")
    for column in ("number", "language", "test", "stream", "message_id"):
        op.drop_column("mails", column)
    for table in (
        "audit_log",
        "mail_events",
        "message_contents",
        "messages",
        "external_tasks",
        "idempotent_requests",
        "sending_limits",
        "api_keys",
    ):
        op.drop_table(table)
