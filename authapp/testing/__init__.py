"""For the test suites of applications that use authapp, and of anything that keeps sessions.

- `sign_in_as(app, user)` signs a user in to a WebTest application, without a password.
- `SessionStoreSuite` and `SessionCrashSuite` are what every session factory has to stand.

`pip install authapp[testing]` brings what they need: WebTest and pytest.
"""

from authapp.testing.sign_in import sign_in_as
from authapp.testing.suite import SessionCrashSuite, SessionStoreSuite

__all__ = ["SessionCrashSuite", "SessionStoreSuite", "sign_in_as"]
