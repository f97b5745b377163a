from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from authapp.domain.events import SessionsRevoked
from authapp.domain.sessions import SessionNotFound
from authapp.domain.users import Role, Status, User
from authapp.services.revocations import Revocations
from authapp.services.sessions import OwnSessions
from authapp.settings import load_session_settings
from tests.fakes_accounts import InMemoryOutbox, InMemoryTokens, RecordingAnnouncer
from tests.fakes_sessions import InMemorySessionDirectory

ADA = User(
    id=uuid4(),
    name="Ada",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
)
SETTINGS = load_session_settings({"session.secret": "not secret: the tests know it anyway"})


@pytest.fixture
def directory() -> InMemorySessionDirectory:
    return InMemorySessionDirectory(SETTINGS)


@pytest.fixture
def announcer() -> RecordingAnnouncer:
    return RecordingAnnouncer()


@pytest.fixture
def own_sessions(directory: InMemorySessionDirectory, announcer: RecordingAnnouncer) -> OwnSessions:
    revocations = Revocations(directory, InMemoryTokens(), InMemoryOutbox(), announcer)
    return OwnSessions(directory, revocations, announcer)


@pytest.fixture
def laptop(directory: InMemorySessionDirectory) -> UUID:
    return directory.add(uuid4(), ADA.id, unused_for=timedelta(minutes=2)).id


@pytest.fixture
def phone(directory: InMemorySessionDirectory) -> UUID:
    return directory.add(uuid4(), ADA.id, unused_for=timedelta(minutes=1)).id


@pytest.fixture
def foreign(directory: InMemorySessionDirectory) -> UUID:
    return directory.add(uuid4(), uuid4()).id


def test_a_users_own_sessions_are_listed_last_used_first(own_sessions, laptop, phone, foreign):
    assert [session.id for session in own_sessions.of_user(ADA.id)] == [phone, laptop]


def test_one_is_ended(own_sessions, directory, announcer, laptop, phone, foreign):
    own_sessions.end(ADA, phone)

    assert set(directory.rows) == {laptop, foreign}
    assert announcer.events == [SessionsRevoked(user=ADA, count=1, asked_for=True)]


def test_one_that_is_not_theirs_is_left_alone(own_sessions, directory, announcer, laptop, foreign):
    for session_id in (foreign, uuid4()):
        with pytest.raises(SessionNotFound):
            own_sessions.end(ADA, session_id)

    assert set(directory.rows) == {laptop, foreign}
    assert announcer.events == []


def test_one_that_has_ended_already_is_not_found(own_sessions, phone):
    own_sessions.end(ADA, phone)

    with pytest.raises(SessionNotFound):
        own_sessions.end(ADA, phone)


def test_all_others_are_ended_and_told_of_once(
    own_sessions, directory, announcer, laptop, phone, foreign
):
    assert own_sessions.end_others(ADA, keep=laptop) == 1
    assert own_sessions.end_others(ADA, keep=laptop) == 0

    assert set(directory.rows) == {laptop, foreign}
    assert announcer.events == [SessionsRevoked(user=ADA, count=1, asked_for=True)]
