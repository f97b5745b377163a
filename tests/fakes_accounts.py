"""Stand-ins for what accounts need besides users and sessions, in memory.

`tests/contracts` holds them to what the real ones do. They have no transactions: what is written is
there at once. Time stands still but for what a test adds to `now`.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from authapp.domain.errors import UserNotFound
from authapp.domain.events import AccountEvent, RecordedEvent
from authapp.domain.mail import Letter, LetterKind, OutboxCounts, PostedLetter
from authapp.domain.second_factor import SecondFactor
from authapp.domain.sessions import Client
from authapp.domain.throttle import Limit, TooManyAttempts
from authapp.domain.tokens import Purpose, Token
from authapp.domain.users import User
from tests.fakes import InMemoryUserRepository


@dataclass
class RecordingAnnouncer:
    """Implements `authapp.domain.events.Announcer`: keeps what it is told."""

    events: list[AccountEvent] = field(default_factory=list)

    def announce(self, event: AccountEvent, /) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@dataclass
class InMemoryTokens:
    """Implements `authapp.domain.tokens.TokenRepository`."""

    tokens: dict[bytes, tuple[Token, datetime]] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, token_hash: bytes, token: Token, lifetime: timedelta) -> None:
        self.tokens[token_hash] = (token, self.now + lifetime)

    def find(self, token_hash: bytes) -> Token | None:
        token, expires_at = self.tokens.get(token_hash, (None, self.now))
        return token if expires_at > self.now else None

    def use(self, token_hash: bytes) -> bool:
        is_good = self.find(token_hash) is not None
        self.tokens.pop(token_hash, None)
        return is_good

    def revoke(self, user_id: UUID, *purposes: Purpose) -> None:
        self.tokens = {
            token_hash: (token, expires_at)
            for token_hash, (token, expires_at) in self.tokens.items()
            if token.user_id != user_id or (purposes and token.purpose not in purposes)
        }

    def purge(self, batch_size: int) -> int:
        expired = [h for h, (_, expires_at) in self.tokens.items() if expires_at <= self.now]
        for token_hash in expired[:batch_size]:
            del self.tokens[token_hash]
        return len(expired[:batch_size])


@dataclass
class WaitingLetter:
    id: UUID
    letter: Letter
    created_at: datetime
    due_at: datetime | None
    attempts: int = 0
    error: str | None = None


@dataclass
class InMemoryOutbox:
    """Implements `authapp.domain.mail.Outbox`."""

    rows: list[WaitingLetter] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def letters(self) -> list[Letter]:
        return [row.letter for row in self.rows]

    def put(self, letter: Letter) -> None:
        self.rows.append(WaitingLetter(uuid4(), letter, self.now, self.now))

    def withdraw(self, user_id: UUID, *kinds: LetterKind) -> None:
        self.rows = [
            row
            for row in self.rows
            if row.letter.user_id != user_id or row.letter.kind not in kinds
        ]

    def claim(self, limit: int, lease: timedelta) -> Sequence[PostedLetter]:
        due = [row for row in self.rows if row.due_at is not None and row.due_at <= self.now]
        claimed = sorted(due, key=lambda row: row.due_at or self.now)[:limit]
        for row in claimed:
            row.due_at = self.now + lease
            row.attempts += 1
        claimed.sort(key=lambda row: row.created_at)
        return [PostedLetter(r.id, r.letter, r.attempts, r.created_at) for r in claimed]

    def hold(self, posted: PostedLetter, lease: timedelta) -> bool:
        for row in self.rows:
            if row.id == posted.id and row.attempts == posted.attempt:
                row.due_at = self.now + lease
                return True
        return False

    def sent(self, letter_id: UUID) -> None:
        self.rows = [row for row in self.rows if row.id != letter_id]

    def failed(self, letter_id: UUID, reason: str, retry_in: timedelta | None) -> None:
        for row in self.rows:
            if row.id == letter_id:
                row.error = reason
                row.due_at = self.now + retry_in if retry_in is not None else None

    def counts(self) -> OutboxCounts:
        failed = sum(row.due_at is None for row in self.rows)
        return OutboxCounts(len(self.rows) - failed, failed)

    def retry(self) -> int:
        given_up = [row for row in self.rows if row.due_at is None]
        for row in given_up:
            row.due_at, row.attempts, row.error = self.now, 0, None
        return len(given_up)

    def purge(self, age: timedelta, batch_size: int) -> int:
        over = [r for r in self.rows if r.due_at is None and r.created_at < self.now - age]
        self.rows = [row for row in self.rows if row not in over[:batch_size]]
        return len(over[:batch_size])


@dataclass
class InMemoryThrottle:
    """Implements `authapp.domain.throttle.Throttle`."""

    counters: dict[bytes, tuple[int, datetime]] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def take(self, limits: Sequence[Limit]) -> None:
        for limit in limits:
            count, resets_at = self.counters.get(limit.key, (0, self.now))
            if resets_at <= self.now:
                count, resets_at = 0, self.now + limit.rate.period
            count += 1
            self.counters[limit.key] = (count, resets_at)
            if count > limit.rate.count:
                is_first = count == limit.rate.count + 1
                retry_after = max(resets_at - self.now, timedelta(seconds=1))
                raise TooManyAttempts(limit, retry_after, is_first=is_first)

    def give_back(self, limits: Sequence[Limit]) -> None:
        for limit in limits:
            count, resets_at = self.counters.get(limit.key, (0, self.now))
            if count > 0:
                self.counters[limit.key] = (count - 1, resets_at)

    def clear(self, limits: Sequence[Limit]) -> None:
        for limit in limits:
            self.counters.pop(limit.key, None)

    def purge(self, batch_size: int) -> int:
        over = [key for key, (_, resets_at) in self.counters.items() if resets_at <= self.now]
        for key in over[:batch_size]:
            del self.counters[key]
        return len(over[:batch_size])


@dataclass
class InMemoryEventLog:
    """Implements `authapp.domain.events.EventLog`, and writes down as the real one does."""

    events: list[RecordedEvent] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, event: AccountEvent, client: Client) -> None:
        self.events.append(
            RecordedEvent(
                id=next(self._ids),
                kind=event.kind,
                created_at=self.now,
                user_id=event.user.id if event.user else None,
                by=event.by.id if event.by else None,
                address=client.address,
                user_agent=client.user_agent,
                details=dict(event.details),
            )
        )

    def of_user(
        self, user_id: UUID, *, limit: int, before: int | None = None
    ) -> Sequence[RecordedEvent]:
        found = [e for e in self.events if e.user_id == user_id and (not before or e.id < before)]
        return sorted(found, key=lambda event: event.id, reverse=True)[:limit]

    def purge(self, age: timedelta, batch_size: int) -> int:
        old = [event for event in self.events if event.created_at < self.now - age][:batch_size]
        self.events = [event for event in self.events if event not in old]
        return len(old)


@dataclass
class InMemorySecondFactors:
    """Implements `authapp.domain.second_factor.SecondFactorRepository`."""

    users: InMemoryUserRepository
    factors: dict[UUID, SecondFactor] = field(default_factory=dict)
    recovery_codes: dict[UUID, set[bytes]] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def find(self, user_id: UUID) -> SecondFactor | None:
        return self.factors.get(user_id)

    def begin(self, user_id: UUID, sealed_secret: bytes) -> None:
        self.factors[user_id] = SecondFactor(user_id, sealed_secret, None)

    def activate(self, user_id: UUID) -> User:
        return self._set_second_factor_at(user_id, self.now)

    def use(self, factor: SecondFactor, step: int, sealed_secret: bytes) -> bool:
        found = self.factors.get(factor.user_id)
        if found is None or (found.last_step is not None and found.last_step >= step):
            return False
        used = replace(found, last_step=step, sealed_secret=sealed_secret)
        self.factors[factor.user_id] = used
        return True

    def remove(self, user_id: UUID) -> User:
        user = self._set_second_factor_at(user_id, None)
        self.factors.pop(user_id, None)
        self.recovery_codes.pop(user_id, None)
        return user

    def replace_recovery_codes(self, user_id: UUID, code_hashes: Sequence[bytes]) -> None:
        self.recovery_codes[user_id] = set(code_hashes)

    def has_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        return code_hash in self.recovery_codes.get(user_id, ())

    def use_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        was_good = self.has_recovery_code(user_id, code_hash)
        self.recovery_codes.get(user_id, set()).discard(code_hash)
        return was_good

    def count_recovery_codes(self, user_id: UUID) -> int:
        return len(self.recovery_codes.get(user_id, ()))

    def _set_second_factor_at(self, user_id: UUID, moment: datetime | None) -> User:
        if self.users.by_id(user_id) is None:
            raise UserNotFound
        return self.users.set_second_factor(user_id, moment)
