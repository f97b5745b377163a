"""Lists of users by role and status, in the order of their addresses.

Revision ID: 0007
Revises: 0006
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


FOLDED_EMAIL = sa.text('lower(email COLLATE "C")')
IS_RARE_ROLE = sa.text("role != 'member'")
IS_RARE_STATUS = sa.text("status != 'active'")


def upgrade() -> None:
    replace_index("ix_users_email_by_role", [FOLDED_EMAIL], IS_RARE_ROLE, "ix_users_role")
    replace_index("ix_users_email_by_status", [FOLDED_EMAIL], IS_RARE_STATUS, "ix_users_status")


def downgrade() -> None:
    replace_index("ix_users_role", ["role"], IS_RARE_ROLE, "ix_users_email_by_role")
    replace_index("ix_users_status", ["status"], IS_RARE_STATUS, "ix_users_email_by_status")


def replace_index(new: str, columns: list[Any], where: sa.TextClause, old: str) -> None:
    """While people sign in: nobody is kept from writing to the table.

    That takes more than one transaction. What a run that broke off has left behind, which may be
    an index that is not valid, is cleared away first, so that it can be run again.
    """
    with op.get_context().autocommit_block():
        drop_index(new)
        op.create_index(new, "users", columns, postgresql_where=where, postgresql_concurrently=True)
        drop_index(old)


def drop_index(name: str) -> None:
    op.drop_index(name, "users", postgresql_concurrently=True, if_exists=True)
