"""The use cases, each with what it needs, for a request or for a command."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from authapp.domain.events import Announcer
from authapp.domain.mail import Letterbox
from authapp.domain.passwords import PasswordHasher, PasswordPolicy
from authapp.domain.second_factor import Authenticators, Sealer, SecondFactorPolicy
from authapp.domain.sessions import SessionDirectory
from authapp.domain.throttle import Limits
from authapp.repositories.clock import SqlClock
from authapp.repositories.connections import BoundConnections, Connections, RequestConnections
from authapp.repositories.events import SqlEventLog
from authapp.repositories.outbox import SqlOutbox
from authapp.repositories.second_factor import SqlSecondFactors
from authapp.repositories.throttle import SqlThrottle
from authapp.repositories.tokens import SqlTokenRepository
from authapp.repositories.users import SqlUserDirectory, SqlUserRepository
from authapp.security.announcer import (
    NOWHERE,
    CircumstantialLetters,
    CommandAnnouncer,
    EventAnnouncer,
    RequestAnnouncer,
)
from authapp.security.authenticators import TotpAuthenticators
from authapp.security.passwords import BcryptHasher
from authapp.security.sealing import SecretSealer
from authapp.services.activity import Activity
from authapp.services.administration import Administration
from authapp.services.attempts import Attempts
from authapp.services.confirmations import Confirmations
from authapp.services.emails import Emails
from authapp.services.passwords import Passwords
from authapp.services.recovery import Recovery
from authapp.services.revocations import Revocations
from authapp.services.second_factor import SecondFactors
from authapp.services.sessions import OwnSessions
from authapp.services.sign_ins import SignIns
from authapp.services.users import Accounts
from authapp.sessions.client import client_of
from authapp.settings import Settings
from authapp.wiring.mail import RequestOutbox
from authapp.wiring.sessions import session_directory_over


@dataclass(frozen=True)
class Shared:
    """What all requests share: it keeps nothing of any of them."""

    settings: Settings
    hasher: PasswordHasher
    policy: PasswordPolicy
    limits: Limits
    authenticators: Authenticators
    sealer: Sealer

    @classmethod
    def of(cls, settings: Settings) -> "Shared":
        password, site = settings.password, settings.site
        host = urlsplit(site.url).hostname or ""
        return cls(
            settings=settings,
            hasher=BcryptHasher(password.bcrypt_rounds, password.pepper),
            policy=PasswordPolicy(password.min_length, (site.name, host)),
            limits=Limits(settings.throttle.account, settings.throttle.address),
            authenticators=TotpAuthenticators(site.name),
            sealer=SecretSealer(settings.session.secret),
        )


class Services:
    """The use cases over one transaction. Each is made when it is first asked for."""

    def __init__(self, shared: Shared, connections: Connections) -> None:
        self._shared = shared
        self._connections = connections
        self._users = SqlUserRepository(connections)
        self._tokens = SqlTokenRepository(connections)
        self._clock = SqlClock(connections)
        self._events = SqlEventLog(connections)
        self._factors = SqlSecondFactors(connections)

    @property
    def _sessions(self) -> SessionDirectory:
        raise NotImplementedError

    @cached_property
    def _outbox(self) -> SqlOutbox:
        return SqlOutbox(self._connections)

    @cached_property
    def _letters(self) -> Letterbox:
        return CircumstantialLetters(self._outbox, NOWHERE)

    @property
    def _announcer(self) -> Announcer:
        raise NotImplementedError

    @cached_property
    def _attempts(self) -> Attempts:
        throttle = SqlThrottle(self._connections)
        return Attempts(throttle, self._shared.limits, self._announcer)

    @cached_property
    def _revocations(self) -> Revocations:
        return Revocations(self._sessions, self._tokens, self._letters, self._announcer)

    @cached_property
    def passwords(self) -> Passwords:
        shared = self._shared
        return Passwords(self._users, shared.hasher, self._attempts, self._announcer)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(
            users=self._users,
            passwords=self.passwords,
            hasher=self._shared.hasher,
            policy=self._shared.policy,
            attempts=self._attempts,
            revocations=self._revocations,
            announcer=self._announcer,
        )

    @cached_property
    def sign_ins(self) -> SignIns:
        return SignIns(self._announcer)

    @cached_property
    def second_factors(self) -> SecondFactors:
        shared = self._shared
        return SecondFactors(
            factors=self._factors,
            users=self._users,
            passwords=self.passwords,
            authenticators=shared.authenticators,
            sealer=shared.sealer,
            policy=SecondFactorPolicy(shared.settings.second_factor.required_for_admins),
            attempts=self._attempts,
            revocations=self._revocations,
            letters=self._letters,
            clock=self._clock,
            announcer=self._announcer,
        )

    @cached_property
    def confirmations(self) -> Confirmations:
        recent = self._shared.settings.sign_in.recent
        return Confirmations(self.passwords, self._clock, self._announcer, recent)

    @cached_property
    def activity(self) -> Activity:
        return Activity(self._events, self._users, self._announcer)

    @cached_property
    def own_sessions(self) -> OwnSessions:
        return OwnSessions(self._sessions, self._revocations, self._announcer)

    @cached_property
    def administration(self) -> Administration:
        return Administration(
            users=self._users,
            directory=SqlUserDirectory(self._connections),
            factors=self._factors,
            sessions=self._sessions,
            revocations=self._revocations,
            events=self._events,
            hasher=self._shared.hasher,
            policy=self._shared.policy,
            announcer=self._announcer,
        )

    @cached_property
    def recovery(self) -> Recovery:
        return Recovery(
            users=self._users,
            tokens=self._tokens,
            letters=self._letters,
            hasher=self._shared.hasher,
            policy=self._shared.policy,
            attempts=self._attempts,
            revocations=self._revocations,
            announcer=self._announcer,
        )

    @cached_property
    def emails(self) -> Emails:
        return Emails(
            users=self._users,
            tokens=self._tokens,
            letters=self._letters,
            passwords=self.passwords,
            attempts=self._attempts,
            revocations=self._revocations,
            announcer=self._announcer,
        )


class RequestServices(Services):
    """The use cases for one request, over its transaction: `request.services`."""

    def __init__(self, shared: Shared, request: Any) -> None:
        super().__init__(shared, RequestConnections(request))
        self._request = request

    @property
    def _sessions(self) -> SessionDirectory:
        sessions: SessionDirectory = self._request.sessions
        return sessions

    @cached_property
    def _outbox(self) -> RequestOutbox:
        return RequestOutbox(self._request, self._connections)

    @cached_property
    def _letters(self) -> Letterbox:
        return CircumstantialLetters(self._outbox, client_of(self._request))

    @cached_property
    def _announcer(self) -> Announcer:
        return RequestAnnouncer(self._request, EventAnnouncer(self._events, self._letters))


class CommandServices(Services):
    """The use cases for a command, over one transaction: that of `connection`."""

    def __init__(self, shared: Shared, connection: Connection) -> None:
        super().__init__(shared, BoundConnections(connection))

    def committed(self) -> None:
        """The transaction has been: says in the log what was done."""
        self._announcer.committed()

    @cached_property
    def _sessions(self) -> SessionDirectory:
        return session_directory_over(self._connections, self._shared.settings.session)

    @cached_property
    def _announcer(self) -> CommandAnnouncer:
        return CommandAnnouncer(EventAnnouncer(self._events, self._letters))
