from dataclasses import replace
from datetime import timedelta

import pytest

from authapp.domain.errors import InvalidCredentials, InvalidInput
from authapp.domain.events import EmailVerified, PasswordReset
from authapp.domain.mail import Letter, LetterKind
from authapp.domain.passwords import PasswordPolicy
from authapp.domain.throttle import TooManyAttempts
from authapp.domain.tokens import LIFETIMES, Purpose, Token, TokenInvalid, new_token, token_hash
from authapp.domain.visitors import Visitor
from authapp.services.recovery import Recovery
from tests.fakes import RecordingHasher
from tests.unit.services.support import EMAIL, HASHER, HOME, PASSWORD, codes

NEW = "quite another password"


@pytest.fixture
def recovery(ports):
    return Recovery(
        users=ports.users,
        tokens=ports.tokens,
        letters=ports.outbox,
        hasher=RecordingHasher(HASHER, ports.steps),
        policy=PasswordPolicy(8),
        attempts=ports.attempts(),
        revocations=ports.revocations(),
        announcer=ports.announcer,
    )


def token_for(ports, user, purpose=Purpose.RESET_PASSWORD, email=EMAIL):
    token = new_token()
    ports.tokens.add(token_hash(token), Token(purpose, user.id, email), LIFETIMES[purpose])
    return token


@pytest.fixture
def token(ports, ada):
    return token_for(ports, ada)


class TestRequest:
    @pytest.mark.parametrize("email", [EMAIL, f" {EMAIL}\n", "nobody@example.com", "no address"])
    def test_a_letter_is_posted_whoever_it_is(self, recovery, ports, ada, email):
        recovery.request_reset(email, HOME)

        assert ports.outbox.letters == [Letter(LetterKind.RESET_PASSWORD, email.strip())]
        assert ports.steps == ["take"]
        assert ports.announcer.events == []

    @pytest.mark.parametrize("email", ["", " ", "a" * 255, "a\0@example.com", "\ud800@b.c"])
    def test_what_could_be_no_address_is_refused_before_it_counts(self, recovery, ports, email):
        with pytest.raises(InvalidInput) as refused:
            recovery.request_reset(email, HOME)

        assert list(refused.value.problems) == ["email"]
        assert ports.outbox.letters == []
        assert ports.steps == []

    def test_one_address_of_mail_is_asked_for_so_often_only(self, recovery, ports):
        for number in range(3):
            recovery.request_reset(EMAIL, Visitor(f"192.0.2.{number}"))

        for spelling in (EMAIL, EMAIL.upper()):
            with pytest.raises(TooManyAttempts):
                recovery.request_reset(spelling, Visitor("192.0.2.9"))
        recovery.request_reset("bo@example.com", Visitor("192.0.2.9"))
        assert len(ports.outbox.letters) == 4
        assert ports.announcer.kinds == ["throttled"]
        assert ports.announcer.events[0].user is None

    def test_so_is_it_from_one_client(self, recovery, ports):
        for number in range(5):
            recovery.request_reset(f"{number}@example.com", HOME)

        with pytest.raises(TooManyAttempts):
            recovery.request_reset("5@example.com", HOME)
        recovery.request_reset("5@example.com", Visitor("198.51.100.1"))


class TestReset:
    def test_the_new_password_is_set_and_the_sessions_end(self, recovery, ports, ada, token):
        user = recovery.reset(token, NEW)

        assert user.id == ada.id
        stored = ports.users.credentials(EMAIL).password_hash
        assert HASHER.verify(NEW, stored)
        assert not HASHER.verify(PASSWORD, stored)
        assert ("revoke", ada.id, None) in ports.steps

    def test_the_hash_is_made_before_anything_is_written(self, recovery, ports, ada, token):
        recovery.reset(token, NEW)

        # What commits by itself needs a connection of its own: before the request has one.
        assert ports.steps == ["hash", "clear", "change", ("revoke", ada.id, None)]

    def test_all_tokens_and_the_change_of_the_address_are_void(self, recovery, ports, ada, token):
        for purpose in Purpose:
            token_for(ports, ada, purpose)
        for kind in (LetterKind.CHANGE_EMAIL, LetterKind.VERIFY_EMAIL, LetterKind.NEW_SIGN_IN):
            ports.outbox.put(Letter(kind, EMAIL, ada.id))

        recovery.reset(token, NEW)

        assert ports.tokens.tokens == {}
        assert [letter.kind for letter in ports.outbox.letters] == [LetterKind.NEW_SIGN_IN]

    def test_it_is_told_and_the_address_is_verified(self, recovery, ports, token):
        user = recovery.reset(token, NEW)

        assert user.email_verified_at is not None
        assert list(map(type, ports.announcer.events)) == [PasswordReset, EmailVerified]

    def test_an_address_that_was_verified_is_not_so_again(self, recovery, ports, ada, token):
        verified = ports.users.verify_email(ada.id)

        assert recovery.reset(token, NEW).email_verified_at == verified.email_verified_at
        assert ports.announcer.kinds == ["password_reset"]

    def test_failed_attempts_are_forgiven(self, recovery, ports, ada, token):
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                ports.passwords().authenticate(EMAIL, "wrong", HOME)
        with pytest.raises(TooManyAttempts):
            ports.passwords().authenticate(EMAIL, PASSWORD, HOME)

        recovery.reset(token, NEW)

        assert ports.passwords().authenticate(EMAIL, NEW, HOME).user.id == ada.id

    @pytest.mark.parametrize(
        ("new", "code"),
        [
            ("", "required"),
            ("short", "too_short"),
            ("password", "common_password"),
            ("ada@example.com", "own_word"),
            ("a" * 257, "too_long"),
            ("correct\0horse", "bad_characters"),
        ],
    )
    def test_a_password_that_is_refused_leaves_the_token_good(
        self, recovery, ports, ada, token, new, code
    ):
        with pytest.raises(InvalidInput) as refused:
            recovery.reset(token, new)

        assert codes(refused) == {"new_password": [code]}
        assert ports.steps == []
        assert recovery.reset(token, NEW).id == ada.id

    def test_a_token_is_good_once(self, recovery, ports, token):
        recovery.reset(token, NEW)
        ports.steps.clear()

        with pytest.raises(TokenInvalid):
            recovery.reset(token, "yet another password")
        assert ports.steps == []

    def test_not_after_its_time(self, recovery, ports, token):
        ports.tokens.now += timedelta(hours=1)

        with pytest.raises(TokenInvalid):
            recovery.reset(token, NEW)

    @pytest.mark.parametrize("purpose", [Purpose.VERIFY_EMAIL, Purpose.CHANGE_EMAIL])
    def test_not_for_something_else(self, recovery, ports, ada, purpose):
        with pytest.raises(TokenInvalid):
            recovery.reset(token_for(ports, ada, purpose), NEW)

    @pytest.mark.parametrize("token", ["", "x", "x" * 44, "é" * 43, "\ud800" * 43, "x" * 42 + "\n"])
    def test_what_could_be_none_is_not_looked_for(self, recovery, ports, token):
        ports.tokens.find = lambda token_hash: pytest.fail("it was looked for")

        with pytest.raises(TokenInvalid):
            recovery.find(token)

    def test_not_for_an_account_that_is_disabled(self, recovery, ports, ada, token):
        ports.users.disable(ada.id)

        with pytest.raises(TokenInvalid):
            recovery.reset(token, NEW)

    def test_not_for_another_address_than_today_s(self, recovery, ports, ada, token):
        ports.users.change_email(ada.id, "new@example.com")

        with pytest.raises(TokenInvalid):
            recovery.reset(token, NEW)

    def test_not_for_somebody_who_is_gone(self, recovery, ports, ada, token):
        ports.users.delete(ada.id)

        with pytest.raises(TokenInvalid):
            recovery.reset(token, NEW)

    @pytest.mark.parametrize("how", ["used", "deleted", "disabled", "moved"])
    def test_what_happens_while_the_password_is_hashed_counts(
        self, recovery, ports, ada, token, how
    ):
        changes = {
            "used": lambda: ports.tokens.use(token_hash(token)),
            "deleted": lambda: ports.users.delete(ada.id),
            "disabled": lambda: ports.users.disable(ada.id),
            "moved": lambda: ports.users.change_email(ada.id, "new@example.com"),
        }
        change_password = ports.users.change_password

        def meanwhile(*arguments):
            changes[how]()
            return change_password(*arguments)

        ports.users.change_password = meanwhile

        with pytest.raises(TokenInvalid):
            recovery.reset(token, NEW)
        assert ports.announcer.events == []
        assert ("revoke", ada.id, None) not in ports.steps

    def test_an_upgrade_of_the_old_hash_meanwhile_does_not(self, recovery, ports, ada, token):
        change_password = ports.users.change_password
        old = ports.users.credentials(EMAIL)

        def meanwhile(user_id, known, new):
            ports.users.change_password = change_password
            ports.users._accounts[ada.id] = replace(old, password_hash="upgraded")
            return change_password(user_id, known, new)

        ports.users.change_password = meanwhile

        recovery.reset(token, NEW)

        assert HASHER.verify(NEW, ports.users.credentials(EMAIL).password_hash)
