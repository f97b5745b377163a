"""What happened to an account, in words for people."""

from authapp.domain.events import RecordedEvent

WORDS = {
    "signed_up": "Account created",
    "signed_in": "Signed in",
    "sign_in_failed": "Sign-in failed",
    "throttled": "Too many attempts",
    "signed_out": "Signed out",
    "identity_confirmed": "Password confirmed",
    "wrong_password": "Wrong password given while signed in",
    "profile_changed": "Name changed",
    "password_changed": "Password changed",
    "password_reset": "Password reset by a link in a mail",
    "password_reset_requested": "Link to reset the password asked for",
    "email_verified": "Email address verified",
    "email_change_requested": "Change of the email address asked for",
    "email_changed": "Email address changed",
    "sessions_revoked": "Sessions ended",
    "second_factor_enabled": "Two-step verification turned on",
    "second_factor_disabled": "Two-step verification turned off",
    "recovery_codes_renewed": "New recovery codes made",
    "recovery_code_used": "Recovery code used",
    "role_changed": "Role changed",
    "disabled": "Account disabled",
    "enabled": "Account enabled",
    "deleted": "Account deleted",
}


def in_words(event: RecordedEvent) -> str:
    """An event that a newer version has written, before a step back, is called by its name."""
    return WORDS.get(event.kind, event.kind.replace("_", " ").capitalize())
