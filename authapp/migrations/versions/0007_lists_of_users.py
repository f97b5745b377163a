"""Lists of users by role and status, in the order of their addresses.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    folded_email = sa.text('lower(email COLLATE "C")')
    op.create_index(
        "ix_users_email_by_role",
        "users",
        [folded_email],
        postgresql_where=sa.text("role != 'member'"),
    )
    op.create_index(
        "ix_users_email_by_status",
        "users",
        [folded_email],
        postgresql_where=sa.text("status != 'active'"),
    )
    op.drop_index("ix_users_role", "users")
    op.drop_index("ix_users_status", "users")


def downgrade() -> None:
    op.create_index(
        "ix_users_role", "users", ["role"], postgresql_where=sa.text("role != 'member'")
    )
    op.create_index(
        "ix_users_status", "users", ["status"], postgresql_where=sa.text("status != 'active'")
    )
    op.drop_index("ix_users_email_by_role", "users")
    op.drop_index("ix_users_email_by_status", "users")
