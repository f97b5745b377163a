from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from authapp.domain.errors import ConfirmationRequired, InvalidInput, UserNotFound
from authapp.domain.events import IdentityConfirmed, WrongPassword
from authapp.domain.throttle import Limits, Rate, TooManyAttempts
from authapp.security.passwords import BcryptHasher
from authapp.services.attempts import Attempts
from authapp.services.confirmations import Confirmations
from authapp.services.passwords import Passwords
from tests.fakes import InMemoryUserRepository
from tests.fakes_accounts import InMemoryThrottle, RecordingAnnouncer

PASSWORD = "correct horse battery"
HOUR = timedelta(hours=1)
HASHER = BcryptHasher(4)


@dataclass
class StoppedClock:
    time: datetime = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


CLOCK = StoppedClock()


@pytest.fixture
def announcer():
    return RecordingAnnouncer()


@pytest.fixture
def users():
    return InMemoryUserRepository()


@pytest.fixture
def ada(users):
    return users.add("Ada", "ada@example.com", HASHER.hash(PASSWORD))


@pytest.fixture
def confirmations(users, announcer):
    rate = Rate(2, timedelta(minutes=15))
    attempts = Attempts(InMemoryThrottle(), Limits(rate, rate), announcer)
    passwords = Passwords(users, HASHER, attempts, announcer)
    return Confirmations(passwords, CLOCK, announcer, HOUR)


@pytest.mark.parametrize("ago", [timedelta(0), HOUR, -HOUR])
def test_what_was_confirmed_lately_is_good(confirmations, ago):
    confirmations.check(CLOCK.now() - ago)


@pytest.mark.parametrize("confirmed_at", [None, CLOCK.now() - HOUR - timedelta(microseconds=1)])
def test_what_was_not_is_not(confirmations, confirmed_at):
    with pytest.raises(ConfirmationRequired):
        confirmations.check(confirmed_at)


def test_the_right_password_confirms_and_tells_so(confirmations, announcer, ada):
    assert confirmations.confirm(ada.id, PASSWORD) == CLOCK.now()
    assert announcer.events == [IdentityConfirmed(user=ada)]


def test_a_wrong_one_does_not(confirmations, announcer, ada):
    with pytest.raises(InvalidInput):
        confirmations.confirm(ada.id, "wrong")

    assert announcer.events == [WrongPassword(user=ada)]


def test_nor_do_too_many(confirmations, ada):
    for _ in range(2):
        with pytest.raises(InvalidInput):
            confirmations.confirm(ada.id, "wrong")

    with pytest.raises(TooManyAttempts):
        confirmations.confirm(ada.id, PASSWORD)


def test_somebody_who_is_gone_cannot_confirm(confirmations):
    with pytest.raises(UserNotFound):
        confirmations.confirm(uuid4(), PASSWORD)
