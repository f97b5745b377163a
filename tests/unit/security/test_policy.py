from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from pyramid.authorization import ACLAllowed, Allow, Authenticated, Everyone
from pyramid.interfaces import ISecurityPolicy
from pyramid.security import Allowed, Denied
from pyramid.testing import DummyRequest
from zope.interface.verify import verifyClass, verifyObject

from authapp.domain.second_factor import SecondFactorPolicy
from authapp.domain.users import Role, Status, User
from authapp.security.policy import SessionSecurityPolicy

ADA = User(
    id=UUID("b7e4a5b0-6a5c-4a39-9d49-1f2a1b7d0001"),
    name="Ada",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
)
ADMIN = replace(ADA, id=UUID(int=2), role=Role.ADMIN)
DISABLED = replace(ADMIN, status=Status.DISABLED)
PLAIN = object()  # A context that grants nothing, as the root of most applications.

POLICY = SessionSecurityPolicy()


class DummySession:
    """The part of a session that a policy needs; it writes down what was asked of it."""

    def __init__(self, owner):
        self.owner = owner
        self.asked = []

    def sign_in(self, user_id, *, persistent=None):
        self.asked.append(("sign in", user_id, persistent))

    def invalidate(self):
        self.asked.append(("invalidate",))


def request_of(user):
    return DummyRequest(session=DummySession(user))


def test_it_is_what_pyramid_expects():
    assert verifyObject(ISecurityPolicy, POLICY)
    assert verifyClass(ISecurityPolicy, SessionSecurityPolicy)


class TestIdentity:
    def test_the_sessions_owner_is_the_identity(self):
        assert POLICY.identity(request_of(ADA)) is ADA

    @pytest.mark.parametrize("owner", [None, DISABLED])
    def test_a_visitor_and_a_disabled_user_are_nobody(self, owner):
        assert POLICY.identity(request_of(owner)) is None
        assert POLICY.authenticated_userid(request_of(owner)) is None

    def test_the_user_id_is_text(self):
        assert POLICY.authenticated_userid(request_of(ADA)) == str(ADA.id)


class TestPermits:
    @pytest.mark.parametrize(
        ("user", "permission", "allowed"),
        [
            (None, "account", False),
            (None, "admin", False),
            (ADA, "account", True),
            (ADA, "admin", False),
            (ADMIN, "account", True),
            (ADMIN, "admin", True),
            (DISABLED, "account", False),
            (DISABLED, "admin", False),
            (ADA, "unheard of", False),
            (ADMIN, "unheard of", False),
            (ADMIN, "", False),
        ],
    )
    def test_permissions_follow_from_the_role(self, user, permission, allowed):
        answer = POLICY.permits(request_of(user), PLAIN, permission)

        assert isinstance(answer, Allowed if allowed else Denied)
        assert bool(answer) is allowed

    def test_the_answer_says_why(self):
        assert "admin" in POLICY.permits(request_of(ADMIN), PLAIN, "admin").msg

    @pytest.mark.parametrize(
        ("principal", "allowed"),
        [
            (Everyone, {"nobody", "disabled", "ada", "admin"}),
            (Authenticated, {"ada", "admin"}),
            ("role:member", {"ada"}),
            ("role:admin", {"admin"}),
            (f"user:{ADA.id}", {"ada"}),
            ("member", set()),
            (str(ADA.id), set()),
        ],
    )
    def test_a_resource_may_grant_more_by_its_acl(self, principal, allowed):
        context = SimpleNamespace(__acl__=[(Allow, principal, "edit")])
        users = {"nobody": None, "disabled": DISABLED, "ada": ADA, "admin": ADMIN}

        found = {
            name
            for name, user in users.items()
            if isinstance(POLICY.permits(request_of(user), context, "edit"), ACLAllowed)
        }

        assert found == allowed

    def test_what_a_resource_grants_holds_below_it(self):
        parent = SimpleNamespace(__acl__=[(Allow, "role:member", "edit")], __parent__=None)
        child = SimpleNamespace(__parent__=parent)

        assert POLICY.permits(request_of(ADA), child, "edit")


class TestSecondFactorRequiredOfAdmins:
    STRICT = SessionSecurityPolicy(SecondFactorPolicy(required_for_admins=True))
    WITH_FACTOR = replace(ADMIN, second_factor_at=ADMIN.created_at)

    @pytest.mark.parametrize(
        ("user", "expected"),
        [
            (ADA, {"account"}),
            (ADMIN, {"account"}),
            (WITH_FACTOR, {"account", "admin"}),
            (DISABLED, set()),
        ],
    )
    def test_an_administrator_without_may_what_members_may(self, user, expected):
        request = request_of(user)

        allowed = {p for p in ("account", "admin") if self.STRICT.permits(request, PLAIN, p)}

        assert allowed == expected

    @pytest.mark.parametrize(
        ("principal", "user", "allowed"),
        [
            ("role:admin", ADMIN, False),
            ("role:member", ADMIN, False),
            (f"user:{ADMIN.id}", ADMIN, True),
            (Authenticated, ADMIN, True),
            ("role:admin", WITH_FACTOR, True),
            ("role:member", ADA, True),
        ],
    )
    def test_resources_grant_nothing_to_a_role_that_is_not_had_in_full(
        self, principal, user, allowed
    ):
        context = SimpleNamespace(__acl__=[(Allow, principal, "edit")])

        assert bool(self.STRICT.permits(request_of(user), context, "edit")) is allowed


class TestRememberAndForget:
    @pytest.mark.parametrize("persistent", [True, False])
    def test_remembering_signs_the_user_in(self, persistent):
        request = request_of(None)

        assert POLICY.remember(request, str(ADA.id), persistent=persistent) == []

        assert request.session.asked == [("sign in", ADA.id, persistent)]

    def test_whether_it_persists_is_left_to_the_session_unless_said(self):
        request = request_of(None)

        POLICY.remember(request, str(ADA.id))

        assert request.session.asked == [("sign in", ADA.id, None)]

    @pytest.mark.parametrize("userid", [ADA.id, str(ADA.id)])
    def test_the_id_may_be_text_or_not(self, userid):
        request = request_of(None)

        POLICY.remember(request, userid)

        assert request.session.asked == [("sign in", ADA.id, None)]

    @pytest.mark.parametrize("userid", ["", "1", "ada", str(UUID(int=1))[:-1]])
    def test_what_is_no_id_of_a_user_is_an_error(self, userid):
        request = request_of(None)

        with pytest.raises(ValueError, match="badly formed"):
            POLICY.remember(request, userid)

        assert request.session.asked == []

    def test_forgetting_ends_the_session(self):
        request = request_of(ADA)

        assert POLICY.forget(request) == []

        assert request.session.asked == [("invalidate",)]
