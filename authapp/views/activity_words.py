"""The words for what happened to an account."""

from collections.abc import Mapping
from typing import Any

from authapp.domain.events import RecordedEvent

# What others may have tried, which is worth a second look.
WARNINGS = frozenset({"sign_in_failed", "throttled", "wrong_password", "wrong_code"})

SENTENCES = {
    "signed_up": "The account was made",
    "signed_in": "Signed in",
    "signed_out": "Signed out",
    "sign_in_failed": "A sign-in was refused",
    "throttled": "There were too many attempts, and more were refused for a while",
    "identity_confirmed": "The password was given to confirm who it was",
    "wrong_password": "A wrong password was given to confirm who it was",
    "wrong_code": "A wrong code was given to confirm who it was",
    "profile_changed": "The name was changed",
    "notifications_changed": "Email about sign-ins with new browsers was turned off",
    "password_changed": "The password was changed",
    "password_reset": "The password was reset by a link in an email",
    "password_reset_requested": "An email with a link to reset the password was asked for",
    "email_verified": "The email address was verified",
    "email_change_requested": "A change of the email address to {new_email} was asked for",
    "email_changed": "The email address was changed; it was {old_email}",
    "sessions_revoked": "{count} sessions were signed out",
    "second_factor_enabled": "Two-factor authentication was turned on",
    "second_factor_disabled": "Two-factor authentication was turned off",
    "recovery_codes_renewed": "New recovery codes were made, and the old ones are void",
    "recovery_code_used": "A recovery code was used; {left} are left",
    "role_changed": "The role was changed from {old_role} to {new_role}",
    "disabled": "The account was disabled",
    "enabled": "The account was enabled",
    "deleted": "The account was deleted",
}
# Where a detail has this value, other words are right.
_SPECIAL: Mapping[tuple[str, str, Any], str] = {
    ("signed_in", "new_device", True): "Signed in with a new browser",
    ("sign_in_failed", "second_factor", True): "A sign-in failed: the code was wrong",
    ("notifications_changed", "notify_sign_in", True): (
        "Email about sign-ins with new browsers was turned on"
    ),
    ("sessions_revoked", "count", 1): "A session was signed out",
    ("recovery_code_used", "left", 1): "A recovery code was used; one is left",
    ("recovery_code_used", "left", 0): "A recovery code was used, and none is left",
}


def sentence(event: RecordedEvent) -> str:
    """What happened, without a full stop; an event of the application's own by its name."""
    if event.kind not in SENTENCES:
        return event.kind.replace("_", " ").capitalize()
    words = SENTENCES[event.kind]
    for (kind, detail, value), special in _SPECIAL.items():
        if kind == event.kind and event.details.get(detail) == value:
            words = special
    # An older version may have written down less.
    return words.format_map(_Known(event.details))


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"
