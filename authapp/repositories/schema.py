"""The tables, under one naming convention, so that every constraint can be told by its name."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from authapp.domain.users import Role, Status
from authapp.repositories.sessions_table import sessions_table

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


def _one_of(column: str, choices: type[Role] | type[Status]) -> CheckConstraint:
    listed = ", ".join(f"'{choice}'" for choice in choices)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text, server_default=Role.MEMBER)
    status: Mapped[str] = mapped_column(Text, server_default=Status.ACTIVE)
    email_verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        # Folds A to Z and nothing else, whatever the database's locale: `fold_email`.
        Index("uq_users_email", text('lower(email COLLATE "C")'), unique=True),
        _one_of("role", Role),
        _one_of("status", Status),
        # The rare ones are asked for; an index over all members would serve nobody.
        Index("ix_users_role", "role", postgresql_where=text(f"role != '{Role.MEMBER}'")),
        Index("ix_users_status", "status", postgresql_where=text(f"status != '{Status.ACTIVE}'")),
    )


class SessionRow(Base):
    __table__ = sessions_table(
        Base.metadata,
        # For the sessions of one user, and for the cascade when the user is deleted.
        Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    )
