from uuid import uuid4

import bcrypt
import pytest

from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem, UserNotFound
from authapp.domain.events import SignInFailed, Throttled, WrongPassword
from authapp.domain.throttle import TooManyAttempts
from authapp.domain.visitors import Visitor
from authapp.security.passwords import BcryptHasher
from tests.fakes import RecordingHasher
from tests.unit.services.support import (
    COSTLIER,
    EMAIL,
    HASHER,
    HOME,
    PASSWORD,
    QUARTER,
    browser,
    codes,
)

UNSTORABLE = ["correct\0horse", "\0", "correct horse\0", "\ud800", "correct \udfff horse"]


class TestAuthenticate:
    @pytest.mark.parametrize("email", [EMAIL, "ADA@EXAMPLE.COM", f"  {EMAIL}\n", "Ada@example.com"])
    def test_the_user_is_found_whatever_the_case_and_the_space_around(self, passwords, ada, email):
        assert passwords.authenticate(email, PASSWORD, HOME).user == ada

    @pytest.mark.parametrize(
        "password",
        [
            PASSWORD.upper(),
            PASSWORD + " ",
            " " + PASSWORD,
            PASSWORD[:-1],
            PASSWORD + "y",
            PASSWORD.replace(" ", "\u00a0"),
        ],
    )
    def test_a_password_is_verified_exactly(self, passwords, ada, password):
        with pytest.raises(InvalidCredentials):
            passwords.authenticate(EMAIL, password, HOME)

    @pytest.mark.parametrize("length", [72, 73, 100, 255])
    def test_also_beyond_what_bcrypt_reads(self, passwords, users, length):
        password = "p" * length
        users.add("Ada", EMAIL, HASHER.hash(password))

        for wrong in (password + "p", password[:-1], password[:-1] + "q"):
            with pytest.raises(InvalidCredentials):
                passwords.authenticate(EMAIL, wrong, HOME)

    def test_unknown_wrong_and_disabled_look_the_same_and_cost_one_hash_each(
        self, ports, passwords, users, ada
    ):
        disabled = users.add("Bo", "bo@example.com", HASHER.hash(PASSWORD))
        users.disable(disabled.id)
        outcomes = []
        attempts = [
            ("nobody@example.com", PASSWORD),
            ("not even an address", PASSWORD),
            (EMAIL, "wrong"),
            ("bo@example.com", PASSWORD),
            ("bo@example.com", "wrong"),
        ]
        for email, password in attempts:
            ports.steps.clear()
            with pytest.raises(InvalidCredentials) as refused:
                passwords.authenticate(email, password, HOME)
            outcomes.append((refused.value.args, tuple(ports.steps)))

        assert set(outcomes) == {((), ("take", "verify"))}

    def test_the_right_password_of_a_disabled_account_is_as_good_as_none(self, ports, users):
        disabled = users.add("Bo", "bo@example.com", HASHER.hash(PASSWORD))
        users.disable(disabled.id)
        compared = []

        class Hasher(BcryptHasher):
            def verify(self, password, password_hash):
                compared.append(password_hash)
                return super().verify(password, password_hash)

        with pytest.raises(InvalidCredentials):
            ports.passwords(Hasher(5)).authenticate("bo@example.com", PASSWORD, HOME)

        assert compared == [None]

    def test_a_hash_that_is_none_looks_the_same_too(self, passwords, users, steps):
        users.add("Ada", EMAIL, "!")
        steps.clear()

        with pytest.raises(InvalidCredentials):
            passwords.authenticate(EMAIL, "!", HOME)

        assert steps == ["take", "verify"]

    def test_signing_in_costs_one_hash_as_well(self, passwords, ada, steps):
        passwords.authenticate(EMAIL, PASSWORD, HOME)

        assert [step for step in steps if step in {"verify", "hash"}] == ["verify"]

    def test_attempts_are_counted_first_and_forgiven_before_the_account_is_held(
        self, passwords, ada, steps
    ):
        """Who holds an account has a connection, and must not wait for a second one."""
        passwords.authenticate(EMAIL, PASSWORD, HOME)

        assert steps == ["take", "verify", "clear", "give back", "confirm"]

    @pytest.mark.parametrize("password", ["p" * 257, "p" * 1_000_000, "🙂" * 257, "", *UNSTORABLE])
    @pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
    def test_what_no_account_could_have_is_refused_before_any_hashing(
        self, passwords, ada, steps, email, password
    ):
        with pytest.raises(InvalidInput) as refused:
            passwords.authenticate(email, password, HOME)

        assert list(refused.value.problems) == ["password"]
        assert steps == []

    @pytest.mark.parametrize("email", ["", "  ", "a" * 255, "a\0@example.com", "\ud800@b.c"])
    def test_nor_is_an_impossible_address_looked_up(self, passwords, steps, email):
        with pytest.raises(InvalidInput) as refused:
            passwords.authenticate(email, PASSWORD, HOME)

        assert list(refused.value.problems) == ["email"]
        assert steps == []

    def test_all_that_is_wrong_is_said_at_once(self, passwords):
        with pytest.raises(InvalidInput) as refused:
            passwords.authenticate("", "", HOME)

        assert codes(refused) == {"email": ["required"], "password": ["required"]}

    @pytest.mark.parametrize("password", ["a", "short", "password", EMAIL])
    def test_a_password_that_today_would_be_refused_still_signs_in(
        self, passwords, users, password
    ):
        user = users.add("Ada", EMAIL, HASHER.hash(password))

        assert passwords.authenticate(EMAIL, password, HOME).user == user


class TestUpgradeAtSignIn:
    @pytest.fixture
    def costlier(self, ports):
        return ports.passwords(COSTLIER)

    def stored_hash(self, users):
        return users.credentials(EMAIL).password_hash

    def test_a_hash_of_a_lower_cost_is_replaced(self, costlier, users, ada, steps):
        costlier.authenticate(EMAIL, PASSWORD, HOME)

        assert steps == ["take", "verify", "clear", "give back", "hash", "replace", "confirm"]
        assert self.stored_hash(users).startswith("$2b$05$")

    def test_the_new_hash_is_of_the_same_password(self, costlier, ada):
        costlier.authenticate(EMAIL, PASSWORD, HOME)

        assert costlier.authenticate(EMAIL, PASSWORD, HOME).user == ada
        with pytest.raises(InvalidCredentials):
            costlier.authenticate(EMAIL, PASSWORD + " ", HOME)

    def test_what_comes_back_has_the_new_hash(self, costlier, users, ada):
        found = costlier.authenticate(EMAIL, PASSWORD, HOME)

        assert found == users.credentials(EMAIL)

    def test_it_happens_once(self, costlier, ada, steps):
        costlier.authenticate(EMAIL, PASSWORD, HOME)
        steps.clear()

        costlier.authenticate(EMAIL, PASSWORD, HOME)

        assert "hash" not in steps
        assert "replace" not in steps

    @pytest.mark.parametrize("prefix", ["$2a$", "$2y$"])
    def test_a_hash_from_another_system_is_replaced(self, passwords, users, prefix):
        imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        user = users.add("Ada", EMAIL, prefix + imported.removeprefix("$2b$"))

        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == user

        assert self.stored_hash(users).startswith("$2b$04$")
        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == user

    def test_an_ordinary_hash_from_another_system_is_good_as_it_is(self, passwords, users):
        imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        users.add("Ada", EMAIL, imported)

        passwords.authenticate(EMAIL, PASSWORD, HOME)

        assert self.stored_hash(users) == imported

    def test_a_hash_of_a_higher_cost_stays(self, passwords, users):
        users.add("Ada", EMAIL, COSTLIER.hash(PASSWORD))
        before = self.stored_hash(users)

        passwords.authenticate(EMAIL, PASSWORD, HOME)

        assert self.stored_hash(users) == before

    @pytest.mark.parametrize("password", ["wrong", PASSWORD + " "])
    def test_a_failure_upgrades_nothing(self, costlier, users, ada, password):
        before = self.stored_hash(users)

        with pytest.raises(InvalidCredentials):
            costlier.authenticate(EMAIL, password, HOME)

        assert self.stored_hash(users) == before

    def test_nor_does_a_disabled_account(self, costlier, users, ada):
        users.disable(ada.id)
        before = self.stored_hash(users)

        with pytest.raises(InvalidCredentials):
            costlier.authenticate(EMAIL, PASSWORD, HOME)

        assert self.stored_hash(users) == before

    def test_a_password_that_is_changed_meanwhile_is_not_changed_back(self, ports, users, ada):
        changed = HASHER.hash("the new password")

        class ChangingHasher(RecordingHasher):
            def hash(self, password):
                users.replace_password_hash(ada.id, users.credentials(EMAIL).password_hash, changed)
                return super().hash(password)

        with pytest.raises(InvalidCredentials):
            ports.passwords(ChangingHasher(COSTLIER, [])).authenticate(EMAIL, PASSWORD, HOME)

        assert self.stored_hash(users) == changed


class TestConfirmationAtSignIn:
    """A sign-in that was verified before a change of the password must not outlive it."""

    class MeanwhileHasher:
        """Lets something happen while a password is being verified for the first time."""

        def __init__(self, meanwhile):
            self._meanwhile = meanwhile

        def verify(self, password, password_hash):
            matches = HASHER.verify(password, password_hash)
            meanwhile, self._meanwhile = self._meanwhile, lambda: None
            meanwhile()
            return matches

        def hash(self, password):
            return HASHER.hash(password)

        def needs_upgrade(self, password_hash):
            return False

    def passwords_while(self, ports, meanwhile):
        return ports.passwords(self.MeanwhileHasher(meanwhile))

    def test_the_old_password_no_longer_signs_in(self, ports, users, ada):
        old = users.credentials(EMAIL).password_hash
        passwords = self.passwords_while(
            ports, lambda: users.replace_password_hash(ada.id, old, HASHER.hash("another one"))
        )

        with pytest.raises(InvalidCredentials):
            passwords.authenticate(EMAIL, PASSWORD, HOME)

    def test_nor_does_an_account_that_was_disabled(self, ports, users, ada):
        passwords = self.passwords_while(ports, lambda: users.disable(ada.id))

        with pytest.raises(InvalidCredentials):
            passwords.authenticate(EMAIL, PASSWORD, HOME)

    def test_another_hash_of_the_same_password_does_no_harm(self, ports, users, ada):
        old = users.credentials(EMAIL).password_hash
        passwords = self.passwords_while(
            ports, lambda: users.replace_password_hash(ada.id, old, HASHER.hash(PASSWORD))
        )

        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == ada

    def test_an_address_that_is_another_accounts_by_then_does_not_sign_in_to_that(
        self, ports, users, ada
    ):
        def swap():
            users.change_email(ada.id, "other@example.com")
            users.replace_password_hash(ada.id, old, "changed")
            users.add("Eve", EMAIL, HASHER.hash(PASSWORD))

        old = users.credentials(EMAIL).password_hash

        with pytest.raises(InvalidCredentials):
            self.passwords_while(ports, swap).authenticate(EMAIL, PASSWORD, HOME)


class TestThrottlingOfSignIns:
    """The account has three attempts, an address of the network five."""

    AWAY = Visitor("198.51.100.7")

    def fail(self, passwords, times, email=EMAIL, visitor=HOME):
        for _ in range(times):
            with pytest.raises(InvalidCredentials):
                passwords.authenticate(email, "wrong", visitor)

    def test_after_too_many_failures_the_right_password_is_not_even_compared(
        self, passwords, ada, steps
    ):
        self.fail(passwords, 3)
        steps.clear()

        with pytest.raises(TooManyAttempts) as refused:
            passwords.authenticate(EMAIL, PASSWORD, HOME)

        assert steps == ["take"]
        assert refused.value.retry_after == QUARTER

    def test_it_works_again_when_the_time_is_over(self, ports, passwords, ada):
        self.fail(passwords, 3)
        ports.throttle.now += QUARTER

        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == ada

    @pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
    def test_known_and_unknown_accounts_are_limited_alike(self, passwords, ada, email):
        self.fail(passwords, 3, email)

        with pytest.raises(TooManyAttempts):
            passwords.authenticate(email.upper(), "wrong", self.AWAY)

    def test_one_address_cannot_try_many_accounts(self, passwords, ada):
        for number in range(5):
            self.fail(passwords, 1, f"user{number}@example.com")

        with pytest.raises(TooManyAttempts):
            passwords.authenticate(EMAIL, PASSWORD, HOME)
        assert passwords.authenticate(EMAIL, PASSWORD, self.AWAY).user == ada

    def test_a_success_forgives_the_account_and_takes_nothing_from_the_address(
        self, passwords, ada
    ):
        for _ in range(2):
            self.fail(passwords, 2)
            passwords.authenticate(EMAIL, PASSWORD, HOME)

        self.fail(passwords, 1)  # The fifth from this address.
        with pytest.raises(TooManyAttempts):
            passwords.authenticate(EMAIL, PASSWORD, HOME)

    def test_the_owner_gets_in_from_a_known_browser_while_the_account_is_attacked(
        self, passwords, ada
    ):
        self.fail(passwords, 3, visitor=self.AWAY)

        known = Visitor(self.AWAY.address, [browser(ada)])
        assert passwords.authenticate(EMAIL, PASSWORD, known).user == ada
        with pytest.raises(TooManyAttempts):
            passwords.authenticate(EMAIL, PASSWORD, self.AWAY)

    def test_a_known_browser_has_attempts_of_its_own_and_then_those_of_any_other(
        self, passwords, ada
    ):
        known = Visitor(HOME.address, [browser(ada)])
        self.fail(passwords, 3 + 3, visitor=known)

        with pytest.raises(TooManyAttempts):
            passwords.authenticate(EMAIL, PASSWORD, known)

    def test_a_browser_that_another_account_knows_is_like_any_other(self, users, passwords, ada):
        eve = users.add("Eve", "eve@example.com", "hash")
        self.fail(passwords, 3)

        with pytest.raises(TooManyAttempts):
            passwords.authenticate(EMAIL, PASSWORD, Visitor(HOME.address, [browser(eve)]))

    def test_each_account_that_shares_a_browser_has_attempts_of_its_own_with_it(
        self, users, passwords, ada
    ):
        eve = users.add("Eve", "eve@example.com", HASHER.hash(PASSWORD))
        shared = Visitor(HOME.address, [browser(eve), browser(ada)])
        self.fail(passwords, 3, visitor=self.AWAY)
        self.fail(passwords, 3, "eve@example.com", visitor=Visitor("203.0.113.9"))
        self.fail(passwords, 2, visitor=shared)
        self.fail(passwords, 2, "eve@example.com", visitor=shared)

        assert passwords.authenticate(EMAIL, PASSWORD, shared).user == ada
        assert passwords.authenticate("eve@example.com", PASSWORD, shared).user == eve

    def test_a_browser_from_before_the_password_was_changed_is_like_any_other(
        self, users, passwords, ada
    ):
        known = Visitor(self.AWAY.address, [browser(ada)])
        old = users.credentials(EMAIL).password_hash
        users.change_password(ada.id, old, HASHER.hash("another one"))
        self.fail(passwords, 3)

        with pytest.raises(TooManyAttempts):
            passwords.authenticate(EMAIL, "another one", known)

    def test_a_browser_stays_known_when_the_hash_is_upgraded(self, ports, users, ada):
        known = Visitor(self.AWAY.address, [browser(ada)])
        passwords = ports.passwords(COSTLIER)
        passwords.authenticate(EMAIL, PASSWORD, HOME)
        assert users.credentials(EMAIL).password_hash.startswith("$2b$05$")
        self.fail(passwords, 3)

        assert passwords.authenticate(EMAIL, PASSWORD, known).user == ada

    def test_what_is_refused_as_impossible_is_not_counted(self, ports, passwords):
        for _ in range(10):
            with pytest.raises(InvalidInput):
                passwords.authenticate(EMAIL, "", HOME)

        assert ports.throttle.counters == {}

    def test_failures_are_told_and_a_flood_of_them_once(self, ports, passwords, ada):
        self.fail(passwords, 3)
        for _ in range(2):
            with pytest.raises(TooManyAttempts):
                passwords.authenticate(EMAIL, PASSWORD, HOME)

        failed = SignInFailed(user=ada)
        assert ports.announcer.events == [*[failed] * 3, Throttled(user=ada, action="sign_in")]

    def test_a_failure_at_no_known_account_is_told_of_without_what_was_typed(
        self, ports, passwords
    ):
        self.fail(passwords, 1, "nobody@example.com")

        assert ports.announcer.events == [SignInFailed(user=None)]


class TestCheckCurrent:
    def test_the_password_of_the_account_passes(self, passwords, users, ada):
        assert passwords.check_current(ada.id, PASSWORD) == users.credentials(EMAIL)

    @pytest.mark.parametrize(
        ("password", "code"),
        [
            ("wrong", "wrong_password"),
            ("", "required"),
            ("\0", "bad_characters"),
            ("x" * 257, "too_long"),
        ],
    )
    def test_another_does_not(self, passwords, ada, password, code):
        with pytest.raises(InvalidInput) as refused:
            passwords.check_current(ada.id, password)

        assert codes(refused) == {"current_password": [code]}

    def test_what_else_is_wrong_is_said_before_anything_is_counted_or_compared(
        self, passwords, ada, steps
    ):
        with pytest.raises(InvalidInput) as refused:
            passwords.check_current(ada.id, "", new_email=[Problem("bad_email")])

        assert codes(refused) == {"current_password": ["required"], "new_email": ["bad_email"]}
        assert steps == []

    def test_guessing_is_limited_and_told_of(self, ports, passwords, ada):
        for _ in range(3):
            with pytest.raises(InvalidInput):
                passwords.check_current(ada.id, "wrong")
        for _ in range(2):
            with pytest.raises(TooManyAttempts):
                passwords.check_current(ada.id, PASSWORD)

        wrong, throttled = WrongPassword(user=ada), Throttled(user=ada, action="password")
        assert ports.announcer.events == [wrong, wrong, wrong, throttled]

    def test_the_right_one_forgives_what_came_before(self, passwords, ada):
        for _ in range(3):
            with pytest.raises(InvalidInput):
                passwords.check_current(ada.id, "wrong")
            passwords.check_current(ada.id, PASSWORD)

    def test_the_limit_is_not_that_of_signing_in(self, passwords, ada):
        for _ in range(3):
            with pytest.raises(InvalidInput):
                passwords.check_current(ada.id, "wrong")

        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == ada

    def test_a_user_who_is_gone_is_an_error(self, passwords):
        with pytest.raises(UserNotFound):
            passwords.check_current(uuid4(), PASSWORD)
