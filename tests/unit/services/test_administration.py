from uuid import UUID, uuid4

import pytest

from authapp.domain.errors import AdminNoMore, InvalidInput, LastAdmin, NoSuchAccount, OwnAccount
from authapp.domain.events import RoleChanged, SecondFactorDisabled, SessionsRevoked, UserDisabled
from authapp.domain.mail import Letter, LetterKind
from authapp.domain.passwords import PasswordPolicy
from authapp.domain.tokens import LIFETIMES, Purpose, Token
from authapp.domain.users import Role, Status
from authapp.security.passwords import BcryptHasher
from authapp.services.administration import Administration
from authapp.services.revocations import Revocations
from authapp.settings import load_session_settings
from tests.fakes import InMemoryUserDirectory, InMemoryUserRepository
from tests.fakes_accounts import (
    InMemoryOutbox,
    InMemorySecondFactors,
    InMemoryTokens,
    RecordingAnnouncer,
)
from tests.fakes_sessions import InMemorySessionDirectory

HASHER = BcryptHasher(4)
PASSWORD, NEW = "correct horse battery", "quite another password"
SETTINGS = load_session_settings({"session.secret": "not secret: the tests know it anyway"})


class NoEvents:
    """A log of events in which nothing stands."""

    def of_user(self, user_id, *, limit, before=None):
        return []


@pytest.fixture
def users():
    return InMemoryUserRepository()


@pytest.fixture
def directory(users):
    return InMemoryUserDirectory(users)


@pytest.fixture
def factors(users):
    return InMemorySecondFactors(users)


@pytest.fixture
def sessions():
    return InMemorySessionDirectory(SETTINGS)


@pytest.fixture
def tokens():
    return InMemoryTokens()


@pytest.fixture
def outbox():
    return InMemoryOutbox()


@pytest.fixture
def announcer():
    return RecordingAnnouncer()


@pytest.fixture
def administration(users, directory, factors, sessions, tokens, outbox, announcer):
    return Administration(
        users=users,
        directory=directory,
        factors=factors,
        sessions=sessions,
        revocations=Revocations(sessions, tokens, outbox, announcer),
        events=NoEvents(),
        hasher=HASHER,
        policy=PasswordPolicy(8),
        announcer=announcer,
    )


@pytest.fixture
def ada(users, directory):
    """The only administrator."""
    user = users.add("Ada", "ada@example.com", HASHER.hash(PASSWORD))
    return directory.set_role(user.id, Role.ADMIN)


@pytest.fixture
def bo(users, ada, sessions, tokens, outbox):
    """A member who is signed in and has all kinds of letters and links on the way."""
    user = users.add("Bo", "bo@example.com", HASHER.hash(PASSWORD))
    sessions.add(uuid4(), user.id)
    for purpose in Purpose:
        token = Token(purpose, user.id, user.email)
        tokens.add(purpose.encode(), token, LIFETIMES[purpose])
    for kind in (LetterKind.RESET_PASSWORD, LetterKind.CHANGE_EMAIL, LetterKind.NEW_SIGN_IN):
        outbox.put(Letter(kind, user.email, user.id))
    return user


def is_cut_off(user, sessions, tokens, outbox):
    is_out = not sessions.of_user(user.id)
    assert is_out == (not tokens.tokens)
    assert is_out == (LetterKind.CHANGE_EMAIL not in [letter.kind for letter in outbox.letters])
    return is_out


def codes(refused):
    return {name: [p.code for p in found] for name, found in refused.value.problems.items()}


def test_disabling_ends_all_that_the_account_is_let_in_by(
    administration, ada, bo, sessions, tokens, outbox, announcer
):
    user = administration.disable(bo.id, by=ada)

    assert user.status is Status.DISABLED
    assert is_cut_off(bo, sessions, tokens, outbox)
    assert announcer.events == [
        UserDisabled(user=user, by=ada),
        SessionsRevoked(user=user, by=ada, count=1),
    ]


def test_enabling_lets_in_whoever_signs_in_and_nothing_else(administration, ada, bo, announcer):
    administration.disable(bo.id)

    assert administration.enable(bo.id, by=ada) == bo

    assert announcer.kinds == ["disabled", "sessions_revoked", "enabled"]
    assert announcer.events[-1].by == ada


def test_new_role_ends_all_that_the_account_is_let_in_by(
    administration, ada, bo, sessions, tokens, outbox, announcer
):
    user = administration.set_role(bo.id, Role.ADMIN, by=ada)

    assert user.role is Role.ADMIN
    assert is_cut_off(bo, sessions, tokens, outbox)
    assert announcer.events == [
        RoleChanged(user=user, by=ada, old_role=Role.MEMBER, new_role=Role.ADMIN),
        SessionsRevoked(user=user, by=ada, count=1),
    ]


def test_what_is_so_already_changes_nothing_and_is_no_news(
    administration, ada, bo, sessions, tokens, outbox, announcer
):
    assert administration.enable(bo.id) == bo
    assert administration.set_role(bo.id, Role.MEMBER) == bo
    assert not is_cut_off(bo, sessions, tokens, outbox)

    administration.disable(bo.id)
    administration.disable(bo.id)
    assert administration.end_sessions(bo.id) == 0
    assert announcer.kinds == ["disabled", "sessions_revoked"]


def test_ending_sessions_leaves_the_account_alone(
    administration, ada, bo, sessions, tokens, announcer
):
    sessions.add(uuid4(), ada.id)

    assert administration.end_sessions(bo.id, by=ada) == 1

    assert sessions.of_user(bo.id) == []
    assert len(sessions.of_user(ada.id)) == 1
    assert len(tokens.tokens) == len(Purpose)
    assert announcer.events == [SessionsRevoked(user=bo, by=ada, count=1, asked_for=True)]


@pytest.fixture
def guarded_bo(bo, factors):
    """Bo, with a second factor and recovery codes."""
    factors.begin(bo.id, b"sealed")
    factors.replace_recovery_codes(bo.id, [b"one", b"two"])
    return factors.activate(bo.id)


def test_resetting_a_second_factor_forgets_all_of_it_and_ends_all_sessions(
    administration, users, factors, ada, guarded_bo, sessions, announcer
):
    sessions.add(uuid4(), ada.id)

    user = administration.reset_second_factor(guarded_bo.id, by=ada)

    assert user == users.by_id(guarded_bo.id)
    assert not user.has_second_factor
    assert factors.find(user.id) is None
    assert factors.count_recovery_codes(user.id) == 0
    assert sessions.of_user(user.id) == []
    assert len(sessions.of_user(ada.id)) == 1
    assert announcer.events == [
        SecondFactorDisabled(user=user, by=ada),
        SessionsRevoked(user=user, by=ada, count=1),
    ]


def test_own_second_factor_is_not_reset(administration, ada, factors, announcer):
    factors.begin(ada.id, b"sealed")
    factors.activate(ada.id)

    with pytest.raises(OwnAccount):
        administration.reset_second_factor(ada.id, by=ada)

    assert factors.find(ada.id) is not None
    assert announcer.events == []


def test_operator_resets_a_second_factor_in_nobodys_name(administration, guarded_bo, announcer):
    user = administration.reset_second_factor(guarded_bo.id)

    assert announcer.events[0] == SecondFactorDisabled(user=user)


def test_where_there_is_no_second_factor_nothing_is_reset(
    administration, factors, ada, bo, sessions, announcer
):
    factors.begin(bo.id, b"being set up")

    assert administration.reset_second_factor(bo.id, by=ada) == bo

    assert factors.find(bo.id) is not None
    assert len(sessions.of_user(bo.id)) == 1
    assert announcer.events == []


LEAVING = {
    "disable": lambda administration, user_id: administration.disable(user_id),
    "demote": lambda administration, user_id: administration.set_role(user_id, Role.MEMBER),
    "delete": lambda administration, user_id: administration.delete(user_id),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_last_administrator_cannot_leave(administration, users, ada, bo, announcer, leave):
    with pytest.raises(LastAdmin):
        leave(administration, ada.id)

    assert users.by_id(ada.id) == ada
    assert announcer.events == []


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_disabled_administrator_is_none_who_remains(
    administration, directory, ada, bo, announcer, leave
):
    directory.set_role(bo.id, Role.ADMIN)
    directory.set_status(bo.id, Status.DISABLED)

    with pytest.raises(LastAdmin):
        leave(administration, ada.id)
    leave(administration, bo.id)


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_administrator_beside_another_can_leave(administration, users, directory, ada, bo, leave):
    directory.set_role(bo.id, Role.ADMIN)

    leave(administration, ada.id)

    assert users.hold_admins() == [bo.id]


ACTS = LEAVING | {
    "enable": lambda administration, user_id, **by: administration.enable(user_id, **by),
    "end sessions": lambda administration, user_id, **by: administration.end_sessions(
        user_id, **by
    ),
    "set password": lambda administration, user_id: administration.set_password(user_id, NEW),
    "reset second factor": lambda administration, user_id: administration.reset_second_factor(
        user_id
    ),
    "show": lambda administration, user_id: administration.show(user_id),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_nothing_is_done_to_nobody(administration, ada, announcer, act):
    with pytest.raises(NoSuchAccount):
        act(administration, uuid4())

    assert announcer.events == []


@pytest.mark.parametrize(
    "act",
    [
        lambda administration, user_id, by: administration.disable(user_id, by),
        lambda administration, user_id, by: administration.enable(user_id, by),
        lambda administration, user_id, by: administration.set_role(user_id, Role.ADMIN, by),
        lambda administration, user_id, by: administration.end_sessions(user_id, by),
        lambda administration, user_id, by: administration.delete(user_id, by),
        lambda administration, user_id, by: administration.reset_second_factor(user_id, by),
    ],
    ids=["disable", "enable", "set_role", "end_sessions", "delete", "reset_second_factor"],
)
def test_whoever_is_an_administrator_no_more_does_nothing(
    administration, users, directory, ada, bo, announcer, act
):
    """Their request came while they still were one."""
    cy = users.add("Cy", "cy@example.com", "x")
    was_admin = directory.set_role(cy.id, Role.ADMIN)
    directory.set_role(cy.id, Role.MEMBER)

    with pytest.raises(AdminNoMore):
        act(administration, bo.id, was_admin)

    assert users.by_id(bo.id) == bo
    assert announcer.events == []


def test_new_password_is_held_to_the_policy_and_ends_all_sessions(
    administration, users, ada, bo, sessions, tokens, outbox, announcer
):
    with pytest.raises(InvalidInput) as refused:
        administration.set_password(bo.id, "bo@example.com")
    assert codes(refused) == {"password": ["own_word"]}
    assert not is_cut_off(bo, sessions, tokens, outbox)

    administration.set_password(bo.id, NEW)

    assert HASHER.verify(NEW, users.credentials_of(bo.id).password_hash)
    assert is_cut_off(bo, sessions, tokens, outbox)
    assert announcer.kinds == ["password_changed", "sessions_revoked"]


def test_deleted_account_is_gone(administration, users, ada, bo, announcer):
    assert administration.delete(bo.id, by=ada) == bo

    assert users.by_id(bo.id) is None
    assert announcer.kinds == ["deleted"]


def test_account_is_made_with_a_role_and_a_verified_address(administration, users, announcer):
    user = administration.create(" Cy ", " cy@example.com ", NEW, role=Role.ADMIN, is_verified=True)

    assert (user.name, user.email, user.role) == ("Cy", "cy@example.com", Role.ADMIN)
    assert user.email_verified_at is not None
    assert HASHER.verify(NEW, users.credentials_of(user.id).password_hash)
    assert announcer.kinds == ["signed_up", "role_changed"]


def test_account_is_made_by_the_rules_of_signing_up(administration, ada):
    with pytest.raises(InvalidInput) as refused:
        administration.create("", "ada", "short", role=Role.MEMBER, is_verified=False)
    assert codes(refused) == {
        "name": ["required"],
        "email": ["bad_email"],
        "password": ["too_short"],
    }
    with pytest.raises(InvalidInput) as refused:
        administration.create("Ada", "ADA@example.com", NEW, role=Role.MEMBER, is_verified=False)
    assert codes(refused) == {"email": ["email_taken"]}


def test_lists_say_where_they_go_on(administration, ada, bo):
    first = administration.find(limit=1)
    assert (list(first.users), first.next_after) == ([ada], "ada@example.com")

    second = administration.find(limit=1, after=first.next_after)
    assert (list(second.users), second.next_after) == ([bo], None)


def test_users_are_found_by_id_only_where_it_is_spelt_out(administration, users, ada, bo):
    hexadecimal = UUID(int=0xDEADBEEF << 96).hex
    cy = users.add("Cy", f"{hexadecimal}@example.com", "x")

    assert list(administration.find(str(bo.id).upper()).users) == [bo]
    assert list(administration.find(str(bo.id), role=Role.ADMIN).users) == []
    assert list(administration.find(str(bo.id), status=Status.DISABLED).users) == []
    assert list(administration.find(hexadecimal).users) == [cy]


def test_users_are_named_by_id_or_address(administration, ada, bo):
    assert administration.named(str(bo.id)) == bo
    assert administration.named("BO@example.com") == bo
    for name in ("", "bo", "\0", "\ud800", str(uuid4())):
        with pytest.raises(NoSuchAccount):
            administration.named(name)
