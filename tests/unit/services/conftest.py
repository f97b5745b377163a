from typing import Any

import pytest

from authapp.domain.users import User
from authapp.services.passwords import Passwords
from authapp.services.users import Accounts
from tests.unit.services.support import EMAIL, HASHER, PASSWORD, Ports, RecordingUsers


@pytest.fixture
def ports() -> Ports:
    return Ports()


@pytest.fixture
def steps(ports: Ports) -> list[Any]:
    return ports.steps


@pytest.fixture
def users(ports: Ports) -> RecordingUsers:
    return ports.users


@pytest.fixture
def passwords(ports: Ports) -> Passwords:
    return ports.passwords()


@pytest.fixture
def accounts(ports: Ports) -> Accounts:
    return ports.accounts()


@pytest.fixture
def ada(ports: Ports) -> User:
    user = ports.users.add("Ada", EMAIL, HASHER.hash(PASSWORD))
    ports.steps.clear()
    return user
