"""Users in PostgreSQL."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg2.errors import UniqueViolation
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from authapp.domain.errors import EmailTaken, UserNotFound
from authapp.domain.users import Credentials, Role, Status, User, UserQuery, fold_email
from authapp.repositories.connections import Connections
from authapp.repositories.schema import UserRow

USER_COLUMNS = (
    UserRow.id,
    UserRow.name,
    UserRow.email,
    UserRow.role,
    UserRow.status,
    UserRow.email_verified_at,
    UserRow.created_at,
    UserRow.password_changed_at,
    UserRow.notify_sign_in,
    UserRow.second_factor_at,
    UserRow.language,
    UserRow.letters_language,
)
# Spelt as the indexes are, so that they are used.
FOLDED_EMAIL = func.lower(UserRow.email.collate("C"))


def to_user(row: Sequence[Any]) -> User:
    """The user in a row that begins with `USER_COLUMNS`."""
    user_id, name, email, role, status, *others = row
    return User(user_id, name, email, Role(role), Status(status), *others[: len(USER_COLUMNS) - 5])


def remaining(user_id: UUID | ColumnElement[UUID | None]) -> Select[UUID]:
    """The id of a user who is there, and stays until the transaction ends: for rows that refer to
    somebody who may be deleted at this very moment, which would be an error otherwise."""
    return (
        select(UserRow.id).where(UserRow.id == user_id).with_for_update(read=True, key_share=True)
    )


class SqlUserRepository:
    """Implements `authapp.domain.users.UserRepository`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(
        self, name: str, email: str, password_hash: str, letters_language: str | None = None
    ) -> User:
        # A race of two is decided by the index, without an error that would end the transaction.
        row = self._write(
            insert(UserRow)
            .values(
                name=name,
                email=email,
                password_hash=password_hash,
                letters_language=letters_language,
            )
            .on_conflict_do_nothing()
            .returning(*USER_COLUMNS)
        )
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

    def hold_unchanged(self, credentials: Credentials) -> bool:
        # Two may sign in at once, but whoever changes the password waits for both, or they for it.
        row = self._write(
            select(UserRow.id)
            .where(
                UserRow.id == credentials.user.id,
                UserRow.password_hash == credentials.password_hash,
                UserRow.status == Status.ACTIVE,
                UserRow.second_factor_at.is_not_distinct_from(credentials.user.second_factor_at),
            )
            .with_for_update(read=True)
        )
        return row is not None

    def rename(self, user_id: UUID, name: str) -> User:
        return self._change(user_id, name=name)

    def change_email(self, user_id: UUID, email: str) -> User:
        def work(connection: Connection) -> Row[Any] | None:
            # So that the transaction is still good for something when the address is taken.
            with connection.begin_nested():
                return connection.execute(changed).one_or_none()

        values = {"email": email, "email_verified_at": func.now()}
        changed = _change_of(user_id, values)
        try:
            return _changed(self._connections.inside(work))
        except IntegrityError as error:
            if isinstance(error.orig, UniqueViolation):
                raise EmailTaken from None
            raise

    def verify_email(self, user_id: UUID) -> User:
        return self._change(user_id, email_verified_at=func.now())

    def notify_sign_in(self, user_id: UUID, notify: bool) -> User:
        return self._change(user_id, notify_sign_in=notify)

    def choose_language(self, user_id: UUID, language: str | None) -> User:
        return self._change(user_id, language=language)

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        row = self._write(
            update(UserRow)
            .where(UserRow.id == user_id, UserRow.password_hash == old)
            .values(password_hash=new)
            .returning(UserRow.id)
        )
        return row is not None

    def change_password(self, user_id: UUID, old: str, new: str) -> User | None:
        # Held first, so that the time is told when sign-ins that are under way have ended:
        # `hold_unchanged`. An UPDATE alone would have it from before it began to wait for them.
        held = (
            select(UserRow.id)
            .where(UserRow.id == user_id, UserRow.password_hash == old)
            .with_for_update(key_share=True)
            .subquery()
        )
        row = self._write(
            update(UserRow)
            .where(UserRow.id == held.c.id)
            .values(password_hash=new, password_changed_at=func.clock_timestamp())
            .returning(*USER_COLUMNS)
        )
        return to_user(row) if row else None

    def delete(self, user_id: UUID) -> bool:
        row = self._write(delete(UserRow).where(UserRow.id == user_id).returning(UserRow.id))
        return row is not None

    def hold(self, user_id: UUID) -> User | None:
        # A sign-in that is under way holds the row as well, and is waited for: `hold_unchanged`.
        # Rows that refer to the user, as those of sessions and events do, can be added meanwhile.
        statement = select(*USER_COLUMNS).where(UserRow.id == user_id)
        row = self._write(statement.with_for_update(key_share=True))
        return to_user(row) if row else None

    def hold_admins(self) -> Collection[UUID]:
        # In one order, so that no two wait for each other; and such that rows that refer to an
        # administrator, as those of events do, can be added meanwhile.
        statement = (
            select(UserRow.id)
            .where(UserRow.role == Role.ADMIN, UserRow.status == Status.ACTIVE)
            .order_by(UserRow.id)
            .with_for_update(key_share=True)
        )
        return self._connections.inside(lambda c: c.execute(statement).scalars().all())

    def _change(self, user_id: UUID, **values: Any) -> User:
        return _changed(self._write(_change_of(user_id, values)))

    def _credentials_where(self, condition: ColumnElement[bool]) -> Credentials | None:
        row = self._read(select(*USER_COLUMNS, UserRow.password_hash).where(condition))
        return Credentials(to_user(row), row.password_hash) if row else None

    def _user_where(self, condition: ColumnElement[bool]) -> User | None:
        row = self._read(select(*USER_COLUMNS).where(condition))
        return to_user(row) if row else None

    def _read(self, statement: Executable) -> Row[Any] | None:
        return self._connections.beside(lambda c: c.execute(statement).one_or_none())

    def _write(self, statement: Executable) -> Row[Any] | None:
        return self._connections.inside(lambda c: c.execute(statement).one_or_none())


class SqlUserDirectory:
    """Implements `authapp.domain.users.UserDirectory`.

    A page is a stretch of an index in its order, however many users there are: of the unique one
    over all addresses, or of one over the addresses of a rare role or status.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def page(self, query: UserQuery, *, limit: int, after: str | None = None) -> Sequence[User]:
        statement = _matching(query).order_by(FOLDED_EMAIL).limit(limit)
        if after is not None:
            statement = statement.where(fold_email(after) < FOLDED_EMAIL)
        rows = self._connections.beside(lambda c: c.execute(statement).all())
        return [to_user(row) for row in rows]

    def set_status(self, user_id: UUID, status: Status) -> User:
        return self._change(user_id, status=status)

    def set_role(self, user_id: UUID, role: Role) -> User:
        return self._change(user_id, role=role)

    def _change(self, user_id: UUID, **values: Any) -> User:
        statement = _change_of(user_id, values)
        return _changed(self._connections.inside(lambda c: c.execute(statement).one_or_none()))


def _matching(query: UserQuery) -> Select[*tuple[Any, ...]]:
    statement: Select[*tuple[Any, ...]] = select(*USER_COLUMNS)
    if query.email:
        literally = re.sub(r"([\\%_])", r"\\\1", fold_email(query.email))
        statement = statement.where(FOLDED_EMAIL.like(f"{literally}%"))
    if query.role is not None:
        statement = statement.where(UserRow.role == query.role)
    if query.status is not None:
        statement = statement.where(UserRow.status == query.status)
    return statement


def _change_of(user_id: UUID, values: Mapping[str, Any]) -> Executable:
    changed = update(UserRow).where(UserRow.id == user_id).values(values)
    return changed.returning(*USER_COLUMNS)


def _changed(row: Row[Any] | None) -> User:
    if row is None:
        raise UserNotFound
    return to_user(row)


def _has_email(email: str) -> ColumnElement[bool]:
    return func.lower(literal(email).collate("C")) == FOLDED_EMAIL
