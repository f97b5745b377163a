"""The language that a person has chosen, and that of letters until then.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("language", sa.Text))
    op.add_column("users", sa.Column("letters_language", sa.Text))


def downgrade() -> None:
    op.drop_column("users", "letters_language")
    op.drop_column("users", "language")
