from dataclasses import replace
from typing import Any
from uuid import uuid4

import bcrypt
import pytest

from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem, UserNotFound
from authapp.domain.passwords import PasswordPolicy
from authapp.domain.users import Role, Status
from authapp.security.passwords import BcryptHasher
from authapp.services.users import Accounts
from tests.fakes import InMemoryUserRepository, RecordingHasher

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
HASHER = BcryptHasher(4)
COSTLIER = BcryptHasher(5)
UNSTORABLE = ["correct\0horse", "\0", "correct horse\0", "\ud800", "correct \udfff horse"]


class RecordingUsers(InMemoryUserRepository):
    def __init__(self, events):
        super().__init__()
        self._events = events

    def add(self, name, email, password_hash):
        self._events.append("add")
        return super().add(name, email, password_hash)

    def replace_password_hash(self, user_id, old, new):
        self._events.append("replace")
        return super().replace_password_hash(user_id, old, new)


class EndedSessions:
    """The one method of a directory that the use cases of accounts need."""

    def __init__(self, events):
        self._events = events

    def revoke_of_user(self, user_id, *, keep=None):
        self._events.append(("revoke", user_id, keep))
        return 0


def ended_sessions(events) -> Any:
    return EndedSessions(events)


@pytest.fixture
def events():
    """What was done to passwords and users, in its order."""
    return []


@pytest.fixture
def users(events):
    return RecordingUsers(events)


@pytest.fixture
def accounts(users, events):
    return Accounts(
        users, ended_sessions(events), RecordingHasher(HASHER, events), PasswordPolicy(8)
    )


@pytest.fixture
def ada(users, events):
    user = users.add("Ada", EMAIL, HASHER.hash(PASSWORD))
    events.clear()
    return user


def codes(refused):
    return {name: [p.code for p in found] for name, found in refused.value.problems.items()}


class TestSignUp:
    def test_an_active_member_is_made(self, accounts, users):
        user = accounts.sign_up("Ada", EMAIL, PASSWORD)

        assert (user.name, user.email) == ("Ada", EMAIL)
        assert (user.role, user.status) == (Role.MEMBER, Status.ACTIVE)
        assert users.by_id(user.id) == user

    def test_the_new_user_can_sign_in(self, accounts):
        user = accounts.sign_up("Ada", EMAIL, PASSWORD)

        assert accounts.authenticate(EMAIL, PASSWORD) == user

    def test_the_password_is_not_kept(self, accounts, users):
        accounts.sign_up("Ada", EMAIL, PASSWORD)

        assert PASSWORD not in repr(users.credentials(EMAIL))

    @pytest.mark.parametrize("space", [" ", "\t", "\n", "\u00a0", "\u3000", " \r\n "])
    def test_name_and_address_are_trimmed(self, accounts, space):
        user = accounts.sign_up(f"{space}Ada Lovelace{space}", f"{space}{EMAIL}{space}", PASSWORD)

        assert (user.name, user.email) == ("Ada Lovelace", EMAIL)

    def test_the_password_is_not(self, accounts):
        accounts.sign_up("Ada", EMAIL, f" {PASSWORD} ")

        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, PASSWORD)
        accounts.authenticate(EMAIL, f" {PASSWORD} ")

    def test_the_address_keeps_its_case(self, accounts):
        assert accounts.sign_up("Ada", "Ada@Example.com", PASSWORD).email == "Ada@Example.com"

    @pytest.mark.parametrize(
        ("name", "email", "password", "expected"),
        [
            ("", EMAIL, PASSWORD, {"name": ["required"]}),
            (" \n ", EMAIL, PASSWORD, {"name": ["required"]}),
            ("a" * 101, EMAIL, PASSWORD, {"name": ["too_long"]}),
            ("A\0da", EMAIL, PASSWORD, {"name": ["bad_characters"]}),
            ("Ada", "", PASSWORD, {"email": ["required"]}),
            ("Ada", "ada", PASSWORD, {"email": ["bad_email"]}),
            ("Ada", "a" * 300, PASSWORD, {"email": ["too_long"]}),
            ("Ada", "ada\ud800@example.com", PASSWORD, {"email": ["bad_characters"]}),
            ("Ada", EMAIL, "", {"password": ["required"]}),
            ("Ada", EMAIL, "short", {"password": ["too_short"]}),
            ("Ada", EMAIL, "password", {"password": ["common_password"]}),
            ("Ada", EMAIL, "ada@example.com", {"password": ["own_word"]}),
            ("Ada", EMAIL, "a" * 257, {"password": ["too_long"]}),
            ("Ada", EMAIL, "correct\0horse", {"password": ["bad_characters"]}),
            ("", "", "", {"name": ["required"], "email": ["required"], "password": ["required"]}),
        ],
    )
    def test_what_is_wrong_is_said_by_field_before_any_hashing(
        self, accounts, events, name, email, password, expected
    ):
        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up(name, email, password)

        assert codes(refused) == expected
        assert events == []

    def test_the_password_is_compared_with_what_is_left_of_the_name(self, accounts):
        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up("  Ada Lovelace  ", EMAIL, "ada lovelace")

        assert codes(refused) == {"password": ["own_word"]}

    def test_the_policy_is_the_one_that_was_set(self, users):
        accounts = Accounts(users, ended_sessions([]), HASHER, PasswordPolicy(30))

        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up("Ada", EMAIL, PASSWORD)

        assert refused.value.problems == {"password": (Problem("too_short", {"minimum": 30}),)}

    def test_the_hash_is_made_before_anything_is_written(self, accounts, events):
        accounts.sign_up("Ada", EMAIL, PASSWORD)

        assert events == ["hash", "add"]

    @pytest.mark.parametrize("email", [EMAIL, "ADA@Example.com", f" {EMAIL} "])
    def test_an_address_that_is_taken_is_a_problem_of_the_field(self, accounts, users, ada, email):
        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up("Eve", email, "another horse battery")

        assert codes(refused) == {"email": ["email_taken"]}
        assert accounts.authenticate(EMAIL, PASSWORD) == ada

    def test_an_address_that_is_taken_takes_as_long_as_a_free_one(self, accounts, events, ada):
        with pytest.raises(InvalidInput):
            accounts.sign_up("Eve", EMAIL, "another horse battery")

        assert events == ["hash", "add"]

    @pytest.mark.parametrize("password", ["p" * 72, "p" * 73, "p" * 256, "🙂" * 64, "🙂" * 256])
    def test_long_passwords_work(self, accounts, password):
        user = accounts.sign_up("Ada", EMAIL, password)

        assert accounts.authenticate(EMAIL, password) == user


class TestAuthenticate:
    @pytest.mark.parametrize("email", [EMAIL, "ADA@EXAMPLE.COM", f"  {EMAIL}\n", "Ada@example.com"])
    def test_the_user_is_found_whatever_the_case_and_the_space_around(self, accounts, ada, email):
        assert accounts.authenticate(email, PASSWORD) == ada

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
    def test_a_password_is_verified_exactly(self, accounts, ada, password):
        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, password)

    @pytest.mark.parametrize("length", [72, 73, 100, 255])
    def test_also_beyond_what_bcrypt_reads(self, accounts, length):
        password = "p" * length
        accounts.sign_up("Ada", EMAIL, password)

        for wrong in (password + "p", password[:-1], password[:-1] + "q"):
            with pytest.raises(InvalidCredentials):
                accounts.authenticate(EMAIL, wrong)

    def test_unknown_wrong_and_disabled_look_the_same_and_cost_one_hash_each(
        self, accounts, users, ada, events
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
            events.clear()
            with pytest.raises(InvalidCredentials) as refused:
                accounts.authenticate(email, password)
            outcomes.append((refused.value.args, tuple(events)))

        assert set(outcomes) == {((), ("verify",))}

    def test_the_right_password_of_a_disabled_account_is_as_good_as_none(self, users):
        disabled = users.add("Bo", "bo@example.com", HASHER.hash(PASSWORD))
        users.disable(disabled.id)
        compared = []

        class Hasher(BcryptHasher):
            def verify(self, password, password_hash):
                compared.append(password_hash)
                return super().verify(password, password_hash)

        with pytest.raises(InvalidCredentials):
            Accounts(users, ended_sessions([]), Hasher(5), PasswordPolicy(8)).authenticate(
                "bo@example.com", PASSWORD
            )

        assert compared == [None]

    def test_a_hash_that_is_none_looks_the_same_too(self, accounts, users, events):
        users.add("Ada", EMAIL, "!")
        events.clear()

        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, "!")

        assert events == ["verify"]

    def test_signing_in_costs_one_hash_as_well(self, accounts, ada, events):
        accounts.authenticate(EMAIL, PASSWORD)

        assert events == ["verify"]

    @pytest.mark.parametrize("password", ["p" * 257, "p" * 1_000_000, "🙂" * 257, "", *UNSTORABLE])
    @pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
    def test_what_no_account_could_have_is_refused_before_any_hashing(
        self, accounts, ada, events, email, password
    ):
        with pytest.raises(InvalidInput) as refused:
            accounts.authenticate(email, password)

        assert list(refused.value.problems) == ["password"]
        assert events == []

    @pytest.mark.parametrize("email", ["", "  ", "a" * 255, "a\0@example.com", "\ud800@b.c"])
    def test_nor_is_an_impossible_address_looked_up(self, accounts, events, email):
        with pytest.raises(InvalidInput) as refused:
            accounts.authenticate(email, PASSWORD)

        assert list(refused.value.problems) == ["email"]
        assert events == []

    def test_all_that_is_wrong_is_said_at_once(self, accounts):
        with pytest.raises(InvalidInput) as refused:
            accounts.authenticate("", "")

        assert codes(refused) == {"email": ["required"], "password": ["required"]}

    @pytest.mark.parametrize("password", ["a", "short", "password", EMAIL])
    def test_a_password_that_today_would_be_refused_still_signs_in(self, accounts, users, password):
        user = users.add("Ada", EMAIL, HASHER.hash(password))

        assert accounts.authenticate(EMAIL, password) == user


class TestUpgradeAtSignIn:
    @pytest.fixture
    def costlier(self, users, events):
        return Accounts(
            users, ended_sessions([]), RecordingHasher(COSTLIER, events), PasswordPolicy(8)
        )

    def stored_hash(self, users):
        return users.credentials(EMAIL).password_hash

    def test_a_hash_of_a_lower_cost_is_replaced(self, costlier, users, ada, events):
        costlier.authenticate(EMAIL, PASSWORD)

        assert events == ["verify", "hash", "replace"]
        assert self.stored_hash(users).startswith("$2b$05$")

    def test_the_new_hash_is_of_the_same_password(self, costlier, ada):
        costlier.authenticate(EMAIL, PASSWORD)

        assert costlier.authenticate(EMAIL, PASSWORD) == ada
        with pytest.raises(InvalidCredentials):
            costlier.authenticate(EMAIL, PASSWORD + " ")

    def test_it_happens_once(self, costlier, ada, events):
        costlier.authenticate(EMAIL, PASSWORD)
        events.clear()

        costlier.authenticate(EMAIL, PASSWORD)

        assert events == ["verify"]

    @pytest.mark.parametrize("prefix", ["$2a$", "$2y$"])
    def test_a_hash_from_another_system_is_replaced(self, accounts, users, prefix):
        imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        user = users.add("Ada", EMAIL, prefix + imported.removeprefix("$2b$"))

        assert accounts.authenticate(EMAIL, PASSWORD) == user

        assert self.stored_hash(users).startswith("$2b$04$")
        assert accounts.authenticate(EMAIL, PASSWORD) == user

    def test_an_ordinary_hash_from_another_system_is_good_as_it_is(self, accounts, users):
        imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        users.add("Ada", EMAIL, imported)

        accounts.authenticate(EMAIL, PASSWORD)

        assert self.stored_hash(users) == imported

    def test_a_hash_of_a_higher_cost_stays(self, accounts, users):
        users.add("Ada", EMAIL, COSTLIER.hash(PASSWORD))
        before = self.stored_hash(users)

        accounts.authenticate(EMAIL, PASSWORD)

        assert self.stored_hash(users) == before

    @pytest.mark.parametrize("password", ["wrong", PASSWORD + " "])
    def test_a_failure_upgrades_nothing(self, costlier, users, ada, password):
        before = self.stored_hash(users)

        with pytest.raises(InvalidCredentials):
            costlier.authenticate(EMAIL, password)

        assert self.stored_hash(users) == before

    def test_nor_does_a_disabled_account(self, costlier, users, ada):
        users.disable(ada.id)
        before = self.stored_hash(users)

        with pytest.raises(InvalidCredentials):
            costlier.authenticate(EMAIL, PASSWORD)

        assert self.stored_hash(users) == before

    def test_a_password_that_is_changed_meanwhile_is_not_changed_back(self, users, ada):
        changed = HASHER.hash("the new password")

        class ChangingHasher(RecordingHasher):
            def hash(self, password):
                users.replace_password_hash(ada.id, users.credentials(EMAIL).password_hash, changed)
                return super().hash(password)

        accounts = Accounts(
            users, ended_sessions([]), ChangingHasher(COSTLIER, []), PasswordPolicy(8)
        )
        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, PASSWORD)

        assert self.stored_hash(users) == changed


class TestRename:
    def test_the_new_name_is_trimmed_and_kept(self, accounts, users, ada):
        renamed = accounts.rename(ada.id, "  Ada Lovelace\n")

        assert renamed == replace(ada, name="Ada Lovelace")
        assert users.by_id(ada.id) == renamed

    @pytest.mark.parametrize(
        ("name", "code"),
        [("", "required"), ("  ", "required"), ("a" * 101, "too_long"), ("\0", "bad_characters")],
    )
    def test_the_rules_are_those_of_signing_up(self, accounts, users, ada, name, code):
        with pytest.raises(InvalidInput) as refused:
            accounts.rename(ada.id, name)

        assert codes(refused) == {"name": [code]}
        assert users.by_id(ada.id) == ada

    def test_a_user_who_is_gone_cannot_be_renamed(self, accounts):
        with pytest.raises(UserNotFound):
            accounts.rename(uuid4(), "Ada")


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

    def accounts_while(self, users, meanwhile):
        hasher = self.MeanwhileHasher(meanwhile)
        return Accounts(users, ended_sessions([]), hasher, PasswordPolicy(8))

    def test_the_old_password_no_longer_signs_in(self, users, ada):
        old = users.credentials(EMAIL).password_hash
        accounts = self.accounts_while(
            users, lambda: users.replace_password_hash(ada.id, old, HASHER.hash("another one"))
        )

        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, PASSWORD)

    def test_nor_does_an_account_that_was_disabled(self, users, ada):
        accounts = self.accounts_while(users, lambda: users.disable(ada.id))

        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, PASSWORD)

    def test_another_hash_of_the_same_password_does_no_harm(self, users, ada):
        old = users.credentials(EMAIL).password_hash
        accounts = self.accounts_while(
            users, lambda: users.replace_password_hash(ada.id, old, HASHER.hash(PASSWORD))
        )

        assert accounts.authenticate(EMAIL, PASSWORD).id == ada.id


class TestChangePassword:
    NEW = "quite another password"

    def test_the_new_one_signs_in_and_the_old_one_does_not(self, accounts, ada):
        accounts.change_password(ada.id, PASSWORD, self.NEW, keep=None)

        assert accounts.authenticate(EMAIL, self.NEW).id == ada.id
        with pytest.raises(InvalidCredentials):
            accounts.authenticate(EMAIL, PASSWORD)

    def test_the_other_sessions_end_after_the_hash_is_replaced(self, accounts, ada, events):
        keep = uuid4()

        accounts.change_password(ada.id, PASSWORD, self.NEW, keep=keep)

        assert events == ["verify", "hash", "replace", ("revoke", ada.id, keep)]

    @pytest.mark.parametrize(
        ("current", "new", "expected"),
        [
            ("wrong", NEW, {"current_password": ["wrong_password"]}),
            ("", NEW, {"current_password": ["required"]}),
            ("\0", NEW, {"current_password": ["bad_characters"]}),
            ("x" * 257, NEW, {"current_password": ["too_long"]}),
            (PASSWORD, "short", {"new_password": ["too_short"]}),
            (PASSWORD, "", {"new_password": ["required"]}),
            (PASSWORD, "password1", {"new_password": ["common_password"]}),
            (PASSWORD, EMAIL, {"new_password": ["own_word"]}),
            ("", "", {"current_password": ["required"], "new_password": ["required"]}),
        ],
    )
    def test_what_is_wrong_is_said_by_field_and_nothing_changes(
        self, accounts, ada, events, current, new, expected
    ):
        with pytest.raises(InvalidInput) as refused:
            accounts.change_password(ada.id, current, new, keep=None)

        assert codes(refused) == expected
        assert set(events) <= {"verify"}

    def test_of_two_changes_at_once_the_second_has_the_wrong_password(self, users, ada):
        old = users.credentials(EMAIL).password_hash

        class Slow(RecordingHasher):
            def hash(self, password):
                users.replace_password_hash(ada.id, old, "the first change")
                return super().hash(password)

        events: list[Any] = []
        accounts = Accounts(users, ended_sessions(events), Slow(HASHER, []), PasswordPolicy(8))

        with pytest.raises(InvalidInput) as refused:
            accounts.change_password(ada.id, PASSWORD, self.NEW, keep=None)

        assert codes(refused) == {"current_password": ["wrong_password"]}
        assert events == []
        assert users.credentials(EMAIL).password_hash == "the first change"

    def test_a_user_who_is_gone_is_an_error(self, accounts):
        with pytest.raises(UserNotFound):
            accounts.change_password(uuid4(), PASSWORD, self.NEW, keep=None)


class TestDelete:
    def test_the_account_is_gone_and_the_address_free(self, accounts, users, ada):
        accounts.delete(ada.id, PASSWORD)

        assert users.by_id(ada.id) is None
        assert accounts.sign_up("Ada", EMAIL, PASSWORD).id != ada.id

    @pytest.mark.parametrize(
        ("password", "code"),
        [("wrong", "wrong_password"), ("", "required"), ("\0", "bad_characters")],
    )
    def test_not_without_the_password(self, accounts, users, ada, password, code):
        with pytest.raises(InvalidInput) as refused:
            accounts.delete(ada.id, password)

        assert codes(refused) == {"current_password": [code]}
        assert users.by_id(ada.id) == ada
