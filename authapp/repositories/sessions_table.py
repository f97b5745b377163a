"""The sessions table, for this application's metadata and for that of any other."""

from typing import Any

from sqlalchemy import Boolean, Column, DateTime, MetaData, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB
from sqlalchemy.types import NullType


def sessions_table(
    metadata: MetaData, user_id: Column[Any] | None = None, *, name: str = "sessions"
) -> Table:
    """Declares the table in `metadata`, from which Alembic's autogenerate makes its migration.

    `user_id` is a nullable column for the key of the application's users, of its type and with a
    foreign key as it pleases. Without one, the column takes what values it is given, and must
    have been declared in some other place.
    """
    timestamp = DateTime(timezone=True)
    if user_id is None:
        user_id = Column("user_id", NullType)
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
        Column("token_hash", BYTEA, nullable=False, unique=True),
        user_id,
        Column("data", JSONB, nullable=False, server_default=text("'{}'")),
        Column("persistent", Boolean, nullable=False, server_default=text("true")),
        Column("created_at", timestamp, nullable=False, server_default=func.now()),
        # Not indexed, so that writing it down is a heap-only update that touches no index.
        Column("last_seen_at", timestamp, nullable=False, server_default=func.now()),
        # For the purge. It changes only when the session starts or rotates.
        Column("expires_at", timestamp, nullable=False, index=True),
        Column("address", Text),
        Column("user_agent", Text),
        # Room on each page for the new versions of rows, which heap-only updates need.
        postgresql_with={"fillfactor": "85"},
    )
