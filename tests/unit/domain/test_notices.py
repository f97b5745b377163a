from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from authapp.domain import events
from authapp.domain.events import AccountEvent
from authapp.domain.mail import Letter, LetterKind
from authapp.domain.notices import letter_about
from authapp.domain.users import Role, Status, User

ADA = User(
    id=UUID(int=1),
    name="Ada",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
)
ADMIN = replace(ADA, id=UUID(int=2), name="Root", email="root@example.com")
ABOUT_ADA = {"name": "Ada", "email": "ada@example.com"}
EVENTS = [e for e in AccountEvent.__subclasses__() if e.__module__ == events.__name__]
SAMPLES: dict[str, Any] = {
    "str": "something",
    "bool": True,
    "int": 3,
    "Role": Role.ADMIN,
}


def sample(event: type[AccountEvent]) -> AccountEvent:
    """The event about Ada, with something in every field that needs it."""
    needed = [f for f in fields(event) if f.name != "user" and f.default is MISSING]
    values = {f.name: SAMPLES[getattr(f.type, "__name__", str(f.type))] for f in needed}
    return event(user=ADA, **values)


class TestEvents:
    @pytest.mark.parametrize("event", EVENTS)
    def test_each_has_a_name_for_the_table_and_one_for_the_log(self, event):
        assert event.kind.isidentifier()
        assert event.vocabulary.isidentifier()

    def test_no_two_have_the_same_in_the_table(self):
        assert len({event.kind for event in EVENTS}) == len(EVENTS)

    def test_details_are_what_an_event_says_besides_who(self):
        event = events.SignedIn(user=ADA, by=ADA, request=object(), new_device=True)

        assert event.details == {"new_device": True, "second_factor": False}

    @pytest.mark.parametrize("event", EVENTS)
    def test_no_detail_is_called_as_a_secret_or_as_the_line_of_the_log_calls_others(self, event):
        names = set(sample(event).details)

        assert not [
            n for n in names for secret in ("passw", "token", "secret", "code") if secret in n
        ]
        assert not names & {"event", "user", "by", "address", "user_agent"}

    def test_what_failed_is_written_down_whatever_becomes_of_the_request(self):
        outliving = {event for event in EVENTS if event.outlives_rollback}

        failures = {events.SignInFailed, events.WrongPassword, events.WrongCode, events.Throttled}
        assert outliving == failures


class TestLetters:
    @pytest.mark.parametrize(
        ("event", "kind"),
        [
            (events.UserSignedUp(user=ADA), LetterKind.VERIFY_EMAIL),
            (events.SignedIn(user=ADA, new_device=True), LetterKind.NEW_SIGN_IN),
            (events.PasswordChanged(user=ADA), LetterKind.PASSWORD_CHANGED),
            (events.PasswordReset(user=ADA), LetterKind.PASSWORD_CHANGED),
            (events.SecondFactorEnabled(user=ADA), LetterKind.SECOND_FACTOR_ENABLED),
            (events.SecondFactorDisabled(user=ADA), LetterKind.SECOND_FACTOR_DISABLED),
            (events.RecoveryCodeUsed(user=ADA, left=1), LetterKind.RECOVERY_CODE_USED),
            (
                events.RoleChanged(user=ADA, old_role=Role.MEMBER, new_role=Role.ADMIN),
                LetterKind.ROLE_CHANGED,
            ),
            (events.UserDisabled(user=ADA), LetterKind.ACCOUNT_DISABLED),
            (events.UserEnabled(user=ADA), LetterKind.ACCOUNT_ENABLED),
        ],
    )
    def test_the_owner_hears_of_what_was_changed(self, event, kind):
        assert letter_about(event) == Letter(kind, ADA.email, ADA.id, ABOUT_ADA)

    def test_also_where_an_administrator_did_it_whom_the_letter_does_not_name(self):
        event = events.SecondFactorDisabled(user=ADA, by=ADMIN)

        params = ABOUT_ADA | {"by": "administrator"}
        expected = Letter(LetterKind.SECOND_FACTOR_DISABLED, ADA.email, ADA.id, params)
        assert letter_about(event) == expected

    def test_what_administrators_do_to_themselves_is_their_own_doing(self):
        event = events.SecondFactorDisabled(user=ADA, by=ADA)

        assert letter_about(event) == letter_about(events.SecondFactorDisabled(user=ADA))

    def test_whose_sessions_an_administrator_has_ended_hears_of_it(self):
        event = events.SessionsRevoked(user=ADA, by=ADMIN, count=2, asked_for=True)

        params = ABOUT_ADA | {"by": "administrator"}
        expected = Letter(LetterKind.SESSIONS_ENDED, ADA.email, ADA.id, params)
        assert letter_about(event) == expected

    @pytest.mark.parametrize(
        ("by", "asked_for"), [(ADMIN, False), (ADA, True), (None, True), (None, False)]
    )
    def test_but_not_where_another_letter_tells_of_the_cause_or_they_did_so_themselves(
        self, by, asked_for
    ):
        event = events.SessionsRevoked(user=ADA, by=by, count=2, asked_for=asked_for)

        assert letter_about(event) is None

    def test_a_letter_is_in_the_language_that_was_chosen_else_in_that_of_the_sign_up(self):
        signed_up_in_german = replace(ADA, letters_language="de")
        chose_spanish = replace(signed_up_in_german, language="es")

        letters = [
            letter_about(events.PasswordChanged(user=user))
            for user in (ADA, signed_up_in_german, chose_spanish)
        ]

        assert [letter and letter.params.get("language") for letter in letters] == [
            None,
            "de",
            "es",
        ]

    def test_of_a_sign_in_from_a_browser_that_is_known_nobody_hears(self):
        assert letter_about(events.SignedIn(user=ADA, new_device=False)) is None

    def test_nor_does_who_does_not_want_to(self):
        quiet = replace(ADA, notify_sign_in=False)

        assert letter_about(events.SignedIn(user=quiet, new_device=True)) is None

    def test_the_old_address_hears_that_there_is_to_be_a_new_one(self):
        event = events.EmailChangeRequested(user=ADA, new_email="new@example.com")

        params = ABOUT_ADA | {"new_email": "new@example.com"}
        expected = Letter(LetterKind.EMAIL_CHANGE_REQUESTED, ADA.email, ADA.id, params)
        assert letter_about(event) == expected

    def test_and_that_there_is_one_even_if_the_account_is_deleted(self):
        event = events.EmailChanged(user=ADA, old_email="old@example.com")

        expected = Letter(LetterKind.EMAIL_CHANGED, "old@example.com", None, ABOUT_ADA)
        assert letter_about(event) == expected

    def test_the_last_letter_does_not_go_with_the_account(self):
        letter = letter_about(events.UserDeleted(user=ADA))

        assert letter == Letter(LetterKind.ACCOUNT_DELETED, ADA.email, None, ABOUT_ADA)

    @pytest.mark.parametrize("event", EVENTS)
    def test_of_nobody_known_nobody_hears(self, event):
        assert letter_about(replace(sample(event), user=None)) is None

    @pytest.mark.parametrize(
        "event",
        [
            *(events.SignInFailed, events.Throttled, events.WrongPassword, events.SignedOut),
            # The use case warns of wrong codes, as it knows which one is the first.
            events.WrongCode,
            *(events.IdentityConfirmed, events.ProfileChanged, events.SessionsRevoked),
            # Its letter is the one with the link, which the use case writes.
            events.PasswordResetRequested,
        ],
    )
    def test_what_happens_often_or_at_anybodys_wish_sends_no_mail(self, event):
        assert letter_about(sample(event)) is None
