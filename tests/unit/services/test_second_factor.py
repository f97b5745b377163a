"""The use cases of second factors, with time at the test's disposal."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pyotp
import pytest

from authapp.domain.errors import InvalidCredentials, InvalidInput, UserNotFound
from authapp.domain.mail import LetterKind
from authapp.domain.second_factor import (
    AlreadyOn,
    CannotTurnOff,
    CannotUnseal,
    NotSetUp,
    SecondFactorPolicy,
    SignInExpired,
)
from authapp.domain.sessions import SessionEnded
from authapp.domain.throttle import Limits, Rate, TooManyAttempts
from authapp.domain.users import Role, User
from authapp.domain.visitors import Visitor
from authapp.security.authenticators import TotpAuthenticators
from authapp.security.passwords import BcryptHasher
from authapp.security.sealing import SecretSealer
from authapp.services.attempts import Attempts
from authapp.services.codes import Codes
from authapp.services.passwords import Passwords
from authapp.services.revocations import Revocations
from authapp.services.second_factor import SecondFactors
from tests.fakes import InMemoryUserRepository
from tests.fakes_accounts import (
    InMemoryOutbox,
    InMemorySecondFactors,
    InMemoryThrottle,
    InMemoryTokens,
    RecordingAnnouncer,
)
from tests.unit.services.support import browser

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
HASHER = BcryptHasher(4)
HOME = Visitor("192.0.2.1")
WRONG = "000000"
STEP = timedelta(seconds=30)
OLD, NEW = "an old secret of enough characters", "a new secret, of enough characters"


@dataclass
class Clock:
    time: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@dataclass
class EndedSessions:
    """What second factors need of a directory of sessions; those in `ended` are alive no more."""

    calls: list[tuple[UUID, UUID | None]] = field(default_factory=list)
    ended: set[UUID] = field(default_factory=set)

    def revoke_of_user(self, user_id: UUID, *, keep: UUID | None = None) -> int:
        self.calls.append((user_id, keep))
        return 0

    def hold(self, session_id: UUID) -> bool:
        return session_id not in self.ended


class World:
    """Ada and her authenticator before the use cases."""

    def __init__(self) -> None:
        self.users = InMemoryUserRepository()
        self.factors = InMemorySecondFactors(self.users)
        self.throttle = InMemoryThrottle()
        self.announcer = RecordingAnnouncer()
        self.sessions: Any = EndedSessions()
        self.outbox = InMemoryOutbox()
        self.clock = Clock()
        self.service = self.make()
        self.id = self.users.add("Ada", EMAIL, HASHER.hash(PASSWORD)).id
        self.secret = ""
        self.begun = ""

    def make(self, *secrets: str, required: bool = False) -> SecondFactors:
        limits = Limits(Rate(3, timedelta(minutes=15)), Rate(5, timedelta(minutes=15)))
        attempts = Attempts(self.throttle, limits, self.announcer)
        tokens = InMemoryTokens()
        authenticators, sealer = TotpAuthenticators("authapp"), SecretSealer(secrets or [OLD])
        codes = Codes(
            factors=self.factors,
            authenticators=authenticators,
            sealer=sealer,
            attempts=attempts,
            letters=self.outbox,
            clock=self.clock,
            announcer=self.announcer,
        )
        return SecondFactors(
            factors=self.factors,
            users=self.users,
            passwords=Passwords(self.users, HASHER, attempts, self.announcer),
            authenticators=authenticators,
            sealer=sealer,
            policy=SecondFactorPolicy(required),
            codes=codes,
            revocations=Revocations(self.sessions, tokens, self.outbox, self.announcer),
            clock=self.clock,
            announcer=self.announcer,
        )

    @property
    def ada(self) -> User:
        user = self.users.by_id(self.id)
        assert user is not None
        return user

    def code(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(self.clock.time + steps * STEP)

    def begin(self) -> None:
        set_up = self.service.begin(self.id)
        self.secret, self.begun = set_up.secret, set_up.fingerprint

    def confirm(self, code: str, *, keep: UUID | None = None) -> list[str]:
        return list(self.service.confirm(self.ada, self.begun, code, keep=keep))

    def turn_on(self) -> list[str]:
        """And lets the code that did it pass."""
        self.begin()
        codes = self.confirm(self.code())
        self.clock.time += 10 * STEP
        self.announcer.events.clear()
        self.sessions.calls.clear()
        return codes

    def pending(self) -> Any:
        found = self.users.credentials(EMAIL)
        assert found is not None
        return self.service.begin_sign_in(found)

    def disable(self, code: str, password: str = PASSWORD, visitor: Visitor = HOME) -> None:
        self.service.disable(self.ada, password, code, visitor)

    def renew(self, code: str, password: str = PASSWORD) -> list[str]:
        return list(self.service.renew_recovery_codes(self.ada, password, code, HOME))

    def sign_in(self, code: str, visitor: Visitor = HOME) -> User:
        return self.service.complete_sign_in(self.pending(), code, visitor)


@pytest.fixture
def world() -> World:
    return World()


def codes_of(refused):
    return {name: [p.code for p in found] for name, found in refused.value.problems.items()}


class TestSettingUp:
    def test_the_secret_is_stored_sealed_and_does_not_count(self, world: World):
        world.begin()

        sealed = world.factors.factors[world.id].sealed_secret
        assert world.secret.encode() not in sealed
        assert not world.ada.has_second_factor
        assert world.service.being_set_up(world.ada, world.begun).secret == world.secret

    def test_the_first_code_turns_it_on(self, world: World):
        world.begin()
        keep = uuid4()

        codes = world.confirm(world.code(), keep=keep)

        assert world.ada.has_second_factor
        assert len(codes) == world.service.count_recovery_codes(world.id) == 10
        assert world.sessions.calls == [(world.id, keep)]
        assert world.announcer.kinds == ["second_factor_enabled"]
        user = world.announcer.events[0].user
        assert user == world.ada

    @pytest.mark.parametrize(
        ("code", "problem"),
        [(WRONG, "wrong_code"), ("", "required"), ("a" * 24, "bad_totp_code")],
    )
    def test_another_does_not(self, world: World, code: str, problem: str):
        world.begin()

        with pytest.raises(InvalidInput) as refused:
            world.confirm(code)

        assert codes_of(refused) == {"code": [problem]}
        assert not world.ada.has_second_factor
        assert world.sessions.calls == []
        assert world.announcer.events == []

    def test_codes_are_not_guessed_without_end(self, world: World):
        world.begin()
        for _ in range(3):
            with pytest.raises(InvalidInput):
                world.confirm(WRONG)

        with pytest.raises(TooManyAttempts):
            world.confirm(world.code())

    def test_it_has_to_be_begun(self, world: World):
        with pytest.raises(NotSetUp):
            world.confirm(WRONG)
        with pytest.raises(NotSetUp):
            world.service.being_set_up(world.ada, world.begun)

    @pytest.mark.parametrize("fingerprint", [None, "", "another"])
    def test_only_who_has_begun_it_goes_on_with_it(self, world: World, fingerprint: str | None):
        world.begin()

        with pytest.raises(NotSetUp):
            world.service.being_set_up(world.ada, fingerprint)
        with pytest.raises(NotSetUp):
            world.service.confirm(world.ada, fingerprint, world.code(), keep=None)

        assert not world.ada.has_second_factor

    def test_a_session_that_has_ended_meanwhile_neither_begins_nor_confirms(self, world: World):
        world.begin()
        sealed, session_id = world.factors.factors[world.id].sealed_secret, uuid4()
        world.sessions.ended.add(session_id)

        with pytest.raises(SessionEnded):
            world.service.begin(world.id, session_id=session_id)
        with pytest.raises(SessionEnded):
            world.confirm(world.code(), keep=session_id)

        assert world.factors.factors[world.id].sealed_secret == sealed
        assert not world.ada.has_second_factor

    def test_a_secret_that_was_sealed_for_another_account_is_none(self, world: World):
        world.begin()
        eve = world.users.add("Eve", "eve@example.com", HASHER.hash(PASSWORD))
        hers = world.service.begin(eve.id)
        world.factors.factors[world.id] = replace(world.factors.factors[eve.id], user_id=world.id)

        with pytest.raises(NotSetUp):
            world.service.being_set_up(world.ada, hers.fingerprint)

    def test_it_is_not_begun_where_it_is_on(self, world: World):
        world.turn_on()
        sealed = world.factors.factors[world.id].sealed_secret

        with pytest.raises(AlreadyOn):
            world.service.begin(world.id)

        assert world.factors.factors[world.id].sealed_secret == sealed

    def test_it_is_not_shown_again_where_it_is_on(self, world: World):
        world.turn_on()

        with pytest.raises(NotSetUp):
            world.service.being_set_up(world.ada, world.begun)

    def test_a_request_that_has_not_heard_of_it_turns_it_on_no_second_time(self, world: World):
        world.begin()
        as_it_was = world.ada
        world.service.confirm(as_it_was, world.begun, world.code(), keep=None)
        world.clock.time += STEP

        with pytest.raises(NotSetUp):
            world.service.confirm(as_it_was, world.begun, world.code(), keep=None)

        assert world.announcer.kinds == ["second_factor_enabled"]

    def test_somebody_who_was_deleted_begins_nothing(self, world: World):
        world.users.delete(world.id)

        with pytest.raises(UserNotFound):
            world.service.begin(world.id)


class TestSigningIn:
    @pytest.mark.parametrize("steps", [-1, 0, 1])
    def test_a_code_of_now_signs_in(self, world: World, steps: int):
        world.turn_on()

        assert world.sign_in(world.code(steps)) == world.ada
        assert world.announcer.events == []

    @pytest.mark.parametrize("steps", [-2, 2])
    def test_an_earlier_or_later_one_does_not(self, world: World, steps: int):
        world.turn_on()

        with pytest.raises(InvalidCredentials):
            world.sign_in(world.code(steps))

        [failed] = world.announcer.events
        assert (failed.kind, failed.details) == ("sign_in_failed", {"second_factor": True})

    def test_a_code_is_good_once(self, world: World):
        world.turn_on()
        world.sign_in(world.code())

        with pytest.raises(InvalidCredentials):
            world.sign_in(world.code())
        with pytest.raises(InvalidCredentials):
            world.sign_in(world.code(-1))
        world.clock.time += STEP
        world.sign_in(world.code())

    def test_a_code_that_was_used_up_by_another_request_meanwhile_does_not(self, world: World):
        world.turn_on()
        world.factors.use = lambda *_: False  # type: ignore[method-assign]

        with pytest.raises(InvalidCredentials):
            world.sign_in(world.code())

        assert world.announcer.kinds == ["sign_in_failed"]

    def test_a_recovery_code_signs_in_once(self, world: World):
        codes = world.turn_on()

        assert world.sign_in(codes[0]) == world.ada

        [used] = world.announcer.events
        assert (used.kind, used.details) == ("recovery_code_used", {"left": 9})
        with pytest.raises(InvalidCredentials):
            world.sign_in(codes[0])

    @pytest.mark.parametrize(
        ("code", "problem"), [("", "required"), ("12345", "bad_code"), ("\0" * 24, "bad_code")]
    )
    def test_what_is_no_code_is_no_attempt(self, world: World, code: str, problem: str):
        world.turn_on()

        with pytest.raises(InvalidInput) as refused:
            world.sign_in(code)

        assert codes_of(refused) == {"code": [problem]}
        assert world.throttle.counters == {}

    def test_after_so_many_wrong_ones_no_code_is_looked_at(self, world: World):
        codes = world.turn_on()
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG)

        for code in (world.code(), codes[0]):
            with pytest.raises(TooManyAttempts):
                world.sign_in(code)

        assert world.announcer.kinds == [*["sign_in_failed"] * 3, "throttled"]
        world.throttle.now += timedelta(minutes=15)
        world.sign_in(world.code())

    def test_the_owner_gets_in_from_a_browser_that_is_known(self, world: World):
        world.turn_on()
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG)
        known = Visitor("192.0.2.7", [browser(world.ada)])

        assert world.sign_in(world.code(), known) == world.ada

    def test_a_known_browser_has_no_more_attempts_than_any_other_beside_its_own(self, world: World):
        world.turn_on()
        known = Visitor("192.0.2.7", [browser(world.ada)])
        for _ in range(6):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG, known)

        with pytest.raises(TooManyAttempts):
            world.sign_in(world.code(), known)

    def test_a_browser_that_is_known_to_others_has_none_of_its_own(self, world: World):
        world.turn_on()
        eve = world.users.add("Eve", "eve@example.com", "hash")
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG)

        with pytest.raises(TooManyAttempts):
            world.sign_in(world.code(), Visitor("192.0.2.7", [browser(eve)]))

    def test_a_browser_from_before_the_password_was_changed_has_none_either(self, world: World):
        world.turn_on()
        known = Visitor("192.0.2.7", [browser(world.ada)])
        old = world.users.credentials(EMAIL)
        assert old is not None
        world.users.change_password(world.id, old.password_hash, HASHER.hash("another one"))
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG)

        with pytest.raises(TooManyAttempts):
            world.sign_in(world.code(), known)

    def test_the_right_code_forgets_the_wrong_ones(self, world: World):
        world.turn_on()
        with pytest.raises(InvalidCredentials):
            world.sign_in(WRONG)

        world.sign_in(world.code())

        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG)

    def test_it_is_over_after_ten_minutes(self, world: World):
        world.turn_on()
        pending = world.pending()
        world.clock.time += timedelta(minutes=10)

        for act in (
            lambda: world.service.check_pending(pending),
            lambda: world.service.complete_sign_in(pending, world.code(), HOME),
        ):
            with pytest.raises(SignInExpired):
                act()

    def test_it_is_over_when_the_account_is_another(self, world: World):
        world.turn_on()
        pending = world.pending()
        found = world.users.credentials(EMAIL)
        assert found is not None
        world.users.replace_password_hash(world.id, found.password_hash, "another")

        with pytest.raises(SignInExpired):
            world.service.complete_sign_in(pending, world.code(), HOME)

    def test_it_is_over_when_the_account_becomes_another_meanwhile(self, world: World):
        """After it was looked at, and before it is held."""
        codes = world.turn_on()
        world.users.hold_unchanged = lambda credentials: False  # type: ignore[method-assign]

        for code in (world.code(), codes[0]):
            with pytest.raises(SignInExpired):
                world.sign_in(code)

        assert world.service.count_recovery_codes(world.id) == 10

    def test_it_is_over_when_the_account_is_deleted(self, world: World):
        world.turn_on()
        pending = world.pending()
        world.users.delete(world.id)

        with pytest.raises(SignInExpired):
            world.service.check_pending(pending)


class TestKeys:
    def test_a_secret_is_sealed_anew_by_todays_key_when_it_is_used(self, world: World):
        world.turn_on()
        world.service = world.make(NEW, OLD)
        world.sign_in(world.code())
        world.clock.time += STEP
        world.service = world.make(NEW)

        assert world.sign_in(world.code()) == world.ada

    def test_a_wrong_code_does_not_seal_it_anew(self, world: World):
        world.turn_on()
        sealed = world.factors.factors[world.id].sealed_secret
        world.service = world.make(NEW, OLD)

        with pytest.raises(InvalidCredentials):
            world.sign_in(WRONG)

        assert world.factors.factors[world.id].sealed_secret == sealed

    def test_a_secret_of_another_account_does_not_sign_in(self, world: World):
        """Who writes into the database puts their own into Ada's row."""
        world.turn_on()
        eve = world.users.add("Eve", "eve@example.com", HASHER.hash(PASSWORD))
        world.secret = world.service.begin(eve.id).secret
        world.factors.factors[world.id] = replace(world.factors.factors[eve.id], user_id=world.id)

        with pytest.raises(CannotUnseal):
            world.sign_in(world.code())

    def test_without_its_key_the_operator_is_told_and_recovery_codes_work(
        self, world: World, caplog: pytest.LogCaptureFixture
    ):
        codes = world.turn_on()
        world.service = world.make(NEW)

        with pytest.raises(CannotUnseal):
            world.sign_in(world.code())

        assert str(world.id) in caplog.text
        assert "session.secret" in caplog.text
        assert all(count == 0 for count, _ in world.throttle.counters.values())
        assert world.sign_in(codes[0]) == world.ada


WARNING = [LetterKind.SECOND_FACTOR_FAILED]


class TestTellingTheOwner:
    def kinds(self, world: World) -> list[LetterKind]:
        return [letter.kind for letter in world.outbox.letters]

    def fail(self, world: World, visitor: Visitor = HOME) -> None:
        with pytest.raises(InvalidCredentials):
            world.sign_in(WRONG, visitor)

    def test_a_wrong_code_is_told_by_mail_once_a_day(self, world: World):
        world.turn_on()
        self.fail(world)
        self.fail(world)

        [letter] = world.outbox.letters
        assert (letter.kind, letter.recipient, letter.user_id) == (*WARNING, EMAIL, world.id)
        assert letter.params == {"name": "Ada", "email": EMAIL}
        world.throttle.now += timedelta(days=1)
        self.fail(world)
        assert self.kinds(world) == WARNING * 2

    def test_the_right_code_in_between_makes_no_second_one(self, world: World):
        world.turn_on()
        self.fail(world)
        world.sign_in(world.code())
        self.fail(world)

        assert self.kinds(world) == WARNING

    def test_one_from_a_browser_that_is_known_is_not(self, world: World):
        world.turn_on()
        self.fail(world, Visitor("192.0.2.1", [browser(world.ada)]))

        assert self.kinds(world) == []
        eve = world.users.add("Eve", "eve@example.com", "hash")
        self.fail(world, Visitor("192.0.2.1", [browser(eve)]))
        assert self.kinds(world) == WARNING

    def test_what_is_no_code_or_was_not_looked_at_is_not(self, world: World):
        world.turn_on()
        with pytest.raises(InvalidInput):
            world.sign_in("12345")
        world.service = world.make(NEW)
        with pytest.raises(CannotUnseal):
            world.sign_in(WRONG)

        assert self.kinds(world) == []

    def test_a_wrong_one_to_turn_it_off_is(self, world: World):
        world.turn_on()

        with pytest.raises(InvalidInput):
            world.disable(WRONG)

        assert world.announcer.kinds == ["wrong_code"]
        assert self.kinds(world) == WARNING


class TestGuessingSlowly:
    """However far apart the wrong codes are: there are no more than a hundred."""

    def fail_until_refused(self, world: World, visitor: Visitor = HOME) -> int:
        for tried in range(200):
            world.throttle.now += timedelta(minutes=15)
            try:
                world.sign_in(WRONG, visitor)
            except InvalidCredentials:
                continue
            except TooManyAttempts:
                return tried
        raise AssertionError("it was never refused")

    def test_there_are_fifty_in_thirty_days(self, world: World):
        codes = world.turn_on()

        assert self.fail_until_refused(world) == 50

        for code in (world.code(), codes[0]):
            with pytest.raises(TooManyAttempts) as refused:
                world.sign_in(code)
        assert refused.value.retry_after > timedelta(days=29)
        assert world.announcer.kinds.count("throttled") == 1
        world.throttle.now += timedelta(days=30)
        world.sign_in(world.code())

    def test_known_browsers_have_as_many_which_nobody_else_uses_up(self, world: World):
        world.turn_on()
        known = Visitor("192.0.2.7", [replace(browser(world.ada), id="a")])
        self.fail_until_refused(world)

        assert self.fail_until_refused(world, known) == 50
        other = Visitor("192.0.2.8", [replace(browser(world.ada), id="b")])
        with pytest.raises(TooManyAttempts):
            world.sign_in(world.code(), other)

    def test_the_right_code_in_any_browser_forgets_them(self, world: World):
        world.turn_on()
        self.fail_until_refused(world)

        world.sign_in(world.code(), Visitor("192.0.2.7", [browser(world.ada)]))

        world.clock.time += STEP
        assert world.sign_in(world.code()) == world.ada

    def test_those_refused_as_too_quick_are_not_counted(self, world: World):
        world.turn_on()
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                world.sign_in(WRONG)
        for _ in range(100):
            with pytest.raises(TooManyAttempts):
                world.sign_in(WRONG)
        world.throttle.now += timedelta(minutes=15)

        assert world.sign_in(world.code()) == world.ada

    def test_once_the_factor_was_reset_and_set_up_anew_there_are_all_of_them(self, world: World):
        world.turn_on()
        self.fail_until_refused(world)
        world.factors.remove(world.id)

        world.turn_on()

        assert world.sign_in(world.code()) == world.ada


class TestDoingWithout:
    @pytest.mark.parametrize(
        ("password", "code", "problems"),
        [
            ("wrong", None, {"current_password": ["wrong_password"]}),
            ("wrong", WRONG, {"current_password": ["wrong_password"]}),
            (PASSWORD, WRONG, {"code": ["wrong_code"]}),
            (PASSWORD, "a" * 24, {"code": ["wrong_code"]}),
            (PASSWORD, "12345", {"code": ["bad_code"]}),
            ("", "", {"current_password": ["required"], "code": ["required"]}),
        ],
    )
    @pytest.mark.parametrize("act", [World.disable, World.renew])
    def test_takes_both_factors(self, world: World, act, password, code, problems):
        old = world.turn_on()

        with pytest.raises(InvalidInput) as refused:
            act(world, world.code() if code is None else code, password)

        assert codes_of(refused) == problems
        assert world.ada.has_second_factor
        world.sign_in(world.code())
        world.sign_in(old[0])

    def test_forgets_all_of_it(self, world: World):
        world.turn_on()

        world.disable(world.code())

        assert not world.ada.has_second_factor
        assert world.factors.find(world.id) is None
        assert world.service.count_recovery_codes(world.id) == 0
        assert world.announcer.kinds == ["second_factor_disabled"]

    def test_takes_a_recovery_code_as_well_also_without_its_key(self, world: World):
        codes = world.turn_on()
        world.service = world.make(NEW)

        with pytest.raises(CannotUnseal):
            world.disable(world.code())
        world.disable(codes[0])

        assert not world.ada.has_second_factor
        assert world.announcer.kinds == ["recovery_code_used", "second_factor_disabled"]

    def test_takes_no_code_that_was_used(self, world: World):
        world.turn_on()
        world.sign_in(world.code())

        with pytest.raises(InvalidInput) as refused:
            world.disable(world.code())

        assert codes_of(refused) == {"code": ["wrong_code"]}

    def test_takes_no_code_that_another_request_uses_meanwhile(self, world: World):
        world.turn_on()
        world.factors.use = lambda *_: False  # type: ignore[method-assign]

        with pytest.raises(InvalidInput):
            world.disable(world.code())

        assert world.ada.has_second_factor

    def test_codes_are_not_guessed_without_end(self, world: World):
        codes = world.turn_on()
        for _ in range(3):
            with pytest.raises(InvalidInput):
                world.disable(WRONG)

        for code in (world.code(), codes[0]):
            with pytest.raises(TooManyAttempts):
                world.disable(code)
        with pytest.raises(TooManyAttempts):
            world.sign_in(world.code())
        assert world.ada.has_second_factor

    def test_is_refused_where_there_is_none(self, world: World):
        with pytest.raises(NotSetUp):
            world.disable(WRONG)

    def test_is_refused_to_a_session_that_has_ended_meanwhile(self, world: World):
        codes, session_id = world.turn_on(), uuid4()
        world.sessions.ended.add(session_id)

        for act in (world.service.disable, world.service.renew_recovery_codes):
            with pytest.raises(SessionEnded):
                act(world.ada, PASSWORD, codes[0], HOME, session_id=session_id)

        assert world.service.count_recovery_codes(world.id) == 10

    def test_is_refused_where_the_role_takes_it(self, world: World):
        world.turn_on()
        world.users._alter(world.id, role=Role.ADMIN)
        world.service = world.make(required=True)

        with pytest.raises(CannotTurnOff):
            world.disable(world.code())

        assert world.ada.has_second_factor


class TestRenewingRecoveryCodes:
    def test_makes_the_old_ones_void(self, world: World):
        old = world.turn_on()

        new = world.renew(world.code())

        assert not set(old) & set(new)
        assert world.announcer.kinds == ["recovery_codes_renewed"]
        with pytest.raises(InvalidCredentials):
            world.sign_in(old[0])
        world.sign_in(new[0])

    def test_uses_the_code_up(self, world: World):
        world.turn_on()
        world.renew(world.code())

        with pytest.raises(InvalidInput):
            world.renew(world.code())

    def test_needs_that_it_is_on(self, world: World):
        with pytest.raises(NotSetUp):
            world.renew(WRONG)
