from uuid import UUID

import pytest
from cryptography.fernet import Fernet, InvalidToken

from authapp.domain.second_factor import CannotUnseal
from authapp.security.sealing import SecretSealer

OLD, NEW = "an old secret of enough characters", "a new secret, of enough characters"
SECRET = "GEZDGNBVGY3TQOJQ"
ADA, EVE = UUID(int=1), UUID(int=2)


def test_what_was_sealed_can_be_unsealed():
    sealed = SecretSealer([OLD]).seal(SECRET, ADA)

    assert SECRET.encode() not in sealed
    assert SecretSealer([OLD]).unseal(sealed, ADA) == SECRET


def test_nothing_is_sealed_the_same_way_twice():
    sealer = SecretSealer([OLD])

    assert sealer.seal(SECRET, ADA) != sealer.seal(SECRET, ADA)


def test_all_lines_unseal_and_the_first_one_seals():
    sealed = SecretSealer([OLD]).seal(SECRET, ADA)
    both = SecretSealer([NEW, OLD])

    assert both.unseal(sealed, ADA) == SECRET
    assert SecretSealer([NEW]).unseal(both.seal(SECRET, ADA), ADA) == SECRET


def test_what_an_older_line_has_sealed_is_renewed():
    sealed = SecretSealer([OLD]).seal(SECRET, ADA)

    renewed = SecretSealer([NEW, OLD]).renewed(sealed, ADA)

    assert SecretSealer([NEW]).unseal(renewed, ADA) == SECRET


def test_what_the_first_line_has_sealed_stays_as_it_is():
    sealer = SecretSealer([NEW, OLD])
    sealed = sealer.seal(SECRET, ADA)

    assert sealer.renewed(sealed, ADA) is sealed


@pytest.mark.parametrize("method", ["unseal", "renewed"])
@pytest.mark.parametrize("sealed", [SecretSealer([OLD]).seal(SECRET, ADA), b"", b"garbage"])
def test_what_no_line_has_sealed_is_an_error(method, sealed):
    with pytest.raises(CannotUnseal):
        getattr(SecretSealer([NEW]), method)(sealed, ADA)


@pytest.mark.parametrize("method", ["unseal", "renewed"])
@pytest.mark.parametrize("lines", [[OLD], [NEW, OLD]])
def test_what_was_sealed_for_somebody_else_is_an_error(method, lines):
    """Else who writes into the database puts a secret of their own into another's row."""
    sealed = SecretSealer([OLD]).seal(SECRET, EVE)

    with pytest.raises(CannotUnseal):
        getattr(SecretSealer(lines), method)(sealed, ADA)


def test_what_was_tampered_with_is_an_error():
    sealed = bytearray(SecretSealer([OLD]).seal(SECRET, ADA))
    sealed[40] ^= 1

    with pytest.raises(CannotUnseal):
        SecretSealer([OLD]).unseal(bytes(sealed), ADA)


def test_the_key_is_not_the_secret_itself():
    """Else what is signed with it, or sealed, would say something of the other."""
    sealed = SecretSealer(["A" * 43 + "="]).seal(SECRET, ADA)

    with pytest.raises(InvalidToken):
        Fernet("A" * 43 + "=").decrypt(sealed)
