"""Second factors in PostgreSQL."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from authapp.domain.errors import UserNotFound
from authapp.domain.second_factor import SecondFactor
from authapp.domain.users import User
from authapp.repositories.connections import Connections
from authapp.repositories.schema import RecoveryCodeRow, SecondFactorRow, UserRow
from authapp.repositories.users import USER_COLUMNS, to_user


class SqlSecondFactors:
    """Implements `authapp.domain.second_factor.SecondFactorRepository`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def find(self, user_id: UUID) -> SecondFactor | None:
        row = self._read(
            select(SecondFactorRow.sealed_secret, SecondFactorRow.last_step).where(
                SecondFactorRow.user_id == user_id
            )
        )
        return SecondFactor(user_id, bytes(row.sealed_secret), row.last_step) if row else None

    def begin(self, user_id: UUID, sealed_secret: bytes) -> None:
        new = insert(SecondFactorRow).values(user_id=user_id, sealed_secret=sealed_secret)
        self._execute(
            new.on_conflict_do_update(
                index_elements=[SecondFactorRow.user_id],
                set_={"sealed_secret": sealed_secret, "last_step": None},
            )
        )

    def activate(self, user_id: UUID) -> User:
        return self._set_second_factor_at(user_id, func.now())

    def use(self, factor: SecondFactor, step: int, sealed_secret: bytes) -> bool:
        # Of two at once, the second waits for the first to commit, and then finds a later step.
        row = self._write(
            update(SecondFactorRow)
            .where(
                SecondFactorRow.user_id == factor.user_id,
                or_(SecondFactorRow.last_step.is_(None), SecondFactorRow.last_step < step),
            )
            .values(last_step=step, sealed_secret=sealed_secret)
            .returning(SecondFactorRow.user_id)
        )
        return row is not None

    def remove(self, user_id: UUID) -> User:
        user = self._set_second_factor_at(user_id, None)
        self._execute(delete(SecondFactorRow).where(SecondFactorRow.user_id == user_id))
        self._execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
        return user

    def replace_recovery_codes(self, user_id: UUID, code_hashes: Sequence[bytes]) -> None:
        self._execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
        rows = [{"user_id": user_id, "code_hash": code_hash} for code_hash in code_hashes]
        self._execute(insert(RecoveryCodeRow).values(rows))

    def has_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        found = select(RecoveryCodeRow.user_id).where(*_is(user_id, code_hash))
        return self._read(found) is not None

    def use_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        # Of two at once, the second waits for the first to commit, and then finds nothing.
        used = delete(RecoveryCodeRow).where(*_is(user_id, code_hash))
        return self._write(used.returning(RecoveryCodeRow.user_id)) is not None

    def count_recovery_codes(self, user_id: UUID) -> int:
        statement = select(func.count()).where(RecoveryCodeRow.user_id == user_id)
        return self._connections.beside(lambda c: c.execute(statement).scalar_one())

    def _set_second_factor_at(self, user_id: UUID, value: Any) -> User:
        changed = update(UserRow).where(UserRow.id == user_id).values(second_factor_at=value)
        row = self._write(changed.returning(*USER_COLUMNS))
        if row is None:
            raise UserNotFound
        return to_user(row)

    def _read(self, statement: Executable) -> Row[Any] | None:
        return self._connections.beside(lambda c: c.execute(statement).one_or_none())

    def _write(self, statement: Executable) -> Row[Any] | None:
        return self._connections.inside(lambda c: c.execute(statement).one_or_none())

    def _execute(self, statement: Executable) -> None:
        self._connections.inside(lambda c: c.execute(statement))


def _is(user_id: UUID, code_hash: bytes) -> tuple[Any, ...]:
    return RecoveryCodeRow.user_id == user_id, RecoveryCodeRow.code_hash == code_hash
