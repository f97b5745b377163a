"""Users in PostgreSQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as DbSession

from authapp.domain.errors import EmailTaken, UserNotFound
from authapp.domain.users import Credentials, Role, Status, User
from authapp.repositories.schema import UserRow

USER_COLUMNS = (
    UserRow.id,
    UserRow.name,
    UserRow.email,
    UserRow.role,
    UserRow.status,
    UserRow.email_verified_at,
    UserRow.created_at,
)


def to_user(row: Sequence[Any]) -> User:
    """The user in a row that begins with `USER_COLUMNS`."""
    user_id, name, email, role, status, email_verified_at, created_at, *_ = row
    return User(user_id, name, email, Role(role), Status(status), email_verified_at, created_at)


class SqlUserRepository:
    """Implements `authapp.domain.users.UserRepository` on the request's `dbsession`."""

    def __init__(self, dbsession: DbSession) -> None:
        self._dbsession = dbsession

    def add(self, name: str, email: str, password_hash: str) -> User:
        # A race of two is decided by the index, without an error that would end the transaction.
        statement = (
            insert(UserRow)
            .values(name=name, email=email, password_hash=password_hash)
            .on_conflict_do_nothing()
            .returning(*USER_COLUMNS)
        )
        row = self._dbsession.execute(statement).one_or_none()
        if row is None:
            raise EmailTaken
        return to_user(row)

    def by_id(self, user_id: UUID) -> User | None:
        return self._user_where(UserRow.id == user_id)

    def by_email(self, email: str) -> User | None:
        return self._user_where(_has_email(email))

    def credentials(self, email: str) -> Credentials | None:
        return self._credentials_where(_has_email(email))

    def credentials_of(self, user_id: UUID) -> Credentials | None:
        return self._credentials_where(UserRow.id == user_id)

    def confirm(self, credentials: Credentials) -> bool:
        # Two may sign in at once, but whoever changes the password waits for both, or they for it.
        statement = (
            select(UserRow.id)
            .where(
                UserRow.id == credentials.user.id,
                UserRow.password_hash == credentials.password_hash,
                UserRow.status == Status.ACTIVE,
            )
            .with_for_update(read=True)
        )
        return self._dbsession.execute(statement).one_or_none() is not None

    def rename(self, user_id: UUID, name: str) -> User:
        statement = (
            update(UserRow)
            .where(UserRow.id == user_id)
            .values(name=name)
            .returning(*USER_COLUMNS)
            .execution_options(synchronize_session=False)
        )
        row = self._dbsession.execute(statement).one_or_none()
        if row is None:
            raise UserNotFound
        return to_user(row)

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        statement = (
            update(UserRow)
            .where(UserRow.id == user_id, UserRow.password_hash == old)
            .values(password_hash=new)
            .returning(UserRow.id)
            .execution_options(synchronize_session=False)
        )
        return self._dbsession.execute(statement).one_or_none() is not None

    def delete(self, user_id: UUID) -> None:
        statement = (
            delete(UserRow)
            .where(UserRow.id == user_id)
            .execution_options(synchronize_session=False)
        )
        self._dbsession.execute(statement)

    def _credentials_where(self, condition: ColumnElement[bool]) -> Credentials | None:
        statement = select(*USER_COLUMNS, UserRow.password_hash).where(condition)
        row = self._dbsession.execute(statement).one_or_none()
        return Credentials(to_user(row), row.password_hash) if row else None

    def _user_where(self, condition: ColumnElement[bool]) -> User | None:
        row = self._dbsession.execute(select(*USER_COLUMNS).where(condition)).one_or_none()
        return to_user(row) if row else None


def _has_email(email: str) -> ColumnElement[bool]:
    """Spelt as the unique index is, so that it is used."""
    return func.lower(UserRow.email.collate("C")) == func.lower(literal(email).collate("C"))
