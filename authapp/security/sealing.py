"""Sealing what has to be read back, so that the database alone gives nothing away.

The keys are derived from the lines of `session.secret` (HKDF, RFC 5869) under a label of this
purpose's own, so that there is no further secret to be kept, and neither use tells anything of the
other. The first line seals, all unseal, as it is with cookies.

Fernet knows no data that are only authenticated, so whose a secret is stands before it, inside.
"""

import base64
from collections.abc import Sequence
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from authapp.domain.second_factor import CannotUnseal

_LABEL = b"authapp second factor secrets, version 1"


class SecretSealer:
    """Implements `authapp.domain.second_factor.Sealer`; safe to share between threads."""

    def __init__(self, session_secrets: Sequence[str]) -> None:
        keys = [_fernet(secret) for secret in session_secrets]
        self._current = keys[0]
        self._all = MultiFernet(keys)

    def seal(self, secret: str, owner: UUID) -> bytes:
        return self._current.encrypt(owner.bytes + secret.encode())

    def unseal(self, sealed: bytes, owner: UUID) -> str:
        try:
            content = self._all.decrypt(sealed)
        except InvalidToken:
            raise CannotUnseal from None
        if not content.startswith(owner.bytes):
            raise CannotUnseal
        return content.removeprefix(owner.bytes).decode()

    def renewed(self, sealed: bytes, owner: UUID) -> bytes:
        secret = self.unseal(sealed, owner)
        try:
            self._current.decrypt(sealed)
        except InvalidToken:
            return self.seal(secret, owner)
        return sealed


def _fernet(session_secret: str) -> Fernet:
    # HKDF wants no salt where the input is as good as random already: RFC 5869 section 3.1.
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL)
    return Fernet(base64.urlsafe_b64encode(hkdf.derive(session_secret.encode())))
