"""webhooks that a test key made before test keys were kept to their own mails are kept to them, too"""

import sqlalchemy as sa
from alembic import op

revision = "c1f4806be2d7"
down_revision = "d41f8b6a2c97"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        sa.text(
            "update webhook_endpoints set own_only = true from api_keys"
            " where key_id = api_keys.id and test and not own_only"
        )
    )


def downgrade() -> None:
    """Leave them: whoever made them was never meant to be told of the mails of others."""
