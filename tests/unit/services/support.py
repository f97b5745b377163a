"""The use cases over stand-ins, each of which a test can look at."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from authapp.domain.passwords import PasswordHasher, PasswordPolicy
from authapp.domain.throttle import Limits, Rate
from authapp.domain.users import User
from authapp.domain.visitors import KnownBrowser, Visitor
from authapp.security.passwords import BcryptHasher
from authapp.services.attempts import Attempts
from authapp.services.passwords import Passwords
from authapp.services.revocations import Revocations
from authapp.services.users import Accounts
from tests.fakes import InMemoryUserRepository, RecordingHasher
from tests.fakes_accounts import (
    InMemoryOutbox,
    InMemoryThrottle,
    InMemoryTokens,
    RecordingAnnouncer,
)

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
HOME = Visitor("192.0.2.1")
HASHER = BcryptHasher(4)
COSTLIER = BcryptHasher(5)
QUARTER = timedelta(minutes=15)


class RecordingUsers(InMemoryUserRepository):
    def __init__(self, steps: list[Any]) -> None:
        super().__init__()
        self._steps = steps

    def add(
        self, name: str, email: str, password_hash: str, letters_language: str | None = None
    ) -> User:
        self._steps.append("add")
        return super().add(name, email, password_hash, letters_language)

    def hold_unchanged(self, credentials: Any) -> bool:
        self._steps.append("confirm")
        return super().hold_unchanged(credentials)

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        self._steps.append("replace")
        return super().replace_password_hash(user_id, old, new)

    def change_password(self, user_id: UUID, old: str, new: str) -> User | None:
        self._steps.append("change")
        return super().change_password(user_id, old, new)


class RecordingThrottle(InMemoryThrottle):
    def __init__(self, steps: list[Any]) -> None:
        super().__init__()
        self._steps = steps

    def take(self, limits: Any) -> None:
        self._steps.append("take")
        super().take(limits)

    def give_back(self, limits: Any) -> None:
        self._steps.append("give back")
        super().give_back(limits)

    def clear(self, limits: Any) -> None:
        self._steps.append("clear")
        super().clear(limits)


class EndedSessions:
    """The one method of a directory that the use cases of accounts need."""

    def __init__(self, steps: list[Any]) -> None:
        self._steps = steps

    def revoke_of_user(self, user_id: UUID, *, keep: UUID | None = None) -> int:
        self._steps.append(("revoke", user_id, keep))
        return 0

    def hold(self, session_id: UUID) -> bool:
        return True


@dataclass
class Ports:
    """What use cases are given. `steps` is what was done to it, in its order."""

    steps: list[Any] = field(default_factory=list)
    limits: Limits = field(default_factory=lambda: Limits(Rate(3, QUARTER), Rate(5, QUARTER)))
    tokens: InMemoryTokens = field(default_factory=InMemoryTokens)
    outbox: InMemoryOutbox = field(default_factory=InMemoryOutbox)
    announcer: RecordingAnnouncer = field(default_factory=RecordingAnnouncer)

    def __post_init__(self) -> None:
        self.users = RecordingUsers(self.steps)
        self.throttle = RecordingThrottle(self.steps)
        self.sessions: Any = EndedSessions(self.steps)

    def passwords(self, hasher: PasswordHasher = HASHER) -> Passwords:
        recorded = RecordingHasher(hasher, self.steps)
        return Passwords(self.users, recorded, self.attempts(), self.announcer)

    def attempts(self) -> Attempts:
        return Attempts(self.throttle, self.limits, self.announcer)

    def revocations(self) -> Revocations:
        return Revocations(self.sessions, self.tokens, self.outbox, self.announcer)

    def accounts(
        self, hasher: PasswordHasher = HASHER, policy: PasswordPolicy | None = None
    ) -> Accounts:
        return Accounts(
            users=self.users,
            passwords=self.passwords(hasher),
            hasher=RecordingHasher(hasher, self.steps),
            policy=policy or PasswordPolicy(8),
            attempts=self.attempts(),
            revocations=self.revocations(),
            announcer=self.announcer,
        )


def browser(user: User) -> KnownBrowser:
    """One that has become known to the account at the first moment at which it could."""
    return KnownBrowser("laptop", user.id, user.password_changed_at)


def codes(refused: Any) -> dict[str, list[str]]:
    return {name: [p.code for p in found] for name, found in refused.value.problems.items()}
