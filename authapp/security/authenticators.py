"""What authenticators compute: RFC 6238 with six digits, half minutes and SHA-1, by pyotp.

Others than SHA-1 many applications take from a QR code and then ignore. For HMAC it is as good as
ever (RFC 6238 section 1.2, NIST SP 800-131A).
"""

import pyotp

from authapp.domain.second_factor import STEP_SECONDS


class TotpAuthenticators:
    """Implements `authapp.domain.second_factor.Authenticators`."""

    def __init__(self, issuer: str) -> None:
        """`issuer` is the name that an authenticator shows beside the account's."""
        self._issuer = issuer

    def new_secret(self) -> str:
        return pyotp.random_base32()

    def code(self, secret: str, step: int) -> str:
        return pyotp.HOTP(secret).at(step)

    def uri(self, secret: str, account: str) -> str:
        totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
        return totp.provisioning_uri(name=account, issuer_name=self._issuer)
