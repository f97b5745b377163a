import pytest
from cryptography.fernet import Fernet, InvalidToken

from authapp.domain.second_factor import CannotUnseal
from authapp.security.sealing import SecretSealer

OLD, NEW = "an old secret of enough characters", "a new secret, of enough characters"
SECRET = "GEZDGNBVGY3TQOJQ"


def test_what_was_sealed_can_be_unsealed():
    sealed = SecretSealer([OLD]).seal(SECRET)

    assert SECRET.encode() not in sealed
    assert SecretSealer([OLD]).unseal(sealed) == SECRET


def test_nothing_is_sealed_the_same_way_twice():
    sealer = SecretSealer([OLD])

    assert sealer.seal(SECRET) != sealer.seal(SECRET)


def test_all_lines_unseal_and_the_first_one_seals():
    sealed = SecretSealer([OLD]).seal(SECRET)
    both = SecretSealer([NEW, OLD])

    assert both.unseal(sealed) == SECRET
    assert SecretSealer([NEW]).unseal(both.seal(SECRET)) == SECRET


def test_what_an_older_line_has_sealed_is_renewed():
    sealed = SecretSealer([OLD]).seal(SECRET)

    renewed = SecretSealer([NEW, OLD]).renewed(sealed)

    assert SecretSealer([NEW]).unseal(renewed) == SECRET


def test_what_the_first_line_has_sealed_stays_as_it_is():
    sealer = SecretSealer([NEW, OLD])
    sealed = sealer.seal(SECRET)

    assert sealer.renewed(sealed) is sealed


@pytest.mark.parametrize("method", ["unseal", "renewed"])
@pytest.mark.parametrize("sealed", [SecretSealer([OLD]).seal(SECRET), b"", b"garbage"])
def test_what_no_line_has_sealed_is_an_error(method, sealed):
    with pytest.raises(CannotUnseal):
        getattr(SecretSealer([NEW]), method)(sealed)


def test_what_was_tampered_with_is_an_error():
    sealed = bytearray(SecretSealer([OLD]).seal(SECRET))
    sealed[40] ^= 1

    with pytest.raises(CannotUnseal):
        SecretSealer([OLD]).unseal(bytes(sealed))


def test_the_key_is_not_the_secret_itself():
    """Else what is signed with it, or sealed, would say something of the other."""
    sealed = SecretSealer(["A" * 43 + "="]).seal(SECRET)

    with pytest.raises(InvalidToken):
        Fernet("A" * 43 + "=").decrypt(sealed)
