"""The second factor: setting it up, asking for it at sign-in, and doing without it again."""

from collections.abc import Sequence
from uuid import UUID

from authapp.domain.clock import Clock
from authapp.domain.errors import InvalidCredentials, UserNotFound
from authapp.domain.events import (
    Announcer,
    RecoveryCodesRenewed,
    SecondFactorDisabled,
    SecondFactorEnabled,
    SignInFailed,
    WrongCode,
)
from authapp.domain.second_factor import (
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
    new_recovery_codes,
    recovery_code_hash,
)
from authapp.domain.users import Credentials, User, UserRepository
from authapp.domain.visitors import Visitor
from authapp.services.codes import Codes, code_problems, wrong_code
from authapp.services.passwords import Passwords, refuse
from authapp.services.revocations import Revocations


class SecondFactors:
    """The use cases of second factors, for one request."""

    def __init__(
        self,
        *,
        factors: SecondFactorRepository,
        users: UserRepository,
        passwords: Passwords,
        authenticators: Authenticators,
        sealer: Sealer,
        policy: SecondFactorPolicy,
        codes: Codes,
        revocations: Revocations,
        clock: Clock,
        announcer: Announcer,
    ) -> None:
        self._factors = factors
        self._users = users
        self._passwords = passwords
        self._authenticators = authenticators
        self._sealer = sealer
        self.policy = policy
        self._codes = codes
        self._revocations = revocations
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
        step = self._codes.check_first(user, secret, code, factor)
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
        use = self._codes.check(found.user, code, visitor, failed)
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
            use = self._codes.check(found.user, code, visitor, WrongCode(user=found.user))
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
