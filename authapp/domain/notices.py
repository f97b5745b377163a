"""Which letters an event has: the owner of an account hears of what was changed.

ASVS 5.0 6.3.7; OWASP Authentication Cheat Sheet.
"""

from authapp.domain import events
from authapp.domain.events import AccountEvent
from authapp.domain.mail import Letter, LetterKind
from authapp.domain.users import User

_NOTICES = {
    events.PasswordChanged: LetterKind.PASSWORD_CHANGED,
    events.PasswordReset: LetterKind.PASSWORD_CHANGED,
    events.SecondFactorEnabled: LetterKind.SECOND_FACTOR_ENABLED,
    events.SecondFactorDisabled: LetterKind.SECOND_FACTOR_DISABLED,
    events.RecoveryCodeUsed: LetterKind.RECOVERY_CODE_USED,
    events.RoleChanged: LetterKind.ROLE_CHANGED,
    events.UserDisabled: LetterKind.ACCOUNT_DISABLED,
    events.UserEnabled: LetterKind.ACCOUNT_ENABLED,
}


def params_of(user: User) -> dict[str, str]:
    """What all letters to `user` may say, and the language that they are written in."""
    language = user.language or user.letters_language
    params = {"name": user.name, "email": user.email}
    return {**params, "language": language} if language else params


def letter_about(event: AccountEvent) -> Letter | None:
    """The letter that goes out because of `event`, if any does."""
    user = event.user
    if user is None:
        return None
    params = params_of(user)
    if event.by is not None and event.by.id != user.id:
        params["by"] = "administrator"
    match event:
        case events.UserSignedUp() if user.email_verified_at is None:
            return Letter(LetterKind.VERIFY_EMAIL, user.email, user.id, params)
        case events.SignedIn(new_device=True) if user.notify_sign_in:
            return Letter(LetterKind.NEW_SIGN_IN, user.email, user.id, params)
        case events.EmailChangeRequested():
            params |= {"new_email": event.new_email}
            return Letter(LetterKind.EMAIL_CHANGE_REQUESTED, user.email, user.id, params)
        case events.SessionsRevoked(asked_for=True) if "by" in params:
            return Letter(LetterKind.SESSIONS_ENDED, user.email, user.id, params)
        case events.EmailChanged():
            # To the old one: whoever reads the new one knows. A letter about an account goes with
            # it, and a thief who deletes it is not to take this warning away.
            return Letter(LetterKind.EMAIL_CHANGED, event.old_email, None, params)
        case events.UserDeleted():
            # This one is to stay as well.
            return Letter(LetterKind.ACCOUNT_DELETED, user.email, None, params)
    kind = _NOTICES.get(type(event))
    return Letter(kind, user.email, user.id, params) if kind else None
