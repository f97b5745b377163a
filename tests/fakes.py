"""Stand-ins for the repositories, in memory; `tests/contracts` holds them to what the real ones do.

They have no transactions: what is written is there at once.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from authapp.domain.errors import EmailTaken, UserNotFound
from authapp.domain.passwords import PasswordHasher
from authapp.domain.sessions import (
    Client,
    DataChange,
    NewSession,
    Outcome,
    OwnerGone,
    Rotation,
    SessionRecord,
)
from authapp.domain.users import Credentials, Role, Status, User, UserQuery, fold_email
from authapp.settings import SessionSettings


class InMemoryUserRepository:
    """Implements `authapp.domain.users.UserRepository`."""

    def __init__(self) -> None:
        self._accounts: dict[UUID, Credentials] = {}

    def add(
        self, name: str, email: str, password_hash: str, letters_language: str | None = None
    ) -> User:
        if self.credentials(email) is not None:
            raise EmailTaken
        now = datetime.now(UTC)
        user = User(
            id=uuid4(),
            name=name,
            email=email,
            role=Role.MEMBER,
            status=Status.ACTIVE,
            email_verified_at=None,
            created_at=now,
            password_changed_at=now,
            letters_language=letters_language,
        )
        self._accounts[user.id] = Credentials(user, password_hash)
        return user

    def by_id(self, user_id: UUID) -> User | None:
        found = self._accounts.get(user_id)
        return found.user if found else None

    def by_email(self, email: str) -> User | None:
        found = self.credentials(email)
        return found.user if found else None

    def credentials(self, email: str) -> Credentials | None:
        for account in self._accounts.values():
            if fold_email(account.user.email) == fold_email(email):
                return account
        return None

    def credentials_of(self, user_id: UUID) -> Credentials | None:
        return self._accounts.get(user_id)

    def hold_unchanged(self, credentials: Credentials) -> bool:
        found = self._accounts.get(credentials.user.id)
        return (
            found is not None
            and found.password_hash == credentials.password_hash
            and found.user.second_factor_at == credentials.user.second_factor_at
            and found.user.is_active
        )

    def rename(self, user_id: UUID, name: str) -> User:
        return self._alter(user_id, name=name)

    def change_email(self, user_id: UUID, email: str) -> User:
        holder = self.by_email(email)
        if holder is not None and holder.id != user_id and user_id in self._accounts:
            raise EmailTaken
        return self._alter(user_id, email=email, email_verified_at=datetime.now(UTC))

    def verify_email(self, user_id: UUID) -> User:
        return self._alter(user_id, email_verified_at=datetime.now(UTC))

    def notify_sign_in(self, user_id: UUID, notify: bool) -> User:
        return self._alter(user_id, notify_sign_in=notify)

    def choose_language(self, user_id: UUID, language: str | None) -> User:
        return self._alter(user_id, language=language)

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        account = self._accounts.get(user_id)
        if account is None or account.password_hash != old:
            return False
        self._accounts[user_id] = replace(account, password_hash=new)
        return True

    def change_password(self, user_id: UUID, old: str, new: str) -> User | None:
        if not InMemoryUserRepository.replace_password_hash(self, user_id, old, new):
            return None
        return self._alter(user_id, password_changed_at=datetime.now(UTC))

    def disable(self, user_id: UUID) -> User:
        """What an operator does; not of the port."""
        return self._alter(user_id, status=Status.DISABLED)

    def set_second_factor(self, user_id: UUID, moment: datetime | None) -> User:
        """What the repository of second factors does; not of the port."""
        return self._alter(user_id, second_factor_at=moment)

    def delete(self, user_id: UUID) -> bool:
        return self._accounts.pop(user_id, None) is not None

    def hold(self, user_id: UUID) -> User | None:
        return self.by_id(user_id)

    def hold_admins(self) -> Collection[UUID]:
        users = [account.user for account in self._accounts.values()]
        return [user.id for user in users if user.role is Role.ADMIN and user.is_active]

    def _alter(self, user_id: UUID, **changes: Any) -> User:
        account = self._accounts.get(user_id)
        if account is None:
            raise UserNotFound
        self._accounts[user_id] = replace(account, user=replace(account.user, **changes))
        return self._accounts[user_id].user


class InMemoryUserDirectory:
    """Implements `authapp.domain.users.UserDirectory`, over the users of a repository."""

    def __init__(self, users: InMemoryUserRepository) -> None:
        self._users = users

    def page(self, query: UserQuery, *, limit: int, after: str | None = None) -> Sequence[User]:
        def is_wanted(user: User) -> bool:
            return (
                fold_email(user.email).startswith(fold_email(query.email))
                and query.role in (None, user.role)
                and query.status in (None, user.status)
                and (after is None or order(user) > fold_email(after).encode())
            )

        def order(user: User) -> bytes:
            return fold_email(user.email).encode()

        users = [account.user for account in self._users._accounts.values()]
        return sorted(filter(is_wanted, users), key=order)[:limit]

    def set_status(self, user_id: UUID, status: Status) -> User:
        return self._changed(user_id, status=status)

    def set_role(self, user_id: UUID, role: Role) -> User:
        return self._changed(user_id, role=role)

    def _changed(self, user_id: UUID, **changes: Any) -> User:
        if self._users.by_id(user_id) is None:
            raise UserNotFound
        return self._users._alter(user_id, **changes)


class RecordingHasher:
    """A real hasher that writes down in `events` what it was asked to do: "hash", "verify"."""

    def __init__(self, hasher: PasswordHasher, events: list[str]) -> None:
        self._hasher = hasher
        self._events = events

    def hash(self, password: str) -> str:
        self._events.append("hash")
        return self._hasher.hash(password)

    def verify(self, password: str, password_hash: str | None) -> bool:
        self._events.append("verify")
        return self._hasher.verify(password, password_hash)

    def needs_upgrade(self, password_hash: str) -> bool:
        return self._hasher.needs_upgrade(password_hash)


@dataclass(frozen=True)
class StoredSession:
    """A row of the sessions table; `data` maps keys to JSON texts."""

    id: UUID
    token_hash: bytes
    user_id: Any
    data: dict[str, str]
    persistent: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    client: Client


@dataclass
class InMemorySessionStore:
    """Implements `authapp.domain.sessions.SessionStore` for any number of requests.

    `owner_of` gives the user of a key, and None where there is none; without it, every key is
    somebody's. `calls` has the names of the methods that were called. Time stands still but for
    `let_pass`.
    """

    settings: SessionSettings
    owner_of: Callable[[Any], Any] = lambda user_id: f"the user {user_id}"
    rows: dict[UUID, StoredSession] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def let_pass(self, duration: timedelta) -> None:
        self.now += duration

    def load(self, token_hashes: Sequence[bytes], *, lock: bool) -> SessionRecord | None:
        self.calls.append("load and lock" if lock else "load")
        found = [
            row
            for row in self._live_rows()
            if row.token_hash in token_hashes and not self._is_idle(row)
        ]
        return self._to_record(max(found, key=lambda row: row.expires_at)) if found else None

    def refresh(self, session_id: UUID) -> SessionRecord | None:
        self.calls.append("refresh")
        found = [row for row in self._live_rows() if row.id == session_id]
        return self._to_record(found[0]) if found else None

    def touch(self, record: SessionRecord) -> None:
        self.calls.append("touch")
        row = self.rows.get(record.id)
        if row is not None and self._is_touch_due(row):
            expires_at = self._new_deadline() if self.settings.rolling else row.expires_at
            self.rows[row.id] = replace(row, last_seen_at=self.now, expires_at=expires_at)

    def insert(self, session: NewSession) -> bool:
        self.calls.append("insert")
        self._check_owner(session.user_id)
        if any(row.token_hash == session.token_hash for row in self.rows.values()):
            return False
        self.rows[session.id] = StoredSession(
            id=session.id,
            token_hash=session.token_hash,
            user_id=session.user_id,
            data=dict(session.data),
            persistent=session.persistent,
            created_at=self.now,
            last_seen_at=self.now,
            expires_at=self._new_deadline(),
            client=session.client,
        )
        return True

    def update(
        self, record: SessionRecord, change: DataChange, rotation: Rotation | None
    ) -> Outcome:
        self.calls.append("update")
        row = next((row for row in self._live_rows() if row.id == record.id), None)
        if row is None:
            return Outcome.ENDED
        is_renewed = row.token_hash != record.token_hash
        if row.user_id != record.user_id or (is_renewed and rotation is not None):
            return Outcome.SUPERSEDED
        if any(not _is_same(row.data.get(key), text) for key, text in change.before.items()):
            return Outcome.SUPERSEDED if is_renewed else Outcome.CONFLICT
        changed = {**row.data, **change.after}
        data = {key: text for key, text in changed.items() if text is not None}
        row = replace(row, data=data)
        if rotation is not None:
            self._check_owner(rotation.user_id)
            row = replace(
                row,
                created_at=row.created_at if row.user_id == rotation.user_id else self.now,
                last_seen_at=self.now,
                token_hash=rotation.token_hash,
                user_id=rotation.user_id,
                persistent=rotation.persistent,
                client=rotation.client,
                expires_at=self._new_deadline(),
            )
        self.rows[row.id] = row
        return Outcome.WRITTEN

    def delete(self, record: SessionRecord) -> Outcome:
        self.calls.append("delete")
        return Outcome.WRITTEN if self.rows.pop(record.id, None) else Outcome.ENDED

    def apart(self) -> "InMemorySessionStore":
        return self

    def _new_deadline(self) -> datetime:
        return self.now + self.settings.lifetime

    def _live_rows(self) -> list[StoredSession]:
        # Sessions go with their users, as by the foreign key.
        self.rows = {id_: row for id_, row in self.rows.items() if not self._is_orphan(row.user_id)}
        return [row for row in self.rows.values() if row.expires_at > self.now]

    def _is_orphan(self, user_id: Any) -> bool:
        return user_id is not None and self.owner_of(user_id) is None

    def _check_owner(self, user_id: Any) -> None:
        if self._is_orphan(user_id):
            raise OwnerGone

    def _is_idle(self, row: StoredSession) -> bool:
        return row.last_seen_at <= self.now - self.settings.idle_timeout

    def _is_touch_due(self, row: StoredSession) -> bool:
        return row.last_seen_at <= self.now - self.settings.touch_interval

    def _to_record(self, row: StoredSession) -> SessionRecord:
        members = ",".join(f"{json.dumps(key)}:{text}" for key, text in row.data.items())
        return SessionRecord(
            id=row.id,
            token_hash=row.token_hash,
            user_id=row.user_id,
            data="{" + members + "}",
            persistent=row.persistent,
            created_at=row.created_at,
            expires_at=row.expires_at,
            touch_due=self._is_touch_due(row),
            owner=self.owner_of(row.user_id) if row.user_id is not None else None,
        )


def _is_same(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts are the same to a database; None, for absent, is only itself."""
    if one is None or other is None:
        return one is other
    return bool(_comparable(one) == _comparable(other))


def _comparable(text: str) -> Any:
    # To Python 1 and True are the same, to JSON they are not; 1 and 1.0 are, however far they go.
    return _typed(json.loads(text, parse_int=Decimal, parse_float=Decimal))


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    return (type(value), value)
