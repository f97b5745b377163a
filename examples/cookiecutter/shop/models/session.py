"""The table of the web sessions, declared here so that Alembic finds it in this metadata."""

from authapp.repositories.sessions_table import sessions_table
from sqlalchemy import Column, ForeignKey

from shop.models.meta import Base

SESSIONS = sessions_table(
    Base.metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), index=True),
)
