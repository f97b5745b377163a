from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from authapp.domain.users import Role, Status, User
from authapp.domain.visitors import KnownBrowser, Visitor

CHANGED_AT = datetime(2026, 1, 2, tzinfo=UTC)
ADA = User(
    id=UUID(int=1),
    name="Ada",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    password_changed_at=CHANGED_AT,
)
BO, EVE = replace(ADA, id=UUID(int=2)), replace(ADA, id=UUID(int=3))


@pytest.mark.parametrize(
    ("since", "is_known"),
    [
        (CHANGED_AT - timedelta(microseconds=1), False),
        (CHANGED_AT, True),  # As at sign-up, where both are the time of one transaction.
        (CHANGED_AT + timedelta(microseconds=1), True),
    ],
)
def test_browser_is_known_by_the_password_that_the_account_has(since, is_known):
    assert KnownBrowser("laptop", ADA.id, since).is_known_to(ADA) is is_known


def test_a_browser_is_something_else_to_each_of_those_who_share_it():
    to_ada = KnownBrowser("one", ADA.id, CHANGED_AT)
    to_bo = KnownBrowser("another", BO.id, CHANGED_AT)
    visitor = Visitor("192.0.2.1", [to_bo, to_ada])

    assert visitor.browser_of(ADA) == to_ada
    assert visitor.browser_of(BO) == to_bo
    assert visitor.browser_of(EVE) is None
    assert Visitor(None).browser_of(ADA) is None
