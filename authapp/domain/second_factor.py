"""The second factor: codes of an authenticator (TOTP), and recovery codes for when it is lost.

RFC 6238, with what every authenticator can do: a code of six digits for each half minute. ASVS 5.0
section 6.5: each code is good once.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from authapp.domain.errors import DomainError
from authapp.domain.throttle import Rate
from authapp.domain.users import Credentials, Role, User

STEP_SECONDS = 30
# How many steps an authenticator's clock may be ahead or behind: RFC 6238 section 5.2.
WINDOW = 1

RECOVERY_CODES = 10
# 24 of these letters are 120 bits. From 112 bits on a plain hash is enough (ASVS 5.0 6.5.2): there
# is nothing to be guessed. The letters are Crockford's, none of which is taken for another.
_RECOVERY_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_RECOVERY_LENGTH = 24
_RECOVERY_GROUP = 4
_READ_AS = str.maketrans("oil", "011")

_TYPED_WITH = re.compile(r"[\s-]+")
_TOTP_CODE = re.compile(r"[0-9]{6}")
_RECOVERY_CODE = re.compile(rf"[{_RECOVERY_LETTERS}]{{{_RECOVERY_LENGTH}}}")

# How long there is for the code after the password (ASVS 5.0 6.5.5).
PENDING_LIFETIME = timedelta(minutes=10)

# NIST SP 800-63B-4 section 3.2.2: no more than 100 wrong ones in a row, however slowly they come.
# Half of them are kept for browsers that have signed in before, so that nobody else uses those up.
WRONG_CODES = Rate(50, timedelta(days=30))
# How often the owner hears of wrong ones.
WARNINGS = Rate(1, timedelta(days=1))


class NotSetUp(DomainError):
    """No authenticator is being set up, or it has been by now."""


class AlreadyOn(DomainError):
    """The account has a second factor."""


class CannotTurnOff(DomainError):
    """The operator demands a second factor of the account's role."""


class SignInExpired(DomainError):
    """The password was given too long ago, or the account is not as it was then."""


class CannotUnseal(DomainError):
    """A secret was sealed by a key that is none of today's."""


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A secret that is shared with an authenticator. `last_step` is that of the code that was used
    last: it and all before it are good no more."""

    user_id: UUID
    sealed_secret: bytes
    last_step: int | None


@dataclass(frozen=True, slots=True)
class SetUp:
    """What an authenticator needs: the `secret` to be typed, and the same in a `uri` to be
    scanned.

    `fingerprint` tells this set-up from any other: only who has begun it goes on with it. Else
    somebody who was in the account for a moment could leave one behind, whose secret they know.
    """

    secret: str
    uri: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """The right password was given; the second factor was not yet.

    It is void as soon as the account has another password, which `fingerprint` tells.
    """

    user_id: UUID
    fingerprint: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SecondFactorPolicy:
    """`required_for_admins`: without a second factor an administrator is a member."""

    required_for_admins: bool = False

    def is_required_of(self, user: User) -> bool:
        return self.required_for_admins and user.role is Role.ADMIN

    def is_missing(self, user: User) -> bool:
        return self.is_required_of(user) and not user.has_second_factor


class Authenticators(Protocol):
    """What an authenticator of today computes."""

    def new_secret(self) -> str:
        """160 random bits in base32, as authenticators take it."""
        ...

    def code(self, secret: str, step: int) -> str: ...

    def uri(self, secret: str, account: str) -> str:
        """What an authenticator reads from a QR code."""
        ...


class Sealer(Protocol):
    """Keeps secrets that have to be read back from whoever reads the database, and from whoever
    writes there what was sealed for another account."""

    def seal(self, secret: str, owner: UUID) -> bytes: ...

    def unseal(self, sealed: bytes, owner: UUID) -> str:
        """Raises `CannotUnseal`, also for what was sealed for another owner."""
        ...

    def renewed(self, sealed: bytes, owner: UUID) -> bytes:
        """The same secret sealed by today's key: what was given, if it is that already. Raises
        `CannotUnseal`, as above."""
        ...


class SecondFactorRepository(Protocol):
    """Where second factors are kept. Those who change one hold the account first, by `hold` of
    users, so that of two at once the second sees what the first has done."""

    def find(self, user_id: UUID) -> SecondFactor | None:
        """Also one that is being set up, and does not count yet."""
        ...

    def begin(self, user_id: UUID, sealed_secret: bytes) -> None:
        """Keeps a secret, in the place of any other; it does not count yet."""
        ...

    def activate(self, user_id: UUID) -> User:
        """Has it count from now on. Raises `UserNotFound`."""
        ...

    def use(self, factor: SecondFactor, step: int, sealed_secret: bytes) -> bool:
        """Makes the code of this step, and all before it, void, and says whether it was good until
        now: of two, one is told so. Keeps the secret as it is sealed now."""
        ...

    def remove(self, user_id: UUID) -> User:
        """Forgets the secret and the recovery codes. Raises `UserNotFound`."""
        ...

    def replace_recovery_codes(self, user_id: UUID, code_hashes: Sequence[bytes]) -> None: ...

    def has_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool: ...

    def use_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        """Makes the code void, and says whether it was good until now: of two, one is told so."""
        ...

    def count_recovery_codes(self, user_id: UUID) -> int: ...


def read_code(typed: str) -> str:
    """The code without what people type between, and in small letters."""
    return _TYPED_WITH.sub("", typed).lower()


def is_totp_code(code: str) -> bool:
    return _TOTP_CODE.fullmatch(code) is not None


def read_recovery_code(code: str) -> str | None:
    """The recovery code with its look-alikes told apart, or None if it is none."""
    code = code.translate(_READ_AS)
    return code if _RECOVERY_CODE.fullmatch(code) else None


def new_recovery_codes() -> Sequence[str]:
    return [
        "".join(secrets.choice(_RECOVERY_LETTERS) for _ in range(_RECOVERY_LENGTH))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_code_hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def in_groups(text: str, size: int = _RECOVERY_GROUP, separator: str = "-") -> str:
    """A long code as people read and type it."""
    return separator.join(text[i : i + size] for i in range(0, len(text), size))


def matching_step(
    authenticators: Authenticators, secret: str, code: str, now: datetime, last_step: int | None
) -> int | None:
    """The step whose code this is, of those that are good now, or None."""
    current = int(now.timestamp()) // STEP_SECONDS
    found = None
    # All are compared, so that the time it takes does not tell which one it was.
    for step in range(current - WINDOW, current + WINDOW + 1):
        is_same = hmac.compare_digest(authenticators.code(secret, step), code)
        if is_same and (last_step is None or step > last_step):
            found = step
    return found


def fingerprint_of_set_up(sealed_secret: bytes) -> str:
    """Nothing is sealed the same way twice, so that each set-up has its own."""
    return hashlib.sha256(sealed_secret).hexdigest()


def begin_sign_in(credentials: Credentials, now: datetime) -> PendingSignIn:
    return PendingSignIn(credentials.user.id, _fingerprint(credentials.password_hash), now)


def is_still_good(pending: PendingSignIn, credentials: Credentials, now: datetime) -> bool:
    user = credentials.user
    return (
        user.is_active
        and user.has_second_factor
        and now - pending.since < PENDING_LIFETIME
        and hmac.compare_digest(pending.fingerprint, _fingerprint(credentials.password_hash))
    )


def _fingerprint(password_hash: str) -> str:
    """Tells one hash from another, and is of no use for anything else."""
    return hashlib.sha256(b"authapp pending sign-in\0" + password_hash.encode()).hexdigest()
