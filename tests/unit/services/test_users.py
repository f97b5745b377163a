from dataclasses import replace
from uuid import uuid4

import pytest

from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem, UserNotFound
from authapp.domain.events import PasswordChanged, ProfileChanged, UserDeleted, UserSignedUp
from authapp.domain.mail import Letter, LetterKind
from authapp.domain.passwords import PasswordPolicy
from authapp.domain.throttle import TooManyAttempts
from authapp.domain.tokens import Purpose, Token
from authapp.domain.users import Role, Status
from authapp.domain.visitors import Visitor
from tests.fakes import RecordingHasher
from tests.unit.services.support import EMAIL, HASHER, HOME, PASSWORD, QUARTER, codes


class TestSignUp:
    def test_an_active_member_is_made(self, accounts, users):
        user = accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert (user.name, user.email) == ("Ada", EMAIL)
        assert (user.role, user.status) == (Role.MEMBER, Status.ACTIVE)
        assert users.by_id(user.id) == user

    def test_the_new_user_can_sign_in(self, accounts, passwords):
        user = accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == user

    def test_the_password_is_not_kept(self, accounts, users):
        accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert PASSWORD not in repr(users.credentials(EMAIL))

    def test_it_is_told_of(self, ports, accounts):
        user = accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert ports.announcer.events == [UserSignedUp(user=user)]

    def test_one_address_makes_only_so_many_accounts(self, accounts, steps):
        for number in range(5):
            accounts.sign_up("Ada", f"ada{number}@example.com", PASSWORD, HOME)
        steps.clear()

        with pytest.raises(TooManyAttempts):
            accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert steps == ["take"]
        accounts.sign_up("Ada", EMAIL, PASSWORD, Visitor("198.51.100.7"))

    @pytest.mark.parametrize("space", [" ", "\t", "\n", "\u00a0", "\u3000", " \r\n "])
    def test_name_and_address_are_trimmed(self, accounts, space):
        user = accounts.sign_up(
            f"{space}Ada Lovelace{space}", f"{space}{EMAIL}{space}", PASSWORD, HOME
        )

        assert (user.name, user.email) == ("Ada Lovelace", EMAIL)

    def test_the_password_is_not(self, accounts, passwords):
        accounts.sign_up("Ada", EMAIL, f" {PASSWORD} ", HOME)

        with pytest.raises(InvalidCredentials):
            passwords.authenticate(EMAIL, PASSWORD, HOME)
        passwords.authenticate(EMAIL, f" {PASSWORD} ", HOME)

    def test_the_address_keeps_its_case(self, accounts):
        assert accounts.sign_up("Ada", "Ada@Example.com", PASSWORD, HOME).email == "Ada@Example.com"

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
        self, accounts, steps, name, email, password, expected
    ):
        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up(name, email, password, HOME)

        assert codes(refused) == expected
        assert steps == []

    def test_the_password_is_compared_with_what_is_left_of_the_name(self, accounts):
        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up("  Ada Lovelace  ", EMAIL, "ada lovelace", HOME)

        assert codes(refused) == {"password": ["own_word"]}

    def test_the_policy_is_the_one_that_was_set(self, ports):
        accounts = ports.accounts(policy=PasswordPolicy(30))

        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert refused.value.problems == {"password": (Problem("too_short", {"minimum": 30}),)}

    def test_the_hash_is_made_before_anything_is_written(self, accounts, steps):
        accounts.sign_up("Ada", EMAIL, PASSWORD, HOME)

        assert steps == ["take", "hash", "add"]

    @pytest.mark.parametrize("email", [EMAIL, "ADA@Example.com", f" {EMAIL} "])
    def test_an_address_that_is_taken_is_a_problem_of_the_field(
        self, accounts, passwords, ada, email
    ):
        with pytest.raises(InvalidInput) as refused:
            accounts.sign_up("Eve", email, "another horse battery", HOME)

        assert codes(refused) == {"email": ["email_taken"]}
        assert passwords.authenticate(EMAIL, PASSWORD, HOME).user == ada

    def test_an_address_that_is_taken_takes_as_long_as_a_free_one(self, accounts, steps, ada):
        with pytest.raises(InvalidInput):
            accounts.sign_up("Eve", EMAIL, "another horse battery", HOME)

        assert steps == ["take", "hash", "add"]

    @pytest.mark.parametrize("password", ["p" * 72, "p" * 73, "p" * 256, "🙂" * 64, "🙂" * 256])
    def test_long_passwords_work(self, accounts, passwords, password):
        user = accounts.sign_up("Ada", EMAIL, password, HOME)

        assert passwords.authenticate(EMAIL, password, HOME).user == user


class TestRename:
    def test_the_new_name_is_trimmed_and_kept(self, accounts, users, ada):
        renamed = accounts.rename(ada.id, "  Ada Lovelace\n")

        assert renamed == replace(ada, name="Ada Lovelace")
        assert users.by_id(ada.id) == renamed

    def test_it_is_told_of(self, ports, accounts, ada):
        renamed = accounts.rename(ada.id, "Ada Lovelace")

        assert ports.announcer.events == [ProfileChanged(user=renamed)]

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


class TestChangePassword:
    NEW = "quite another password"

    def test_the_new_one_signs_in_and_the_old_one_does_not(self, accounts, passwords, ada):
        accounts.change_password(ada.id, PASSWORD, self.NEW, keep=None)

        assert passwords.authenticate(EMAIL, self.NEW, HOME).user.id == ada.id
        with pytest.raises(InvalidCredentials):
            passwords.authenticate(EMAIL, PASSWORD, HOME)

    def test_the_other_sessions_end_after_the_hash_is_replaced(self, accounts, ada, steps):
        keep = uuid4()

        accounts.change_password(ada.id, PASSWORD, self.NEW, keep=keep)

        assert steps == [
            *("take", "verify", "clear"),
            *("hash", "change", ("revoke", ada.id, keep)),
        ]

    def test_it_is_told_of(self, ports, accounts, ada):
        accounts.change_password(ada.id, PASSWORD, self.NEW, keep=None)

        [event] = ports.announcer.events
        assert isinstance(event, PasswordChanged)
        assert event.user is not None
        assert event.user == ports.users.by_id(ada.id)
        assert event.user.password_changed_at > ada.password_changed_at

    def test_links_and_letters_that_were_sent_before_are_void(self, ports, accounts, ada):
        for purpose in Purpose:
            ports.tokens.add(purpose.encode(), Token(purpose, ada.id, EMAIL), QUARTER)
        ports.outbox.put(Letter(LetterKind.CHANGE_EMAIL, "new@example.com", ada.id))

        accounts.change_password(ada.id, PASSWORD, self.NEW, keep=None)

        assert ports.tokens.tokens == {}
        assert ports.outbox.letters == []

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
        self, accounts, ada, steps, current, new, expected
    ):
        with pytest.raises(InvalidInput) as refused:
            accounts.change_password(ada.id, current, new, keep=None)

        assert codes(refused) == expected
        assert set(steps) <= {"take", "verify"}

    def test_of_two_changes_at_once_the_second_has_the_wrong_password(self, ports, users, ada):
        old = users.credentials(EMAIL).password_hash

        class Slow(RecordingHasher):
            def hash(self, password):
                users.change_password(ada.id, old, "the first change")
                return super().hash(password)

        with pytest.raises(InvalidInput) as refused:
            ports.accounts(Slow(HASHER, [])).change_password(ada.id, PASSWORD, self.NEW, keep=None)

        assert codes(refused) == {"current_password": ["wrong_password"]}
        assert ports.steps[-1] == "change"  # And no session was ended.
        assert ports.announcer.events == []
        assert users.credentials(EMAIL).password_hash == "the first change"

    def test_a_user_who_is_gone_is_an_error(self, accounts):
        with pytest.raises(UserNotFound):
            accounts.change_password(uuid4(), PASSWORD, self.NEW, keep=None)


class TestDelete:
    def test_the_account_is_gone_and_the_address_free(self, ports, accounts, users, ada):
        accounts.delete(ada.id, PASSWORD)

        assert users.by_id(ada.id) is None
        assert ports.announcer.events == [UserDeleted(user=ada)]
        assert accounts.sign_up("Ada", EMAIL, PASSWORD, HOME).id != ada.id

    @pytest.mark.parametrize("method", ["hold", "delete"])
    def test_of_two_at_once_the_second_has_deleted_nothing(
        self, ports, accounts, users, ada, monkeypatch, method
    ):
        once_there = getattr(users, method)
        delete = users.delete

        def after_the_other(user_id):
            delete(user_id)
            return once_there(user_id)

        monkeypatch.setattr(users, method, after_the_other)

        with pytest.raises(UserNotFound):
            accounts.delete(ada.id, PASSWORD)

        assert ports.announcer.events == []

    @pytest.mark.parametrize(
        ("password", "code"),
        [("wrong", "wrong_password"), ("", "required"), ("\0", "bad_characters")],
    )
    def test_not_without_the_password(self, accounts, users, ada, password, code):
        with pytest.raises(InvalidInput) as refused:
            accounts.delete(ada.id, password)

        assert codes(refused) == {"current_password": [code]}
        assert users.by_id(ada.id) == ada
