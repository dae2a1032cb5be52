"""counters, processes, alerts and pauses; where a trace began"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "a71c5e9032bd"
down_revision = "9d41c7ab60f3"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
EMPTY = sa.text("'{}'")


def _time(name: str, *, nullable: bool = True, **options: object) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, **options)  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_table(
        "statistics",
        sa.Column("span", sa.Text(), nullable=False),
        _time("at", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("process", sa.Text(), server_default="", nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.Double(), server_default="0", nullable=False),
        sa.Column("buckets", postgresql.ARRAY(sa.SmallInteger()), server_default=EMPTY, nullable=False),
        sa.Column("counts", postgresql.ARRAY(sa.BigInteger()), server_default=EMPTY, nullable=False),
        sa.PrimaryKeyConstraint("span", "at", "name", "label", "process", name=op.f("pk_statistics")),
    )
    op.create_table(
        "statistics_rolled",
        sa.Column("span", sa.Text(), nullable=False),
        _time("until", nullable=False),
        sa.PrimaryKeyConstraint("span", name=op.f("pk_statistics_rolled")),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        _time("started_at", nullable=False, server_default=NOW),
        _time("seen_at", nullable=False, server_default=NOW),
        _time("ended_at"),
        sa.Column("wish", sa.Text(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), server_default=EMPTY, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_processes")),
    )
    op.create_index("ix_processes_started_at", "processes", ["started_at"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("facts", postgresql.JSONB(), server_default=EMPTY, nullable=False),
        _time("began_at", nullable=False, server_default=NOW),
        _time("fired_at"),
        _time("good_since"),
        _time("ended_at"),
        _time("telling_until"),
        _time("told_at"),
        _time("told_end_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "uq_alerts_rule_subject",
        "alerts",
        ["rule", "subject"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_alerts_began_at", "alerts", ["began_at"])
    op.create_table(
        "alert_silences",
        sa.Column("rule", sa.Text(), nullable=False),
        _time("until", nullable=False),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_alert_silences")),
    )
    op.create_table(
        "pauses",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        _time("since", nullable=False, server_default=NOW),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("what", "name", name=op.f("pk_pauses")),
    )
    op.add_column("mails", sa.Column("traceparent", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("mails", "traceparent")
    op.drop_table("pauses")
    op.drop_table("alert_silences")
    op.drop_table("alerts")
    op.drop_table("processes")
    op.drop_table("statistics_rolled")
    op.drop_table("statistics")
