from datetime import timedelta
from uuid import uuid4

import pytest

from authapp.domain.errors import EmailTaken, InvalidInput, UserNotFound
from authapp.domain.events import EmailChanged, EmailChangeRequested
from authapp.domain.mail import Letter, LetterKind
from authapp.domain.throttle import TooManyAttempts
from authapp.domain.tokens import LIFETIMES, Purpose, Token, TokenInvalid, new_token, token_hash
from authapp.services.emails import Emails
from tests.unit.services.support import EMAIL, HASHER, PASSWORD, codes

NEW = "ada@new.example.com"


@pytest.fixture
def emails(ports):
    return Emails(
        users=ports.users,
        tokens=ports.tokens,
        letters=ports.outbox,
        passwords=ports.passwords(),
        attempts=ports.attempts(),
        revocations=ports.revocations(),
        announcer=ports.announcer,
    )


def token_for(ports, user, purpose, email):
    token = new_token()
    ports.tokens.add(token_hash(token), Token(purpose, user.id, email), LIFETIMES[purpose])
    return token


class TestRequestChange:
    def test_a_letter_goes_to_the_new_address(self, emails, ports, ada):
        emails.request_change(ada.id, f" {NEW}\n", PASSWORD)

        params = {"name": "Ada", "email": EMAIL, "new_email": NEW}
        assert ports.outbox.letters == [Letter(LetterKind.CHANGE_EMAIL, NEW, ada.id, params)]
        assert ports.announcer.events == [EmailChangeRequested(user=ada, new_email=NEW)]
        assert ports.users.by_id(ada.id) == ada

    def test_the_account_is_held_before_anything_is_written(self, emails, ports, ada):
        emails.request_change(ada.id, NEW, PASSWORD)

        assert ports.steps == ["take", "verify", "clear", "take", "confirm"]

    def test_an_earlier_request_is_void(self, emails, ports, ada):
        earlier = token_for(ports, ada, Purpose.CHANGE_EMAIL, "first@example.com")
        other = token_for(ports, ada, Purpose.VERIFY_EMAIL, EMAIL)
        emails.request_change(ada.id, "second@example.com", PASSWORD)

        emails.request_change(ada.id, NEW, PASSWORD)

        assert [letter.recipient for letter in ports.outbox.letters] == [NEW]
        with pytest.raises(TokenInvalid):
            emails.find(earlier)
        assert emails.find(other).user == ada

    @pytest.mark.parametrize(
        ("email", "code"),
        [
            ("", "required"),
            ("ada", "bad_email"),
            ("a" * 300, "too_long"),
            ("ada\ud800@example.com", "bad_characters"),
            (EMAIL, "same_email"),
            (f" {EMAIL.upper()} ", "same_email"),
        ],
    )
    def test_what_is_wrong_with_it_is_said_before_any_hashing(
        self, emails, ports, ada, email, code
    ):
        with pytest.raises(InvalidInput) as refused:
            emails.request_change(ada.id, email, PASSWORD)

        assert codes(refused) == {"email": [code]}
        assert ports.steps == []

    @pytest.mark.parametrize("email", ["bo@example.com", "BO@example.com"])
    def test_an_address_that_is_taken(self, emails, ports, ada, email):
        ports.users.add("Bo", "bo@example.com", "!")

        with pytest.raises(InvalidInput) as refused:
            emails.request_change(ada.id, email, PASSWORD)

        assert codes(refused) == {"email": ["email_taken"]}
        assert ports.outbox.letters == []

    def test_not_without_the_password(self, emails, ports, ada):
        ports.users.add("Bo", "bo@example.com", "!")

        with pytest.raises(InvalidInput) as refused:
            emails.request_change(ada.id, "bo@example.com", "wrong")

        assert codes(refused) == {"current_password": ["wrong_password"]}
        assert ports.announcer.kinds == ["wrong_password"]

    def test_not_with_a_password_that_is_changed_meanwhile(self, emails, ports, ada):
        by_email = ports.users.by_email

        def meanwhile(email):
            old = ports.users.credentials_of(ada.id).password_hash
            ports.users.replace_password_hash(ada.id, old, "the new one")
            return by_email(email)

        ports.users.by_email = meanwhile

        with pytest.raises(InvalidInput) as refused:
            emails.request_change(ada.id, NEW, PASSWORD)

        assert codes(refused) == {"current_password": ["wrong_password"]}
        assert ports.outbox.letters == []

    def test_letters_are_not_sent_without_end(self, emails, ports, ada):
        for _ in range(2):
            emails.request_change(ada.id, NEW, PASSWORD)
        emails.request_verification(ada)

        with pytest.raises(TooManyAttempts):
            emails.request_change(ada.id, NEW, PASSWORD)
        with pytest.raises(TooManyAttempts):
            emails.request_verification(ada)
        assert ports.announcer.kinds.count("throttled") == 1

    def test_a_user_who_is_gone_is_an_error(self, emails):
        with pytest.raises(UserNotFound):
            emails.request_change(uuid4(), NEW, PASSWORD)


class TestRequestVerification:
    def test_a_letter_takes_the_place_of_one_that_waits(self, emails, ports, ada):
        ports.outbox.put(Letter(LetterKind.VERIFY_EMAIL, EMAIL, ada.id))

        assert emails.request_verification(ada)

        params = {"name": "Ada", "email": EMAIL}
        assert ports.outbox.letters == [Letter(LetterKind.VERIFY_EMAIL, EMAIL, ada.id, params)]

    def test_none_is_needed_where_it_is_verified(self, emails, ports, ada):
        assert not emails.request_verification(ports.users.verify_email(ada.id))

        assert ports.outbox.letters == []
        assert ports.steps == []


class TestVerify:
    @pytest.fixture
    def token(self, ports, ada):
        return token_for(ports, ada, Purpose.VERIFY_EMAIL, EMAIL)

    def test_the_address_is_verified_and_sessions_go_on(self, emails, ports, ada, token):
        user = emails.verify(token, keep=None)

        assert user.email_verified_at is not None
        assert ports.steps == []
        assert ports.announcer.kinds == ["email_verified"]

    def test_what_is_for_the_same_is_void_and_nothing_else(self, emails, ports, ada, token):
        token_for(ports, ada, Purpose.VERIFY_EMAIL, EMAIL)
        other = token_for(ports, ada, Purpose.RESET_PASSWORD, EMAIL)
        ports.outbox.put(Letter(LetterKind.VERIFY_EMAIL, EMAIL, ada.id))

        emails.verify(token, keep=None)

        assert list(ports.tokens.tokens) == [token_hash(other)]
        assert ports.outbox.letters == []

    def test_looking_at_it_changes_nothing(self, emails, ports, ada, token):
        assert emails.find(token).token.email == EMAIL

        assert ports.users.by_id(ada.id) == ada
        assert emails.verify(token, keep=None).id == ada.id

    @pytest.mark.parametrize("purpose", [Purpose.VERIFY_EMAIL, Purpose.CHANGE_EMAIL])
    def test_not_twice_nor_late_nor_for_who_is_gone_or_disabled(self, emails, ports, ada, purpose):
        used, late, gone = (token_for(ports, ada, purpose, EMAIL) for _ in range(3))
        ports.tokens.use(token_hash(used))
        ports.tokens.tokens[token_hash(late)] = (
            ports.tokens.tokens[token_hash(late)][0],
            ports.tokens.now - timedelta(seconds=1),
        )
        for token in (used, late, new_token()):
            with pytest.raises(TokenInvalid):
                emails.verify(token, keep=None)

        ports.users.disable(ada.id)
        with pytest.raises(TokenInvalid):
            emails.verify(gone, keep=None)
        ports.users.delete(ada.id)
        with pytest.raises(TokenInvalid):
            emails.verify(gone, keep=None)
        assert ports.announcer.events == []

    @pytest.mark.parametrize("purpose", [Purpose.VERIFY_EMAIL, Purpose.CHANGE_EMAIL])
    def test_not_for_who_goes_at_this_moment(self, emails, ports, ada, purpose):
        token = token_for(ports, ada, purpose, EMAIL)
        found = ports.users.credentials_of

        def meanwhile(user_id):
            account = found(user_id)
            ports.users.delete(user_id)
            return account

        ports.users.credentials_of = meanwhile

        with pytest.raises(TokenInvalid):
            emails.verify(token, keep=None)

    def test_not_another_address_than_today_s(self, emails, ports, ada):
        token = token_for(ports, ada, Purpose.VERIFY_EMAIL, "old@example.com")

        with pytest.raises(TokenInvalid):
            emails.verify(token, keep=None)
        assert ports.users.by_id(ada.id) == ada

    def test_not_by_a_token_for_a_password(self, emails, ports, ada):
        with pytest.raises(TokenInvalid):
            emails.verify(token_for(ports, ada, Purpose.RESET_PASSWORD, EMAIL), keep=None)


class TestChange:
    @pytest.fixture
    def token(self, ports, ada):
        return token_for(ports, ada, Purpose.CHANGE_EMAIL, NEW)

    def test_the_new_address_is_the_account_s_and_verified(self, emails, ports, ada, token):
        user = emails.verify(token, keep=None)

        assert (user.id, user.email) == (ada.id, NEW)
        assert user.email_verified_at is not None
        assert ports.announcer.events == [EmailChanged(user=user, old_email=EMAIL)]
        assert HASHER.verify(PASSWORD, ports.users.credentials(NEW).password_hash)

    def test_all_sessions_end_but_the_one_that_confirms(self, emails, ports, ada, token):
        keep = uuid4()

        emails.verify(token, keep=keep)

        assert ports.steps == [("revoke", ada.id, keep)]

    def test_all_tokens_and_letters_with_links_are_void(self, emails, ports, ada, token):
        for purpose in Purpose:
            token_for(ports, ada, purpose, EMAIL)
        for kind in (LetterKind.CHANGE_EMAIL, LetterKind.VERIFY_EMAIL, LetterKind.NEW_SIGN_IN):
            ports.outbox.put(Letter(kind, EMAIL, ada.id))

        emails.verify(token, keep=None)

        assert ports.tokens.tokens == {}
        assert [letter.kind for letter in ports.outbox.letters] == [LetterKind.NEW_SIGN_IN]

    def test_not_where_somebody_else_has_it_by_now(self, emails, ports, ada, token):
        ports.users.add("Bo", NEW, "!")

        with pytest.raises(EmailTaken):
            emails.verify(token, keep=None)
        assert ports.users.by_id(ada.id) == ada
        assert emails.find(token).user == ada
