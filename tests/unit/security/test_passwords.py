import base64
import hashlib
import re

import bcrypt
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from authapp.domain.passwords import presented_problems
from authapp.security.passwords import BcryptHasher

HASHER = BcryptHasher(4)
PEPPERED = BcryptHasher(4, ["pepper of today"])
PASSWORD = "correct horse battery staple"
LONG = "p" * 100

TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
PASSWORDS = st.text(TEXT, min_size=1, max_size=100) | st.text(
    st.sampled_from("aé🙂 "), min_size=15, max_size=100
)


def plain(password, rounds=4):
    """What any other system would have stored."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


@pytest.fixture(params=[HASHER, PEPPERED], ids=["without pepper", "with pepper"])
def hasher(request):
    return request.param


class TestExactness:
    @given(password=PASSWORDS, character=TEXT)
    @example(password="p" * 72, character="p")
    @example(password="p" * 73, character="p")
    @example(password="é" * 36, character="é")
    @settings(max_examples=30)
    @pytest.mark.parametrize("peppered", [False, True])
    def test_only_the_password_itself_verifies(self, peppered, password, character):
        hasher = PEPPERED if peppered else HASHER
        stored = hasher.hash(password)
        neighbours = {
            password + character,
            character + password,
            password[:-1],
            password[1:],
            password[:-1] + character,
            password.swapcase(),
            password + " ",
            password.strip(),
        }

        assert hasher.verify(password, stored)
        assert not [other for other in neighbours - {password} if hasher.verify(other, stored)]

    @given(beginning=st.text(TEXT, min_size=72, max_size=80), one=PASSWORDS, other=PASSWORDS)
    @settings(max_examples=30)
    def test_passwords_with_the_same_first_72_bytes_are_different_ones(self, beginning, one, other):
        assume(one != other)

        assert not HASHER.verify(beginning + other, HASHER.hash(beginning + one))

    def test_bcrypt_takes_some_passwords_with_nul_for_others_so_the_rules_refuse_nul(self):
        """It reads a password, a NUL, and the password again, until it has 72 bytes."""
        assert HASHER.verify("ada\0ada", HASHER.hash("ada"))

        assert [problem.code for problem in presented_problems("ada\0ada")] == ["bad_characters"]

    def test_letters_that_are_composed_differently_are_different(self, hasher):
        assert not hasher.verify("cafe\u0301", hasher.hash("caf\u00e9"))

    def test_the_prehash_itself_is_no_password(self):
        stored = HASHER.hash(LONG)
        presented = HASHER._prehash(LONG, HASHER._current).decode()

        assert not HASHER.verify(presented, stored)


class TestStoredForm:
    @pytest.mark.parametrize("rounds", [10, 11])
    def test_a_hash_says_its_algorithm_and_its_cost(self, rounds):
        assert re.match(r"^\$2b\$1[0-9]\$", BcryptHasher(rounds).hash(PASSWORD))

    def test_without_a_pepper_a_hash_is_an_ordinary_one(self):
        stored = HASHER.hash(PASSWORD)

        assert re.fullmatch(r"\$2b\$04\$[./A-Za-z0-9]{53}", stored)
        assert bcrypt.checkpw(PASSWORD.encode(), stored.encode())

    @pytest.mark.parametrize("password", ["p" * 72, "é" * 36, "🙂" * 18])
    def test_up_to_72_bytes(self, password):
        assert bcrypt.checkpw(password.encode(), HASHER.hash(password).encode())

    @pytest.mark.parametrize("password", ["p" * 73, "é" * 37, "🙂" * 19, "🙂" * 256])
    def test_a_longer_password_is_hashed_beforehand_and_the_mark_says_so(self, password):
        stored = HASHER.hash(password)

        assert re.fullmatch(r"\$2b\$04\$[./A-Za-z0-9]{53}\$hmac-sha384\$[0-9a-f]{8}", stored)
        assert not bcrypt.checkpw(password.encode()[:72], stored.partition("$hmac")[0].encode())

    @pytest.mark.parametrize("password", ["short", LONG])
    def test_with_a_pepper_every_password_is(self, password):
        assert "$hmac-sha384$" in PEPPERED.hash(password)

    @pytest.mark.parametrize("password", ["short", LONG])
    def test_a_hash_gives_away_neither_password_nor_pepper(self, password):
        stored = PEPPERED.hash(password)

        assert password not in stored
        assert "pepper of today" not in stored
        assert b"pepper of today".hex() not in stored

    @pytest.mark.parametrize("password", ["short", LONG])
    def test_every_hash_has_a_salt_of_its_own(self, hasher, password):
        assert len({hasher.hash(password) for _ in range(20)}) == 20


class TestNobody:
    def test_nobody_has_no_password(self, hasher):
        assert not hasher.verify(PASSWORD, None)
        assert not hasher.verify("", None)

    def test_nobody_costs_as_much_as_somebody(self, monkeypatch):
        hasher = BcryptHasher(5)
        somebody = hasher.hash(PASSWORD)
        done = hashes_compared(monkeypatch)

        hasher.verify("wrong", somebody)
        hasher.verify("wrong", None)

        assert [stored[:7] for stored in done] == [b"$2b$05$", b"$2b$05$"]

    def test_a_wrong_password_costs_as_much_where_the_hash_is_of_fewer_rounds(self, monkeypatch):
        """Else a quicker answer would say that the address has an account."""
        hasher = BcryptHasher(8)
        costs = costs_of_hashing(monkeypatch)

        for stored in (plain(PASSWORD, 5), plain(PASSWORD, 8), HASHER.hash(LONG), None):
            costs.clear()
            assert not hasher.verify("wrong", stored)
            assert sum(2**cost for cost in costs) == 2**8, stored

    @pytest.mark.parametrize("password", [LONG, "p" * 73])
    def test_so_does_one_that_only_begins_like_a_hash_that_was_cut_off(self, monkeypatch, password):
        hasher, cut_off = BcryptHasher(6), plain(password[:72])
        costs = costs_of_hashing(monkeypatch)

        assert not hasher.verify(password, cut_off)

        assert sum(2**cost for cost in costs) == 2**6

    def test_the_right_password_costs_no_more_than_its_own_hash(self, monkeypatch):
        hasher, stored = BcryptHasher(8), plain(PASSWORD, 5)
        costs = costs_of_hashing(monkeypatch)

        assert hasher.verify(PASSWORD, stored)

        assert costs == [5]


def costs_of_hashing(monkeypatch):
    """A list that gets the cost of each hash that bcrypt makes, to store it or to compare it."""
    costs: list[int] = []
    checkpw, hashpw = bcrypt.checkpw, bcrypt.hashpw

    def comparing(password, stored):
        costs.append(int(stored.split(b"$")[2]))
        return checkpw(password, stored)

    def hashing(password, salt):
        costs.append(int(salt.split(b"$")[2]))
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "checkpw", comparing)
    monkeypatch.setattr(bcrypt, "hashpw", hashing)
    return costs


def hashes_compared(monkeypatch):
    """A list that gets each stored hash that bcrypt has done the work for."""
    done: list[bytes] = []
    checkpw = bcrypt.checkpw

    def recording(password, stored):
        matches = checkpw(password, stored)
        done.append(stored)  # Not where bcrypt refused it.
        return matches

    monkeypatch.setattr(bcrypt, "checkpw", recording)
    return done


MALFORMED = [
    "",
    "!",
    "*",
    "plain text",
    "$",
    "$2b$",
    "$2b$04$",
    "$2b$04$short",
    "$2b$aa$" + "a" * 53,
    "$2b$-4$" + "a" * 53,
    "$2b$99$" + "a" * 53,
    "$2b$03$" + "a" * 53,
    "$2x$04$" + "a" * 53,
    "$2c$04$" + "a" * 53,
    "$1$salt$hash",
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    "pbkdf2_sha256$600000$salt$hash",
    "é" * 60,
    "🙂",
    "a\0b",
    "$2b$04$" + "é" * 53,
    "$2b$04$" + "a" * 52 + "\0",
    "$hmac-sha384$",
    "$hmac-sha384$abcdef01",
    "!$hmac-sha384$abcdef01",
    "$2b$04$$hmac-sha384$abcdef01",
]


class TestMalformedHashes:
    @pytest.mark.parametrize("stored", MALFORMED)
    def test_a_hash_that_is_none_lets_nobody_in(self, hasher, stored):
        assert hasher.verify(PASSWORD, stored) is False
        assert hasher.verify(stored, stored) is False

    @given(stored=st.text(TEXT, max_size=80))
    @settings(max_examples=100)
    def test_nor_does_any_other_text(self, stored):
        assert HASHER.verify(PASSWORD, stored) is False

    @given(cut=st.integers(0, 80), junk=st.text(TEXT, min_size=1, max_size=5))
    @settings(max_examples=50)
    def test_nor_does_a_damaged_one(self, cut, junk):
        # The cost comes first and stays, else a damaged one might take hours.
        stored = HASHER.hash(LONG)
        damaged = stored[: max(cut, 7)] + junk
        assume(damaged != stored)

        assert HASHER.verify(LONG, damaged) is False

    @pytest.mark.parametrize("stored", ["!", "$2b$04$short", "pbkdf2_sha256$1$salt$hash"])
    def test_it_takes_as_long_as_any_other(self, monkeypatch, stored):
        done = hashes_compared(monkeypatch)

        HASHER.verify(PASSWORD, stored)

        assert len(done) == 1


class TestImportedHashes:
    @pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
    @pytest.mark.parametrize("rounds", [4, 6])
    def test_plain_hashes_of_other_systems_verify(self, hasher, prefix, rounds):
        imported = prefix + plain(PASSWORD, rounds).removeprefix("$2b$")

        assert hasher.verify(PASSWORD, imported)
        assert not hasher.verify(PASSWORD + " ", imported)

    def test_a_hash_made_elsewhere_verifies(self):
        # Of the test vectors of OpenBSD's bcrypt, as every implementation has them.
        assert HASHER.verify("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i")

    def test_one_made_of_the_first_72_bytes_does_not_let_the_rest_be_anything(self, hasher):
        cut_off = plain(LONG[:72])

        assert hasher.verify(LONG[:72], cut_off)
        assert not hasher.verify(LONG, cut_off)
        assert not hasher.verify(LONG[:72] + "anything", cut_off)


class TestUpgrades:
    def test_a_hash_as_it_would_be_made_now_stays(self, hasher):
        assert not hasher.needs_upgrade(hasher.hash(PASSWORD))
        assert not hasher.needs_upgrade(hasher.hash(LONG))

    @pytest.mark.parametrize("password", [PASSWORD, LONG])
    def test_a_lower_cost_is_upgraded_and_a_higher_one_kept(self, password):
        lower, higher = BcryptHasher(4), BcryptHasher(5)

        assert higher.needs_upgrade(lower.hash(password))
        assert not lower.needs_upgrade(higher.hash(password))

    def test_costs_are_compared_as_numbers(self):
        assert BcryptHasher(10).needs_upgrade(plain(PASSWORD, 9))
        assert not BcryptHasher(9).needs_upgrade(plain(PASSWORD, 10))

    @pytest.mark.parametrize("prefix", ["$2a$", "$2y$"])
    def test_other_variants_are_upgraded(self, prefix):
        assert HASHER.needs_upgrade(prefix + plain(PASSWORD).removeprefix("$2b$"))

    def test_an_ordinary_hash_is_not_where_there_is_no_pepper(self):
        assert not HASHER.needs_upgrade(plain(PASSWORD))

    def test_and_is_where_there_is_one(self):
        assert PEPPERED.needs_upgrade(plain(PASSWORD))


class TestPeppers:
    @pytest.mark.parametrize("password", [PASSWORD, LONG])
    def test_a_pepper_is_needed_to_verify(self, password):
        stored = PEPPERED.hash(password)

        assert not HASHER.verify(password, stored)
        assert not BcryptHasher(4, ["another pepper"]).verify(password, stored)

    @pytest.mark.parametrize("password", [PASSWORD, LONG])
    def test_an_older_pepper_verifies_and_is_upgraded(self, password):
        stored = PEPPERED.hash(password)
        rotated = BcryptHasher(4, ["pepper of tomorrow", "pepper of today"])

        assert rotated.verify(password, stored)
        assert not rotated.verify(password + " ", stored)
        assert rotated.needs_upgrade(stored)
        assert not rotated.needs_upgrade(rotated.hash(password))

    @pytest.mark.parametrize("password", [PASSWORD, LONG])
    def test_the_first_pepper_is_the_one_used(self, password):
        rotated = BcryptHasher(4, ["pepper of tomorrow", "pepper of today"])

        assert BcryptHasher(4, ["pepper of tomorrow"]).verify(password, rotated.hash(password))
        assert not PEPPERED.verify(password, rotated.hash(password))

    @pytest.mark.parametrize("password", [PASSWORD, LONG])
    def test_hashes_from_before_there_was_a_pepper_verify_and_are_upgraded(self, password):
        stored = HASHER.hash(password)

        assert PEPPERED.verify(password, stored)
        assert not PEPPERED.verify(password + " ", stored)
        assert PEPPERED.needs_upgrade(stored)

    @pytest.mark.parametrize("password", [PASSWORD, LONG])
    def test_a_pepper_that_was_removed_verifies_nothing_and_is_no_error(self, password):
        stored = BcryptHasher(4, ["lost pepper"]).hash(password)

        assert PEPPERED.verify(password, stored) is False
        assert PEPPERED.needs_upgrade(stored)

    def test_without_a_pepper_the_prehash_of_long_passwords_is_keyed_all_the_same(self):
        """Else a leak of plain SHA-384 digests elsewhere would be worth something here."""
        unkeyed = base64.b64encode(hashlib.sha384(LONG.encode()).digest())

        assert not bcrypt.checkpw(unkeyed, HASHER.hash(LONG).partition("$hmac")[0].encode())
