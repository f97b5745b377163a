"""The second factor: setting it up, asking for it at sign-in, and doing without it again."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from authapp.domain.clock import Clock
from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem, UserNotFound
from authapp.domain.events import (
    AccountEvent,
    Announcer,
    RecoveryCodesRenewed,
    RecoveryCodeUsed,
    SecondFactorDisabled,
    SecondFactorEnabled,
    SignInFailed,
    WrongCode,
)
from authapp.domain.mail import Letter, Letterbox, LetterKind
from authapp.domain.second_factor import (
    WARNINGS,
    WRONG_CODES,
    AlreadyOn,
    Authenticators,
    CannotTurnOff,
    CannotUnseal,
    NotSetUp,
    PendingSignIn,
    Sealer,
    SecondFactor,
    SecondFactorPolicy,
    SecondFactorRepository,
    SetUp,
    SignInExpired,
    begin_sign_in,
    fingerprint_of_set_up,
    is_still_good,
    is_totp_code,
    matching_step,
    new_recovery_codes,
    read_code,
    read_recovery_code,
    recovery_code_hash,
)
from authapp.domain.throttle import Limit
from authapp.domain.users import Credentials, User, UserRepository
from authapp.domain.visitors import Visitor
from authapp.services.attempts import Attempts
from authapp.services.passwords import Passwords, refuse
from authapp.services.revocations import Revocations

log = logging.getLogger(__name__)

_ACTION = "second_factor"


class SecondFactors:
    """The use cases of second factors, for one request.

    Attempts are counted before anything is held: whoever holds the account has a connection, and
    requests that wanted a second one each could wait for each other.
    """

    def __init__(
        self,
        *,
        factors: SecondFactorRepository,
        users: UserRepository,
        passwords: Passwords,
        authenticators: Authenticators,
        sealer: Sealer,
        policy: SecondFactorPolicy,
        attempts: Attempts,
        revocations: Revocations,
        letters: Letterbox,
        clock: Clock,
        announcer: Announcer,
    ) -> None:
        self._factors = factors
        self._users = users
        self._passwords = passwords
        self._authenticators = authenticators
        self._sealer = sealer
        self.policy = policy
        self._attempts = attempts
        self._limits = attempts.limits
        self._revocations = revocations
        self._letters = letters
        self._clock = clock
        self._announcer = announcer

    # Setting it up.

    def begin(self, user_id: UUID, *, session_id: UUID | None = None) -> SetUp:
        """A new secret, which does not count yet. Raises `AlreadyOn`, `UserNotFound` and
        `SessionEnded`."""
        user = self._held(user_id)
        if user.has_second_factor:
            raise AlreadyOn
        self._revocations.check_alive(session_id)
        secret = self._authenticators.new_secret()
        sealed = self._sealer.seal(secret, user_id)
        self._factors.begin(user_id, sealed)
        return self._set_up(user, secret, sealed)

    def being_set_up(self, user: User, fingerprint: str | None) -> SetUp:
        """The set-up with this fingerprint. Raises `NotSetUp`, also where another was begun."""
        factor, secret = self._being_set_up(user, fingerprint)
        return self._set_up(user, secret, factor.sealed_secret)

    def confirm(
        self, user: User, fingerprint: str | None, code: str, *, keep: UUID | None
    ) -> Sequence[str]:
        """Has the factor that is being set up count, once its first code is right, and gives the
        recovery codes, which are never to be had again.

        Ends the user's sessions but for `keep`: they were begun without it. Raises `InvalidInput`
        for the field `code`, `NotSetUp`, `TooManyAttempts`, `UserNotFound` and `SessionEnded`.
        """
        factor, secret = self._being_set_up(user, fingerprint)
        refuse(code=totp_code_problems(code))
        limits = [self._limits.at_account(_ACTION, user.id)]
        self._attempts.take(limits, _ACTION, user)
        step = self._matching_step(secret, code, factor)
        if step is None:
            raise wrong_code()
        # Wrong codes of an authenticator that is no more say nothing of this one.
        self._attempts.clear([*limits, *_slow_limits(user)])
        # By now another browser may have done the same, or have begun anew.
        if self._held(user.id).has_second_factor or self._factors.find(user.id) != factor:
            raise NotSetUp
        self._revocations.check_alive(keep)
        self._factors.use(factor, step, factor.sealed_secret)
        activated = self._factors.activate(user.id)
        codes = self._new_recovery_codes(user.id)
        self._announcer.announce(SecondFactorEnabled(user=activated))
        self._revocations.of_sessions(activated, keep=keep)
        return codes

    # Having it.

    def count_recovery_codes(self, user_id: UUID) -> int:
        """How many have not been used."""
        return self._factors.count_recovery_codes(user_id)

    def renew_recovery_codes(
        self,
        user: User,
        current_password: str,
        code: str,
        visitor: Visitor,
        *,
        session_id: UUID | None = None,
    ) -> Sequence[str]:
        """New ones, in the place of those that there were. Takes what `disable` takes, and
        raises what it does, but for `CannotTurnOff`."""
        held = self._held_by_owner(user, current_password, code, visitor, session_id)
        codes = self._new_recovery_codes(user.id)
        self._announcer.announce(RecoveryCodesRenewed(user=held))
        return codes

    def disable(
        self,
        user: User,
        current_password: str,
        code: str,
        visitor: Visitor,
        *,
        session_id: UUID | None = None,
    ) -> None:
        """Makes the password the only factor again; takes both, and `code` may be of either kind.

        Raises `CannotTurnOff`, `InvalidInput` for the fields `current_password` and `code`,
        `NotSetUp`, `TooManyAttempts`, `UserNotFound`, `SessionEnded`, and `CannotUnseal` where
        only a recovery code will do.
        """
        if self.policy.is_required_of(user):
            raise CannotTurnOff
        self._held_by_owner(user, current_password, code, visitor, session_id)
        self._announcer.announce(SecondFactorDisabled(user=self._factors.remove(user.id)))

    # Signing in.

    def begin_sign_in(self, credentials: Credentials) -> PendingSignIn:
        """What is to be kept until the code is given: nobody is signed in by it."""
        return begin_sign_in(credentials, self._clock.now())

    def check_pending(self, pending: PendingSignIn) -> None:
        """Raises `SignInExpired`."""
        self._still_pending(pending)

    def complete_sign_in(self, pending: PendingSignIn, code: str, visitor: Visitor) -> User:
        """The user, who has now given both factors, held as they are until the transaction ends.

        `code` is one of the authenticator's or a recovery code, and is good no more. Raises
        `SignInExpired`, `InvalidInput` for what is no code, `InvalidCredentials` for a wrong one,
        `TooManyAttempts`, and `CannotUnseal` where only a recovery code will do.
        """
        found = self._still_pending(pending)
        refuse(code=code_problems(code))
        failed = SignInFailed(user=found.user, second_factor=True)
        use = self._checked(found.user, code, visitor, failed)
        if not self._users.hold_unchanged(found):
            raise SignInExpired
        if not use():  # By now: another request has just used it.
            self._announcer.announce(failed)
            raise InvalidCredentials
        return found.user

    # The steps of these.

    def _held_by_owner(
        self,
        user: User,
        current_password: str,
        code: str,
        visitor: Visitor,
        session_id: UUID | None,
    ) -> User:
        """The user, held, once both factors were given anew. Raises what `disable` does."""
        if not user.has_second_factor:
            raise NotSetUp
        problems = code_problems(code)
        found = self._passwords.check_current(user.id, current_password, code=problems)
        try:
            use = self._checked(found.user, code, visitor, WrongCode(user=found.user))
        except InvalidCredentials:
            raise wrong_code() from None
        held = self._held(user.id)
        if not held.has_second_factor:
            raise NotSetUp
        self._passwords.hold_unchanged(found)
        self._revocations.check_alive(session_id)
        if not use():
            raise wrong_code()  # By now: another request has just used it.
        return held

    def _still_pending(self, pending: PendingSignIn) -> Credentials:
        found = self._users.credentials_of(pending.user_id)
        if found is None or not is_still_good(pending, found, self._clock.now()):
            raise SignInExpired
        return found

    def _checked(
        self, user: User, code: str, visitor: Visitor, failed: AccountEvent
    ) -> Callable[[], bool]:
        """What uses the code up, if it is right; each try is counted.

        Raises `InvalidCredentials`, once `failed` was announced, `TooManyAttempts` and
        `CannotUnseal`.
        """
        limits = self._take_one(user, visitor)
        try:
            use = self._found(user, read_code(code))
        except InvalidCredentials:
            self._tell_of_wrong_code(user, visitor, failed)
            raise
        except CannotUnseal:
            self._attempts.give_back(limits)
            raise
        self._attempts.clear([*limits, *_slow_limits(user)])
        return use

    def _take_one(self, user: User, visitor: Visitor) -> Sequence[Limit]:
        """Counts an attempt, and returns the limits that it was counted under.

        As with passwords, a browser that has signed in before has attempts of its own.
        """
        slow, slow_of_known = _slow_limits(user)
        browser = visitor.browser_of(user)
        if browser is not None:
            subject = f"{browser.user_id} {browser.id}"
            quick = self._limits.at_account(f"{_ACTION} from a known browser", subject)
            if self._attempts.are_left([quick, slow_of_known]):
                return [quick, slow_of_known]
        # In this order: what is refused as too quick is no attempt that the slow one would count.
        limits = [self._limits.at_account(_ACTION, user.id), slow]
        self._attempts.take(limits, _ACTION, user)
        return limits

    def _tell_of_wrong_code(self, user: User, visitor: Visitor, failed: AccountEvent) -> None:
        """Also to the owner, at the first one in a while: whoever has come so far knows the
        password. A browser that has signed in before is more likely the owner's own."""
        is_stranger = visitor.browser_of(user) is None
        warning = Limit(f"{_ACTION} warning", str(user.id), WARNINGS)
        is_news = is_stranger and self._attempts.are_left([warning])
        self._announcer.announce(failed)
        if is_news:
            params = {"name": user.name, "email": user.email}
            kind = LetterKind.SECOND_FACTOR_FAILED
            self._letters.put(Letter(kind, user.email, user.id, params))

    def _found(self, user: User, code: str) -> Callable[[], bool]:
        recovery_code = read_recovery_code(code)
        if recovery_code is None:
            return self._found_totp_code(user, code)
        code_hash = recovery_code_hash(recovery_code)
        if not self._factors.has_recovery_code(user.id, code_hash):
            raise InvalidCredentials
        return partial(self._use_recovery_code, user, code_hash)

    def _found_totp_code(self, user: User, code: str) -> Callable[[], bool]:
        factor = self._factors.find(user.id)
        if factor is None:
            raise InvalidCredentials
        step = self._matching_step(self._secret_of(factor), code, factor)
        if step is None:
            raise InvalidCredentials
        sealed = self._sealer.renewed(factor.sealed_secret, user.id)
        return partial(self._factors.use, factor, step, sealed)

    def _use_recovery_code(self, user: User, code_hash: bytes) -> bool:
        is_used = self._factors.use_recovery_code(user.id, code_hash)
        if is_used:
            left = self._factors.count_recovery_codes(user.id)
            self._announcer.announce(RecoveryCodeUsed(user=user, left=left))
        return is_used

    def _matching_step(self, secret: str, code: str, factor: SecondFactor) -> int | None:
        now, last_step = self._clock.now(), factor.last_step
        return matching_step(self._authenticators, secret, read_code(code), now, last_step)

    def _being_set_up(self, user: User, fingerprint: str | None) -> tuple[SecondFactor, str]:
        factor = self._factors.find(user.id)
        if factor is None or user.has_second_factor:
            raise NotSetUp
        if fingerprint != fingerprint_of_set_up(factor.sealed_secret):
            raise NotSetUp
        try:
            return factor, self._sealer.unseal(factor.sealed_secret, user.id)
        except CannotUnseal:
            raise NotSetUp from None  # It is as easily begun anew.

    def _set_up(self, user: User, secret: str, sealed: bytes) -> SetUp:
        uri = self._authenticators.uri(secret, user.email)
        return SetUp(secret, uri, fingerprint_of_set_up(sealed))

    def _new_recovery_codes(self, user_id: UUID) -> Sequence[str]:
        codes = new_recovery_codes()
        self._factors.replace_recovery_codes(user_id, [recovery_code_hash(c) for c in codes])
        return codes

    def _held(self, user_id: UUID) -> User:
        user = self._users.hold(user_id)
        if user is None:
            raise UserNotFound
        return user

    def _secret_of(self, factor: SecondFactor) -> str:
        try:
            return self._sealer.unseal(factor.sealed_secret, factor.user_id)
        except CannotUnseal:
            log.error(
                "the secret of the authenticator of user %s was sealed by a line that is no longer "
                "in session.secret, or for another user: put the line back, below the others, or "
                "reset the user's second factor",
                factor.user_id,
            )
            raise


def _slow_limits(user: User) -> tuple[Limit, Limit]:
    """For all browsers, and for those that have signed in before."""
    return (
        Limit(f"{_ACTION} slowly account", str(user.id), WRONG_CODES, of_account=True),
        Limit(f"{_ACTION} slowly known", str(user.id), WRONG_CODES, of_account=True),
    )


def code_problems(code: str) -> Sequence[Problem]:
    """What is wrong with `code` as something to compare at all."""
    read = read_code(code)
    if not read:
        return (Problem("required"),)
    if not is_totp_code(read) and read_recovery_code(read) is None:
        return (Problem("bad_code"),)
    return ()


def totp_code_problems(code: str) -> Sequence[Problem]:
    read = read_code(code)
    if not read:
        return (Problem("required"),)
    return () if is_totp_code(read) else (Problem("bad_totp_code"),)


def wrong_code() -> InvalidInput:
    return InvalidInput({"code": [Problem("wrong_code")]})
