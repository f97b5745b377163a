"""Tokens that were sent by mail, in PostgreSQL. All deadlines are by the database's clock."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, literal, select

from authapp.domain.tokens import Purpose, Token
from authapp.repositories.batches import delete_batch
from authapp.repositories.connections import Connections
from authapp.repositories.schema import TokenRow
from authapp.repositories.users import remaining


class SqlTokenRepository:
    """Implements `authapp.domain.tokens.TokenRepository`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, token_hash: bytes, token: Token, lifetime: timedelta) -> None:
        values: dict[Any, Any] = {
            TokenRow.token_hash: literal(token_hash),
            TokenRow.purpose: literal(token.purpose),
            TokenRow.user_id: literal(token.user_id),
            TokenRow.email: literal(token.email),
            TokenRow.expires_at: func.now() + literal(lifetime),
        }
        row = select(*values.values()).where(remaining(token.user_id).exists())
        statement = insert(TokenRow).from_select(list(values), row)
        self._connections.inside(lambda c: c.execute(statement))

    def find(self, token_hash: bytes) -> Token | None:
        statement = select(TokenRow.purpose, TokenRow.user_id, TokenRow.email).where(
            TokenRow.token_hash == token_hash, TokenRow.expires_at > func.now()
        )
        row = self._connections.beside(lambda c: c.execute(statement).one_or_none())
        return Token(Purpose(row.purpose), row.user_id, row.email) if row else None

    def use(self, token_hash: bytes) -> bool:
        # Of two at once, the second waits for the first to commit, and then finds nothing.
        statement = delete(TokenRow).where(
            TokenRow.token_hash == token_hash, TokenRow.expires_at > func.now()
        )
        return self._connections.inside(lambda c: c.execute(statement)).rowcount == 1

    def revoke(self, user_id: UUID, *purposes: Purpose) -> None:
        statement = delete(TokenRow).where(TokenRow.user_id == user_id)
        if purposes:
            statement = statement.where(TokenRow.purpose.in_(purposes))
        self._connections.inside(lambda c: c.execute(statement))

    def purge(self, batch_size: int) -> int:
        is_over = TokenRow.expires_at <= func.now()
        statement = delete_batch(TokenRow.token_hash, is_over, batch_size)
        return self._connections.outside(lambda c: c.execute(statement)).rowcount
