"""Administering other people's accounts: by an administrator, or by an operator's command."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from authapp.domain.errors import (
    AdminNoMore,
    EmailTaken,
    InvalidInput,
    NoSuchAccount,
    OwnAccount,
    Problem,
)
from authapp.domain.events import (
    Announcer,
    EventLog,
    PasswordChanged,
    RecordedEvent,
    RoleChanged,
    SecondFactorDisabled,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    UserSignedUp,
)
from authapp.domain.passwords import PasswordHasher, PasswordPolicy
from authapp.domain.second_factor import SecondFactorRepository
from authapp.domain.sessions import SessionDirectory, SessionInfo
from authapp.domain.text import is_storable
from authapp.domain.users import (
    EMAIL_MAX_LENGTH,
    Role,
    Status,
    User,
    UserDirectory,
    UserQuery,
    UserRepository,
    check_admin_remains,
    email_problems,
    name_problems,
)
from authapp.services.passwords import refuse
from authapp.services.revocations import Revocations

PAGE_SIZE = 50
EVENTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class UserPage:
    """A part of a list. `next_after` is the address behind which the next one begins, if any."""

    users: Sequence[User]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as those see it who administer it; the newest `events` only."""

    user: User
    sessions: Sequence[SessionInfo]
    events: Sequence[RecordedEvent]


class Administration:
    """The use cases of administration, for one request or command.

    `by` is the administrator who acts, and nobody for an operator at the command line. What makes
    an account another one ends all of its sessions in the same transaction. Whatever may do so
    holds the administrators first and the account second, so that two at once take their turns.
    """

    def __init__(
        self,
        *,
        users: UserRepository,
        directory: UserDirectory,
        factors: SecondFactorRepository,
        sessions: SessionDirectory,
        revocations: Revocations,
        events: EventLog,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        announcer: Announcer,
    ) -> None:
        self._users = users
        self._directory = directory
        self._factors = factors
        self._sessions = sessions
        self._revocations = revocations
        self._events = events
        self._hasher = hasher
        self._policy = policy
        self._announcer = announcer

    def find(
        self,
        search: str = "",
        *,
        role: Role | None = None,
        status: Status | None = None,
        after: str | None = None,
        limit: int = PAGE_SIZE,
    ) -> UserPage:
        """Those whose address begins with `search`, or who have it as their id.

        Raises `InvalidInput` for the fields `q` and `after`.
        """
        search = search.strip()
        refuse(q=_search_problems(search), after=_search_problems(after or ""))
        user_id = _as_id(search)
        if user_id is not None:
            user = self._users.by_id(user_id)
            is_wanted = user and role in (None, user.role) and status in (None, user.status)
            return UserPage([user] if user and is_wanted else [], None)
        query = UserQuery(search, role, status)
        found = self._directory.page(query, limit=limit + 1, after=after)
        shown = found[:limit]
        return UserPage(shown, shown[-1].email if len(found) > limit else None)

    def named(self, name: str) -> User:
        """The user with this id or address; raises `NoSuchAccount`."""
        if not is_storable(name):
            raise NoSuchAccount
        user_id = _as_id(name)
        user = self._users.by_email(name) if user_id is None else self._users.by_id(user_id)
        if user is None:
            raise NoSuchAccount
        return user

    def show(self, user_id: UUID) -> AccountState:
        """Raises `NoSuchAccount`."""
        user = self._users.by_id(user_id)
        if user is None:
            raise NoSuchAccount
        events = self._events.of_user(user_id, limit=EVENTS_SHOWN)
        return AccountState(user, self._sessions.of_user(user_id), events)

    def create(
        self, name: str, email: str, password: str, *, role: Role, is_verified: bool
    ) -> User:
        """Makes an account for somebody; raises `InvalidInput`, also when the address is taken."""
        name, email = name.strip(), email.strip()
        refuse(
            name=name_problems(name),
            email=email_problems(email),
            password=self._policy.problems(password, name=name, email=email),
        )
        password_hash = self._hasher.hash(password)
        try:
            user = self._users.add(name, email, password_hash)
        except EmailTaken:
            raise InvalidInput({"email": [Problem("email_taken")]}) from None
        if is_verified:
            user = self._users.verify_email(user.id)
        self._announcer.announce(UserSignedUp(user=user))
        return user if role is user.role else self._with_role(user, role, by=None)

    def set_password(self, user_id: UUID, password: str) -> User:
        """Raises `InvalidInput` for the field `password`, and `NoSuchAccount`."""
        user = self._users.by_id(user_id)
        if user is None:
            raise NoSuchAccount
        refuse(password=self._policy.problems(password, name=user.name, email=user.email))
        new_hash = self._hasher.hash(password)
        self._held(user_id, by=None)
        found = self._users.credentials_of(user_id)
        changed = None
        if found is not None:
            changed = self._users.change_password(user_id, found.password_hash, new_hash)
        if changed is None:
            raise NoSuchAccount
        self._announcer.announce(PasswordChanged(user=changed))
        self._revocations.of_everything(changed)
        return changed

    def disable(self, user_id: UUID, by: User | None = None) -> User:
        """Keeps the person out from their next request on; nothing happens where that is so
        already. Raises `NoSuchAccount`, `LastAdmin`, and `AdminNoMore`."""
        user = self._held(user_id, by, is_leaving=True)
        if not user.is_active:
            return user
        user = self._directory.set_status(user_id, Status.DISABLED)
        self._announcer.announce(UserDisabled(user=user, by=by))
        self._revocations.of_everything(user, by=by)
        return user

    def enable(self, user_id: UUID, by: User | None = None) -> User:
        """Lets the person sign in again; raises `NoSuchAccount` and `AdminNoMore`."""
        user = self._held(user_id, by)
        if user.is_active:
            return user
        user = self._directory.set_status(user_id, Status.ACTIVE)
        self._announcer.announce(UserEnabled(user=user, by=by))
        return user

    def set_role(self, user_id: UUID, role: Role, by: User | None = None) -> User:
        """Ends all of the person's sessions, unless they have this role already.

        Raises `NoSuchAccount`, `LastAdmin`, and `AdminNoMore`.
        """
        user = self._held(user_id, by, is_leaving=role is not Role.ADMIN)
        return user if role is user.role else self._with_role(user, role, by)

    def reset_second_factor(self, user_id: UUID, by: User | None = None) -> User:
        """Makes the password the only factor for somebody who has lost the other one, and ends all
        sessions: what was lost may have been the machine. Nothing happens where there was none.

        Raises `NoSuchAccount`, `AdminNoMore`, and `OwnAccount`: for that there is a way which asks
        for more than a session.
        """
        if by is not None and by.id == user_id:
            raise OwnAccount
        user = self._held(user_id, by)
        if not user.has_second_factor:
            return user
        user = self._factors.remove(user_id)
        self._announcer.announce(SecondFactorDisabled(user=user, by=by))
        self._revocations.of_everything(user, by=by)
        return user

    def end_sessions(self, user_id: UUID, by: User | None = None) -> int:
        """Ends all sessions and says how many those were; raises `NoSuchAccount` and
        `AdminNoMore`."""
        user = self._held(user_id, by)
        return self._revocations.of_sessions(user, by=by, asked_for=True)

    def delete(self, user_id: UUID, by: User | None = None) -> User:
        """Deletes the account and all that belongs to it; gives what there was.

        Raises `NoSuchAccount`, `LastAdmin`, and `AdminNoMore`.
        """
        user = self._held(user_id, by, is_leaving=True)
        self._users.delete(user_id)
        self._announcer.announce(UserDeleted(user=user, by=by))
        return user

    def _held(self, user_id: UUID, by: User | None, *, is_leaving: bool = False) -> User:
        """The user, held until the transaction ends, along with all administrators.

        `is_leaving` says that there may be an administrator less afterwards.
        """
        admins = self._users.hold_admins()
        if by is not None and by.id not in admins:
            raise AdminNoMore
        user = self._users.hold(user_id)
        if user is None:
            raise NoSuchAccount
        if is_leaving:
            check_admin_remains(admins, user_id)
        return user

    def _with_role(self, user: User, role: Role, by: User | None) -> User:
        changed = self._directory.set_role(user.id, role)
        self._announcer.announce(
            RoleChanged(user=changed, by=by, old_role=user.role, new_role=role)
        )
        self._revocations.of_everything(changed, by=by)
        return changed


def _as_id(text: str) -> UUID | None:
    """The id that `text` is, spelt out in full: hexadecimal digits alone may begin an address."""
    try:
        user_id = UUID(text)
    except ValueError:
        return None
    return user_id if str(user_id) == text.lower() else None


def _search_problems(text: str) -> Sequence[Problem]:
    """Looser than for an address: this is a part of one."""
    if len(text) > EMAIL_MAX_LENGTH:
        return (Problem("too_long", {"maximum": EMAIL_MAX_LENGTH}),)
    return () if is_storable(text) else (Problem("bad_characters"),)
