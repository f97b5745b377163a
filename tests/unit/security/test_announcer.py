import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import transaction
from pyramid.config import Configurator
from pyramid.registry import Registry

from authapp.domain.events import (
    AccountEvent,
    EmailChanged,
    EmailChangeRequested,
    PasswordChanged,
    RoleChanged,
    SecondFactorDisabled,
    SignedIn,
    SignedOut,
    SignInFailed,
    Throttled,
    UserDeleted,
)
from authapp.domain.mail import LetterKind
from authapp.domain.sessions import Client
from authapp.domain.users import Role, Status, User
from authapp.security.announcer import (
    CircumstantialLetters,
    CommandAnnouncer,
    EventAnnouncer,
    RequestAnnouncer,
    log_event,
)
from authapp.sessions.client import client_of
from tests.fakes_accounts import InMemoryEventLog, InMemoryOutbox

ADA = User(
    id=UUID(int=1),
    name="Ada\nLovelace",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
)
HOME = Client("192.0.2.1", "Browser/1.0")
HAPPENED = SignedOut(user=ADA)
FAILED = SignInFailed(user=ADA)
NASTY = [
    *("a\r\nb", "a\nauthn_login_success {}", "\x1b[2J\x1b]0;title\x07", "\x00\x08\x7f"),
    *("\u2028\u2029\x85\x0b\x0c\x1c", "\u202e\u200b\ufeff", '"} {"event": "x"', "%s %(a)d", "🙂é"),
]


class UnwillingData:
    """Data that cannot be committed."""

    transaction_manager = None

    def tpc_vote(self, _transaction):
        raise OSError("the disk is full")

    def sortKey(self):  # As transaction calls it.
        return "unwilling"

    def nothing(self, _transaction):
        pass

    abort = tpc_begin = commit = tpc_finish = tpc_abort = nothing


@dataclass
class World:
    """A request's transaction, and where what is announced in it ends up."""

    events: InMemoryEventLog
    outbox: InMemoryOutbox
    request: Any
    log: pytest.LogCaptureFixture

    def announce(self, event: AccountEvent) -> None:
        letters = CircumstantialLetters(self.outbox, client_of(self.request))
        announcer = EventAnnouncer(self.events, letters)
        RequestAnnouncer(self.request, announcer).announce(event)

    @property
    def config(self) -> Configurator:
        """For what an application does when it starts."""
        return Configurator(registry=self.request.registry, autocommit=True)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.log.records]


@pytest.fixture
def world(caplog):
    caplog.set_level(logging.INFO, "authapp.security.events")
    tm = transaction.TransactionManager(explicit=True)
    tm.begin()
    request = SimpleNamespace(
        environ={"HTTP_USER_AGENT": "Browser/1.0"},
        remote_addr="192.0.2.1",
        tm=tm,
        registry=Registry(),
    )
    return World(InMemoryEventLog(), InMemoryOutbox(), request, caplog)


class TestInARequest:
    def test_it_is_written_down_with_where_the_request_comes_from(self, world):
        world.announce(HAPPENED)

        [recorded] = world.events.events
        assert (recorded.kind, recorded.user_id) == ("signed_out", ADA.id)
        assert Client(recorded.address, recorded.user_agent) == HOME

    def test_the_owner_has_a_letter_that_tells_their_own_doing_from_somebody_elses(self, world):
        before = datetime.now(UTC).replace(microsecond=0)

        world.announce(PasswordChanged(user=ADA))

        [letter] = world.outbox.letters
        assert (letter.kind, letter.recipient) == (LetterKind.PASSWORD_CHANGED, ADA.email)
        assert letter.params["address"] == "192.0.2.1"
        assert letter.params["user_agent"] == "Browser/1.0"
        at = datetime.fromisoformat(letter.params["at"])
        assert before <= at <= before + timedelta(minutes=1)

    def test_circumstances_that_are_not_known_are_empty(self, world):
        world.request.environ, world.request.remote_addr = {}, None

        world.announce(PasswordChanged(user=ADA))

        [letter] = world.outbox.letters
        assert (letter.params["address"], letter.params["user_agent"]) == ("", "")

    def test_what_an_administrator_did_says_when_and_by_whom_but_not_from_where(self, world):
        """Address and browser are the administrator's."""
        admin = replace(ADA, id=UUID(int=2), email="root@example.com")

        world.announce(SecondFactorDisabled(user=ADA, by=admin))

        [letter] = world.outbox.letters
        said = {"name": ADA.name, "email": ADA.email, "by": "administrator"}
        at = letter.params["at"]
        assert datetime.fromisoformat(at).tzinfo is not None
        assert letter.params == said | {"at": at, "address": "", "user_agent": ""}
        [recorded] = world.events.events
        assert Client(recorded.address, recorded.user_agent) == HOME

    def test_what_has_no_letter_sends_none(self, world):
        world.announce(HAPPENED)

        assert world.outbox.letters == []

    @pytest.mark.parametrize("subscribed", [SignedOut, AccountEvent])
    def test_the_application_is_told_and_given_the_request(self, world, subscribed):
        told: list[AccountEvent] = []
        world.config.add_subscriber(told.append, subscribed)
        world.config.add_subscriber(told.append, PasswordChanged)

        world.announce(HAPPENED)

        assert told == [HAPPENED]
        assert told[0].request is world.request
        assert HAPPENED.request is None

    def test_a_subscriber_that_fails_fails_the_request(self, world):
        world.config.add_subscriber(lambda event: 1 / 0, SignedOut)

        with pytest.raises(ZeroDivisionError):
            world.announce(HAPPENED)
        world.request.tm.commit()

        assert world.lines == []

    def test_a_failure_is_logged_also_if_a_subscriber_fails(self, world):
        world.config.add_subscriber(lambda event: 1 / 0, SignInFailed)

        with pytest.raises(ZeroDivisionError):
            world.announce(FAILED)
        world.request.tm.abort()

        assert len(world.lines) == len(world.events.events) == 1

    @pytest.mark.parametrize("by", [None, ADA], ids=["in the account", "as an administrator"])
    def test_of_who_deleted_their_own_account_only_the_id_is_kept(self, world, by):
        world.announce(UserDeleted(user=ADA, by=by))

        [recorded] = world.events.events
        assert recorded.details == {"id": str(ADA.id)}
        assert (recorded.address, recorded.user_agent) == (None, None)

    def test_who_deleted_somebody_elses_account_is_written_down(self, world):
        admin = replace(ADA, id=UUID(int=2), email="root@example.com")

        world.announce(UserDeleted(user=ADA, by=admin))

        [recorded] = world.events.events
        assert (recorded.details, recorded.by) == ({"id": str(ADA.id)}, admin.id)
        assert Client(recorded.address, recorded.user_agent) == HOME

    def test_it_is_logged_once_after_the_commit(self, world):
        world.announce(HAPPENED)
        assert world.lines == []

        world.request.tm.commit()

        assert len(world.lines) == 1

    def test_it_is_never_logged_after_a_rollback(self, world):
        world.announce(HAPPENED)

        world.request.tm.abort()

        assert world.lines == []

    def test_nor_where_the_commit_failed(self, world):
        world.announce(HAPPENED)
        world.request.tm.get().join(UnwillingData())

        with pytest.raises(OSError, match="the disk is full"):
            world.request.tm.commit()

        assert world.lines == []

    @pytest.mark.parametrize("end", ["commit", "abort"])
    def test_a_failure_is_logged_at_once_and_once(self, world, end):
        world.announce(FAILED)
        assert len(world.lines) == 1

        getattr(world.request.tm, end)()

        assert len(world.lines) == 1


class TestInACommand:
    @pytest.fixture
    def announcer(self, world):
        return CommandAnnouncer(EventAnnouncer(world.events, world.outbox))

    def test_it_is_written_down_from_nowhere_and_has_its_letter(self, world, announcer):
        announcer.announce(PasswordChanged(user=ADA))

        [recorded] = world.events.events
        assert (recorded.address, recorded.user_agent) == (None, None)
        assert [letter.kind for letter in world.outbox.letters] == [LetterKind.PASSWORD_CHANGED]

    def test_it_is_logged_once_after_the_commit(self, world, announcer):
        announcer.announce(HAPPENED)
        announcer.announce(PasswordChanged(user=ADA))
        assert world.lines == []

        for _ in range(2):
            announcer.committed()

        assert [said_in(line)["event"] for line in world.lines] == [
            "signed_out",
            "password_changed",
        ]

    def test_a_failure_is_logged_at_once_and_once(self, world, announcer):
        announcer.announce(FAILED)
        assert len(world.lines) == 1

        announcer.committed()

        assert len(world.lines) == 1


class TestWhereEachStatementIsCommitted:
    def test_it_is_written_down_and_logged_from_nowhere(self, world):
        EventAnnouncer(world.events, world.outbox).announce(PasswordChanged(user=ADA))

        [recorded] = world.events.events
        assert (recorded.address, recorded.user_agent) == (None, None)
        assert [letter.kind for letter in world.outbox.letters] == [LetterKind.PASSWORD_CHANGED]
        assert len(world.lines) == 1


def said_in(line: str) -> Any:
    return json.loads(line.partition(" ")[2])


class TestLine:
    def line(self, world, event, client=HOME):
        log_event(event, client)
        [line] = world.lines
        return line

    def test_it_is_a_name_of_the_vocabulary_and_json(self, world):
        line = self.line(world, SignedIn(user=ADA, new_device=True))

        assert line.partition(" ")[0] == "authn_login_success"
        assert said_in(line) == {
            "event": "signed_in",
            "user": str(ADA.id),
            "by": None,
            "address": "192.0.2.1",
            "user_agent": "Browser/1.0",
            "new_device": True,
            "second_factor": False,
        }

    def test_it_names_the_administrator(self, world):
        admin = UUID(int=2)
        event = RoleChanged(
            user=ADA,
            by=replace(ADA, id=admin, role=Role.ADMIN),
            old_role=Role.MEMBER,
            new_role=Role.ADMIN,
        )

        said = said_in(self.line(world, event))

        assert said["by"] == str(admin)
        assert (said["old_role"], said["new_role"]) == ("member", "admin")

    def test_it_may_be_about_nobody_from_nowhere(self, world):
        said = said_in(self.line(world, SignInFailed(user=None), Client(None, None)))

        assert (said["user"], said["address"], said["user_agent"]) == (None, None, None)

    @pytest.mark.parametrize(
        ("event", "level"),
        [
            (HAPPENED, logging.INFO),
            (FAILED, logging.WARNING),
            (Throttled(user=None, action="sign_in"), logging.WARNING),
        ],
    )
    def test_failures_are_warnings(self, world, event, level):
        self.line(world, event)

        assert [record.levelno for record in world.log.records] == [level]

    @pytest.mark.parametrize("nasty", NASTY)
    def test_it_is_one_line_of_plain_ascii_whatever_the_client_says(self, world, nasty):
        line = self.line(world, HAPPENED, Client(nasty, nasty))

        assert line.isascii()
        assert line.isprintable()
        assert said_in(line)["user_agent"] == nasty

    @pytest.mark.parametrize("nasty", NASTY)
    def test_also_by_way_of_a_request(self, world, nasty):
        world.request.environ["HTTP_USER_AGENT"] = nasty

        world.announce(FAILED)

        [line] = world.lines
        assert line.isascii()
        assert line.isprintable()
        assert said_in(line)["event"] == "sign_in_failed"

    @pytest.mark.parametrize(
        "event",
        [
            HAPPENED,
            FAILED,
            EmailChangeRequested(user=ADA, new_email="new@example.com"),
            EmailChanged(user=ADA, old_email="old@example.com"),
        ],
    )
    def test_neither_names_nor_addresses_of_mail_stand_in_it(self, world, event):
        line = self.line(world, event)

        assert "Ada" not in line
        assert "example.com" not in line
