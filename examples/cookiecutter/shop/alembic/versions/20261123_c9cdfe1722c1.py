"""The carts.

Revision ID: c9cdfe1722c1
Revises: 7690742a3b8a
Create Date: 2026-11-23
"""

import sqlalchemy as sa
from alembic import op

revision = "c9cdfe1722c1"
down_revision = "7690742a3b8a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cart_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_cart_items_session_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cart_items")),
        sa.UniqueConstraint("session_id", "product", name=op.f("uq_cart_items_session_id")),
    )


def downgrade() -> None:
    op.drop_table("cart_items")
