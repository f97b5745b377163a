"""Codes of authenticators and recovery codes: counted, compared, and used up."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from authapp.domain.clock import Clock
from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem
from authapp.domain.events import AccountEvent, Announcer, RecoveryCodeUsed
from authapp.domain.mail import Letter, Letterbox, LetterKind
from authapp.domain.notices import params_of
from authapp.domain.second_factor import (
    WARNINGS,
    WRONG_CODES,
    Authenticators,
    CannotUnseal,
    Sealer,
    SecondFactor,
    SecondFactorRepository,
    is_totp_code,
    matching_step,
    read_code,
    read_recovery_code,
    recovery_code_hash,
)
from authapp.domain.throttle import Limit
from authapp.domain.users import User
from authapp.domain.visitors import Visitor
from authapp.services.attempts import Attempts
from authapp.services.passwords import refuse

log = logging.getLogger(__name__)

ACTION = "second_factor"


class Codes:
    """Checks codes, for one request.

    Attempts are counted before anything is held: whoever holds the account has a connection, and
    requests that wanted a second one each could wait for each other.
    """

    def __init__(
        self,
        *,
        factors: SecondFactorRepository,
        authenticators: Authenticators,
        sealer: Sealer,
        attempts: Attempts,
        letters: Letterbox,
        clock: Clock,
        announcer: Announcer,
    ) -> None:
        self._factors = factors
        self._authenticators = authenticators
        self._sealer = sealer
        self._attempts = attempts
        self._limits = attempts.limits
        self._letters = letters
        self._clock = clock
        self._announcer = announcer

    def check_first(self, user: User, secret: str, code: str, factor: SecondFactor) -> int:
        """The step of the first code of an authenticator that is being set up.

        Raises `InvalidInput` for the field `code`, and `TooManyAttempts`.
        """
        refuse(code=totp_code_problems(code))
        limits = [self._limits.at_account(ACTION, user.id)]
        self._attempts.take(limits, ACTION, user)
        step = self._matching_step(secret, code, factor)
        if step is None:
            raise wrong_code()
        # Wrong codes of an authenticator that is no more say nothing of this one.
        self._attempts.clear([*limits, *_slow_limits(user)])
        return step

    def check(
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
            quick = self._limits.at_account(f"{ACTION} from a known browser", subject)
            if self._attempts.are_left([quick, slow_of_known]):
                return [quick, slow_of_known]
        # In this order: what is refused as too quick is no attempt that the slow one would count.
        limits = [self._limits.at_account(ACTION, user.id), slow]
        self._attempts.take(limits, ACTION, user)
        return limits

    def _tell_of_wrong_code(self, user: User, visitor: Visitor, failed: AccountEvent) -> None:
        """Also to the owner, at the first one in a while: whoever has come so far knows the
        password. A browser that has signed in before is more likely the owner's own."""
        is_stranger = visitor.browser_of(user) is None
        warning = Limit(f"{ACTION} warning", str(user.id), WARNINGS)
        is_news = is_stranger and self._attempts.are_left([warning])
        self._announcer.announce(failed)
        if is_news:
            kind = LetterKind.SECOND_FACTOR_FAILED
            self._letters.put(Letter(kind, user.email, user.id, params_of(user)))

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
        Limit(f"{ACTION} slowly account", str(user.id), WRONG_CODES, of_account=True),
        Limit(f"{ACTION} slowly known", str(user.id), WRONG_CODES, of_account=True),
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
