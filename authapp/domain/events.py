"""What happens to accounts: told to the operator, to the person, and to the application.

Each event is a class of its own, so that an application can subscribe to it:

    config.add_subscriber(welcome, UserSignedUp)

Fields beyond the base class's are the event's details. They are kept, shown and logged, so that
none may ever hold a secret, nor what somebody has typed: people type passwords into the field for
the address.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

from authapp.domain.users import Role, User


@dataclass(frozen=True, kw_only=True)
class AccountEvent:
    """Something that happened to the account of `user`, or to none that is known.

    `by` is the administrator who did it to somebody else. `request` is there for subscribers.
    """

    user: User | None
    by: User | None = None
    request: Any = field(default=None, compare=False, repr=False)

    # The name in the table, and the one in the OWASP Logging Vocabulary.
    kind: ClassVar[str]
    vocabulary: ClassVar[str]
    # Failures are news even where the request is rolled back: they are written down at once.
    outlives_rollback: ClassVar[bool] = False
    # Details that the line in the log is without: addresses have no place there.
    unlogged: ClassVar[frozenset[str]] = frozenset()

    @property
    def details(self) -> Mapping[str, str | int | bool | None]:
        """What the event says besides who and when, as JSON knows it."""
        common = {f.name for f in dataclasses.fields(AccountEvent)}
        own = (f.name for f in dataclasses.fields(self) if f.name not in common)
        return {name: getattr(self, name) for name in own}


@dataclass(frozen=True, kw_only=True)
class UserSignedUp(AccountEvent):
    kind = "signed_up"
    vocabulary = "user_created"


@dataclass(frozen=True, kw_only=True)
class SignedIn(AccountEvent):
    """`new_device`: nobody has signed in to this account with this browser before."""

    kind = "signed_in"
    vocabulary = "authn_login_success"
    new_device: bool
    second_factor: bool = False


@dataclass(frozen=True, kw_only=True)
class SignInFailed(AccountEvent):
    """The password, or with `second_factor` the code, was wrong, or the account is disabled or
    unknown."""

    kind = "sign_in_failed"
    vocabulary = "authn_login_fail"
    outlives_rollback = True
    second_factor: bool = False


@dataclass(frozen=True, kw_only=True)
class Throttled(AccountEvent):
    """There were too many attempts: `action` says at what."""

    kind = "throttled"
    vocabulary = "authn_login_fail_max"
    outlives_rollback = True
    action: str


@dataclass(frozen=True, kw_only=True)
class SignedOut(AccountEvent):
    kind = "signed_out"
    vocabulary = "session_expired"


@dataclass(frozen=True, kw_only=True)
class IdentityConfirmed(AccountEvent):
    """Somebody who is signed in has given the password once more."""

    kind = "identity_confirmed"
    vocabulary = "authn_login_success"


@dataclass(frozen=True, kw_only=True)
class WrongPassword(AccountEvent):
    """Somebody who is signed in has given a wrong password where it was asked for once more."""

    kind = "wrong_password"
    vocabulary = "authn_login_fail"
    outlives_rollback = True


@dataclass(frozen=True, kw_only=True)
class WrongCode(AccountEvent):
    """Somebody who is signed in, and has given the password once more, has given a wrong code of
    the second factor with it."""

    kind = "wrong_code"
    vocabulary = "authn_login_fail"
    outlives_rollback = True


@dataclass(frozen=True, kw_only=True)
class ProfileChanged(AccountEvent):
    kind = "profile_changed"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class LanguageChosen(AccountEvent):
    kind = "language_chosen"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class NotificationsChanged(AccountEvent):
    """Whether mail tells of sign-ins with new browsers."""

    kind = "notifications_changed"
    vocabulary = "user_updated"
    notify_sign_in: bool


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(AccountEvent):
    """By the person who gave the old one, or by an operator."""

    kind = "password_changed"
    vocabulary = "authn_password_change"


@dataclass(frozen=True, kw_only=True)
class PasswordReset(AccountEvent):
    """By whoever reads the account's mail."""

    kind = "password_reset"
    vocabulary = "authn_password_change"


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(AccountEvent):
    """A message with a link has been written to an account's address."""

    kind = "password_reset_requested"
    vocabulary = "authn_token_created"


@dataclass(frozen=True, kw_only=True)
class EmailVerified(AccountEvent):
    kind = "email_verified"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class EmailChangeRequested(AccountEvent):
    kind = "email_change_requested"
    vocabulary = "authn_token_created"
    unlogged = frozenset({"new_email"})
    new_email: str


@dataclass(frozen=True, kw_only=True)
class EmailChanged(AccountEvent):
    """`user` has the new address already."""

    kind = "email_changed"
    vocabulary = "user_updated"
    unlogged = frozenset({"old_email"})
    old_email: str


@dataclass(frozen=True, kw_only=True)
class SessionsRevoked(AccountEvent):
    """Sessions were ended from outside of them, `count` of them.

    `asked_for`: that was what somebody wanted, rather than what another change brought along.
    """

    kind = "sessions_revoked"
    vocabulary = "session_expired"
    count: int
    asked_for: bool = False


@dataclass(frozen=True, kw_only=True)
class SecondFactorEnabled(AccountEvent):
    kind = "second_factor_enabled"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class SecondFactorDisabled(AccountEvent):
    """By the person, or reset by an operator."""

    kind = "second_factor_disabled"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class RecoveryCodesRenewed(AccountEvent):
    kind = "recovery_codes_renewed"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class RecoveryCodeUsed(AccountEvent):
    """In the place of a code from the authenticator; `left` are still good."""

    kind = "recovery_code_used"
    vocabulary = "authn_login_success"
    left: int


@dataclass(frozen=True, kw_only=True)
class RoleChanged(AccountEvent):
    """`user` has the new role already."""

    kind = "role_changed"
    vocabulary = "privilege_permissions_changed"
    old_role: Role
    new_role: Role


@dataclass(frozen=True, kw_only=True)
class UserDisabled(AccountEvent):
    kind = "disabled"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class UserEnabled(AccountEvent):
    kind = "enabled"
    vocabulary = "user_updated"


@dataclass(frozen=True, kw_only=True)
class UserDeleted(AccountEvent):
    """`user` is what there was: by the commit, all that belonged to them is gone.

    Of them only the id is kept, by which the operator can tell who it was in older lines and
    backups.
    """

    kind = "deleted"
    vocabulary = "user_deleted"
    # The line says it of every event.
    unlogged = frozenset({"id"})

    @property
    def details(self) -> Mapping[str, str | int | bool | None]:
        return {"id": str(self.user.id) if self.user else None}


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was written down. `by` is the id of the administrator who did it."""

    id: int
    kind: str
    created_at: datetime
    user_id: UUID | None
    by: UUID | None
    address: str | None
    user_agent: str | None
    details: Mapping[str, Any]


class Announcer(Protocol):
    """Tells of an event all who should know."""

    def announce(self, event: AccountEvent, /) -> None:
        """With the request's transaction, or at once, as the event's class says."""
        ...


class EventLog(Protocol):
    """Where events are written down."""

    def of_user(
        self, user_id: UUID, *, limit: int, before: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The newest first, from those before the event with the id `before`."""
        ...
