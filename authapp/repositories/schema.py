"""The tables, under one naming convention, so that every constraint can be told by its name."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
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
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's way to declare it.
        str: Text,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
    }


def _one_of(column: str, choices: type[Role] | type[Status]) -> CheckConstraint:
    listed = ", ".join(f"'{choice}'" for choice in choices)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    name: Mapped[str]
    email: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str] = mapped_column(server_default=Role.MEMBER)
    status: Mapped[str] = mapped_column(server_default=Status.ACTIVE)
    email_verified_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Not when the same password was hashed anew.
    password_changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Whether a mail tells of a sign-in from a browser that is new to the account.
    notify_sign_in: Mapped[bool] = mapped_column(server_default=text("true"))
    # Null while the password is the only factor. Here, so that it is loaded with the session.
    second_factor_at: Mapped[datetime | None]
    # Of pages and letters; null is whatever the browser asks for.
    language: Mapped[str | None]
    # Of letters until one is chosen.
    letters_language: Mapped[str | None]

    __table_args__ = (
        # Folds A to Z and nothing else, whatever the database's locale: `fold_email`.
        Index("uq_users_email", text('lower(email COLLATE "C")'), unique=True),
        _one_of("role", Role),
        _one_of("status", Status),
        # The rare ones are asked for; an index over all members would serve nobody. In the order
        # in which they are listed, so that a page of them is a stretch of the index.
        Index(
            "ix_users_email_by_role",
            text('lower(email COLLATE "C")'),
            postgresql_where=text(f"role != '{Role.MEMBER}'"),
        ),
        Index(
            "ix_users_email_by_status",
            text('lower(email COLLATE "C")'),
            postgresql_where=text(f"status != '{Status.ACTIVE}'"),
        ),
    )


class SessionRow(Base):
    __table__ = sessions_table(
        Base.metadata,
        # For the sessions of one user, and for the cascade when the user is deleted.
        Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    )


def _of_a_user() -> Mapped[UUID]:
    """A column for what belongs to a user, and goes when the user is deleted."""
    return mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class TokenRow(Base):
    """A token that was sent by mail, while it is good."""

    __tablename__ = "tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    user_id: Mapped[UUID] = _of_a_user()
    email: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LetterRow(Base):
    """A letter that has not been sent yet, or never could be."""

    __tablename__ = "outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    kind: Mapped[str]
    recipient: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    params: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    # Null once it was given up.
    due_at: Mapped[datetime | None] = mapped_column(server_default=func.now(), index=True)
    error: Mapped[str | None]


class EventRow(Base):
    """A security event."""

    __tablename__ = "security_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # No foreign key: deleting a user would have to look through all events for it.
    by_id: Mapped[UUID | None]
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))

    __table_args__ = (
        # For one account's events, the newest first, and for the cascade.
        Index(None, "user_id", "id"),
    )


class ThrottleRow(Base):
    """How often something was tried; `key` is a digest of what and by whom."""

    __tablename__ = "throttles"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    count: Mapped[int]
    resets_at: Mapped[datetime]


class SecondFactorRow(Base):
    """A secret shared with somebody's authenticator, sealed. It counts once `users` says so."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    sealed_secret: Mapped[bytes]
    # The number of the time step of the code that was used last: none is good twice.
    last_step: Mapped[int | None] = mapped_column(BigInteger)


class RecoveryCodeRow(Base):
    """A recovery code that has not been used."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
