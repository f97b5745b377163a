"""The words for what happened to an account."""

from collections.abc import Mapping
from typing import Any

from authapp.domain.events import RecordedEvent
from authapp.languages import N_, Language

# What others may have tried, which is worth a second look.
WARNINGS = frozenset({"sign_in_failed", "throttled", "wrong_password", "wrong_code"})

SENTENCES = {
    "signed_up": N_("The account was made"),
    "signed_in": N_("Signed in"),
    "signed_out": N_("Signed out"),
    "sign_in_failed": N_("A sign-in was refused"),
    "throttled": N_("There were too many attempts, and more were refused for a while"),
    "identity_confirmed": N_("The password was given to confirm who it was"),
    "wrong_password": N_("A wrong password was given to confirm who it was"),
    "wrong_code": N_("A wrong code was given to confirm who it was"),
    "profile_changed": N_("The name was changed"),
    "language_chosen": N_("The language was changed"),
    "notifications_changed": N_("Email about sign-ins with new browsers was turned off"),
    "password_changed": N_("The password was changed"),
    "password_reset": N_("The password was reset by a link in an email"),
    "password_reset_requested": N_("An email with a link to reset the password was asked for"),
    "email_verified": N_("The email address was verified"),
    "email_change_requested": N_("A change of the email address to {new_email} was asked for"),
    "email_changed": N_("The email address was changed; it was {old_email}"),
    "sessions_revoked": N_("Sessions were signed out"),
    "second_factor_enabled": N_("Two-factor authentication was turned on"),
    "second_factor_disabled": N_("Two-factor authentication was turned off"),
    "recovery_codes_renewed": N_("New recovery codes were made, and the old ones are void"),
    "recovery_code_used": N_("A recovery code was used"),
    "role_changed": N_("The account is no longer an administrator's"),
    "disabled": N_("The account was disabled"),
    "enabled": N_("The account was enabled"),
    "deleted": N_("The account was deleted"),
}
# Where a detail has this value, other words are right.
_SPECIAL: Mapping[tuple[str, str, Any], str] = {
    ("signed_in", "new_device", True): N_("Signed in with a new browser"),
    ("sign_in_failed", "second_factor", True): N_("A sign-in failed: the code was wrong"),
    ("notifications_changed", "notify_sign_in", True): N_(
        "Email about sign-ins with new browsers was turned on"
    ),
    ("role_changed", "new_role", "admin"): N_("The account became an administrator's"),
}
# An older version may have written down less.
_UNKNOWN = {"new_email": "…", "old_email": "…"}


def sentence(event: RecordedEvent, language: Language) -> str:
    """What happened, without a full stop; an event of the application's own by its name."""
    match event.kind, event.details:
        case "sessions_revoked", {"count": int(count)}:
            return language.ngettext(
                "One session was signed out", "{count} sessions were signed out", count, count=count
            )
        case "recovery_code_used", {"left": int(left)}:
            return language.ngettext(
                "A recovery code was used; one is left",
                "A recovery code was used; {left} are left",
                left,
                left=left,
            )
    if event.kind not in SENTENCES:
        return event.kind.replace("_", " ").capitalize()
    words = SENTENCES[event.kind]
    for (kind, detail, value), special in _SPECIAL.items():
        if kind == event.kind and event.details.get(detail) == value:
            words = special
    return language.gettext(words, **{**_UNKNOWN, **event.details})
