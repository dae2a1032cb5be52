"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "c5f0a1b2d3e4"
down_revision = None
branch_labels = ("csv_import",)
depends_on = "9a99719015b5"  # Mailroom's first tables: rows here refer to accounts


def upgrade() -> None:
    op.create_table(
        "csv_import_imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("ticket", sa.Uuid(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("contacts", sa.Integer()),
        sa.Column("skipped", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name="fk_csv_import_imports_owner_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_csv_import_imports"),
        sa.UniqueConstraint("ticket", name="uq_csv_import_imports_ticket"),
    )
    op.create_index("ix_csv_import_imports_owner_id", "csv_import_imports", ["owner_id"])
    op.create_index("ix_csv_import_imports_created_at", "csv_import_imports", ["created_at"])
    op.create_table(
        "csv_import_pieces",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["csv_import_imports.id"],
            name="fk_csv_import_pieces_import_id_csv_import_imports",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name="pk_csv_import_pieces"),
    )
    op.create_table(
        "csv_import_contacts",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts.id"], name="fk_csv_import_contacts_owner_id_accounts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "email", name="pk_csv_import_contacts"),
    )


def downgrade() -> None:
    op.drop_table("csv_import_contacts")
    op.drop_table("csv_import_pieces")
    op.drop_table("csv_import_imports")
