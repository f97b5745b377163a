"""Password hashes by bcrypt, also for passwords that bcrypt cannot take.

bcrypt reads at most 72 bytes. A password that fits, where no pepper is set, is hashed as it is,
so that the hash stays an ordinary one that any other system can verify. A longer one, and any
where a pepper is set, goes through HMAC-SHA-384 first, keyed with the pepper, and base64, which
is 64 bytes (OWASP Password Storage Cheat Sheet, "Pre-Hashing Passwords with bcrypt"). Such a
hash ends in a mark that names the key, so that peppers can be rotated:

    $2b$12$…53 characters…                   bcrypt(password)
    $2b$12$…53 characters…$hmac-sha384$ID    bcrypt(base64(hmac-sha384(pepper, password)))
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

import bcrypt

BCRYPT_MAX_BYTES = 72
_MARK = "$hmac-sha384$"

# With no pepper set the pre-hash is keyed all the same, so that its digests are not the ones that
# other leaked databases hold (password shucking).
_UNPEPPERED = "authapp"


class BcryptHasher:
    """Implements `authapp.domain.passwords.PasswordHasher`; safe to share between threads."""

    def __init__(self, rounds: int, peppers: Sequence[str] = ()) -> None:
        """`rounds` is bcrypt's cost, the logarithm of the iterations; the first pepper is used
        for new hashes, all of them verify."""
        self._rounds = rounds
        self._peppered = bool(peppers)
        keys = [*peppers, _UNPEPPERED]
        self._current = _key_id(keys[0])
        self._keys = {_key_id(key): key.encode() for key in keys}
        # A hash of nothing known, of the same cost, for accounts that do not exist.
        self._nobodys_hash = self.hash(base64.b64encode(bcrypt.gensalt(4)).decode())

    def hash(self, password: str) -> str:
        salt = bcrypt.gensalt(self._rounds)
        if not self._needs_prehash(password):
            return bcrypt.hashpw(password.encode(), salt).decode()
        digest = bcrypt.hashpw(self._prehash(password, self._current), salt).decode()
        return f"{digest}{_MARK}{self._current}"

    def verify(self, password: str, password_hash: str | None) -> bool:
        """A refusal takes no less time for a hash of fewer rounds than for an unknown account."""
        digest, _, key_id = (password_hash or self._nobodys_hash).partition(_MARK)
        presented = self._prehash(password, key_id) if key_id else password.encode()
        try:
            matches = bcrypt.checkpw(presented[:BCRYPT_MAX_BYTES], digest.encode())
        except ValueError:
            # A stored hash that is none lets nobody in, and takes as long as any other.
            return self.verify(password, None)
        # A plain hash was made of at most 72 bytes. Some systems cut longer passwords off there;
        # to do so here would let in every password with the same beginning.
        is_right = matches and len(presented) <= BCRYPT_MAX_BYTES and password_hash is not None
        if not is_right:
            self._spend_missing_rounds(presented[:BCRYPT_MAX_BYTES], _cost(digest))
        return is_right

    def needs_upgrade(self, password_hash: str) -> bool:
        digest, _, key_id = password_hash.partition(_MARK)
        if (self._peppered or key_id) and key_id != self._current:
            return True
        return not digest.startswith("$2b$") or _cost(digest) < self._rounds

    def _spend_missing_rounds(self, presented: bytes, spent: int) -> None:
        """Does the work by which a hash of the cost `spent` is cheaper than one of today's.

        A cost of n is 2^n rounds, and 2^spent + 2^(spent + 1) + ... + 2^(today - 1) of them are
        just what is missing.
        """
        for cost in range(spent, self._rounds):
            bcrypt.hashpw(presented, bcrypt.gensalt(cost))

    def _needs_prehash(self, password: str) -> bool:
        return self._peppered or len(password.encode()) > BCRYPT_MAX_BYTES

    def _prehash(self, password: str, key_id: str) -> bytes:
        # An unknown key id (a pepper that was removed) verifies nothing, in the usual time.
        key = self._keys.get(key_id, key_id.encode() + b"\0unknown")
        return base64.b64encode(hmac.digest(key, password.encode(), "sha384"))


def _cost(digest: str) -> int:
    return int(digest.split("$")[2])


def _key_id(key: str) -> str:
    return hashlib.sha256(b"authapp pepper id\0" + key.encode()).hexdigest()[:8]
