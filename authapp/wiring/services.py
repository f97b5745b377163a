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
from authapp.services.codes import Codes
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

    def __init__(
        self,
        shared: Shared,
        connections: Connections,
        *,
        sessions: SessionDirectory,
        letters: Letterbox,
        announcer: Announcer,
    ) -> None:
        self._shared = shared
        self._sessions = sessions
        self._letters = letters
        self._announcer = announcer
        self._users = SqlUserRepository(connections)
        self._directory = SqlUserDirectory(connections)
        self._tokens = SqlTokenRepository(connections)
        self._throttle = SqlThrottle(connections)
        self._clock = SqlClock(connections)
        self._events = SqlEventLog(connections)
        self._factors = SqlSecondFactors(connections)

    @cached_property
    def _attempts(self) -> Attempts:
        return Attempts(self._throttle, self._shared.limits, self._announcer)

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
            codes=self._codes,
            revocations=self._revocations,
            clock=self._clock,
            announcer=self._announcer,
        )

    @cached_property
    def _codes(self) -> Codes:
        return Codes(
            factors=self._factors,
            authenticators=self._shared.authenticators,
            sealer=self._shared.sealer,
            attempts=self._attempts,
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
            directory=self._directory,
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


def request_services(shared: Shared, request: Any) -> Services:
    """The use cases for one request, over its transaction: `request.services`."""
    connections = RequestConnections(request)
    outbox = RequestOutbox(request, connections)
    letters = CircumstantialLetters(outbox, client_of(request))
    events = EventAnnouncer(SqlEventLog(connections), letters)
    announcer = RequestAnnouncer(request, events)
    return Services(
        shared, connections, sessions=request.sessions, letters=letters, announcer=announcer
    )


class CommandServices(Services):
    """The use cases for a command, over one transaction: that of `connection`."""

    def __init__(self, shared: Shared, connection: Connection) -> None:
        connections = BoundConnections(connection)
        letters = CircumstantialLetters(SqlOutbox(connections), NOWHERE)
        events = EventAnnouncer(SqlEventLog(connections), letters)
        self._lines = CommandAnnouncer(events)
        sessions = session_directory_over(connections, shared.settings.session)
        super().__init__(
            shared, connections, sessions=sessions, letters=letters, announcer=self._lines
        )

    def committed(self) -> None:
        """The transaction has been: says in the log what was done."""
        self._lines.committed()
