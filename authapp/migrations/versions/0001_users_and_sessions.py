"""Users and sessions.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    timestamp = sa.DateTime(timezone=True)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, server_default=sa.func.gen_random_uuid(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, server_default="member", nullable=False),
        sa.Column("status", sa.Text, server_default="active", nullable=False),
        sa.Column("email_verified_at", timestamp),
        sa.Column("created_at", timestamp, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.CheckConstraint("role IN ('member', 'admin')", name=op.f("ck_users_role")),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_users_status")),
    )
    op.create_index("uq_users_email", "users", [sa.text('lower(email COLLATE "C")')], unique=True)
    op.create_index(
        "ix_users_role", "users", ["role"], postgresql_where=sa.text("role != 'member'")
    )
    op.create_index(
        "ix_users_status", "users", ["status"], postgresql_where=sa.text("status != 'active'")
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, server_default=sa.func.gen_random_uuid(), nullable=False),
        sa.Column("token_hash", BYTEA, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("data", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("persistent", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("last_seen_at", timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", timestamp, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("user_agent", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_sessions_user_id_users", ondelete="CASCADE"
        ),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("users")
