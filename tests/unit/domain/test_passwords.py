import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from authapp.domain.errors import Problem
from authapp.domain.passwords import (
    PASSWORD_MAX_LENGTH,
    PasswordPolicy,
    common_passwords,
    is_simple,
    presented_problems,
)

POLICY = PasswordPolicy(min_length=8)


def problems(password, *, name="Ada Lovelace", email="ada@example.com", policy=POLICY):
    return policy.problems(password, name=name, email=email)


def codes(password, **account):
    return [problem.code for problem in problems(password, **account)]


class TestLength:
    @pytest.mark.parametrize("character", ["q", "é", "🙂"])
    @pytest.mark.parametrize("minimum", [8, 15, 64])
    def test_the_minimum_is_counted_in_characters(self, minimum, character):
        policy = PasswordPolicy(minimum)

        # Of a length that repeats itself in no way that the policy knows.
        password = (character + "7x!Kp_3") * 8

        assert problems(password[:minimum], policy=policy) == ()
        assert problems(password[: minimum - 1], policy=policy) == (
            Problem("too_short", {"minimum": minimum}),
        )

    @pytest.mark.parametrize("character", ["q", "🙂"])
    def test_256_characters_are_fine_and_more_are_not(self, character):
        assert problems("7x!" + character * 253) == ()
        assert problems(character * 257) == (Problem("too_long", {"maximum": 256}),)

    def test_a_password_is_required(self):
        assert codes("") == ["required"]

    @given(
        st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
            min_size=30,
            max_size=PASSWORD_MAX_LENGTH,
        )
    )
    def test_any_characters_will_do(self, password):
        assume(not is_simple(password))

        assert codes(password) == []

    @pytest.mark.parametrize("category", ["Lu", "Ll", "Nd", "Po", "Zs", "So", "Cc", "Cf", "Co"])
    def test_no_kind_of_character_is_asked_for_or_refused(self, category):
        character = next(
            c for c in map(chr, range(1, 0xE001)) if unicodedata.category(c) == category
        )

        assert problems(f"7x!{character * 17}") == ()

    @pytest.mark.parametrize("password", ["correct\0horse", "\0" * 20, "\ud800correct horse"])
    def test_nul_and_surrogates_are_refused(self, password):
        assert codes(password) == ["bad_characters"]

    def test_spaces_count(self):
        assert codes("      7x") == []
        assert codes(" qwzxv  ") == []


class TestCommonPasswords:
    def test_the_list_has_thousands_that_the_policy_would_let_in(self):
        assert len(common_passwords()) >= 3000
        assert all(len(password) >= 8 for password in common_passwords())
        assert all(password == password.casefold() for password in common_passwords())

    @pytest.mark.parametrize("password", ["password", "12345678", "iloveyou", "qwertyuiop"])
    def test_the_most_common_ones_are_refused(self, password):
        assert codes(password) == ["common_password"]

    @pytest.mark.parametrize("password", ["PASSWORD", "PassWord", "ILoveYou"])
    def test_in_any_case(self, password):
        assert codes(password) == ["common_password"]

    def test_all_of_the_list_are_refused(self):
        assert {code for p in common_passwords() for code in codes(p)} == {"common_password"}

    def test_a_longer_password_may_contain_one(self):
        assert codes("password manager") == []

    def test_a_short_one_is_told_that_it_is_short(self):
        policy = PasswordPolicy(15)

        assert [p.code for p in problems("password", policy=policy)] == ["too_short"]


SEVERAL = st.text(min_size=8, max_size=40)
KEYS = ("1234567890" * 10, "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl")


class TestPatterns:
    @pytest.mark.parametrize(
        "password",
        [
            *("zzzzzzzz", "ZZzZZzZZ", "        ", "🙂🙂🙂🙂🙂🙂🙂🙂", "\x01" * 8),
            *("xyxyxyxy", "xyxyxyxyx", "XyxYxyxYxy", "7x!7x!7x", "7x!7x!7x!7x!7x!"),
            *("ijklmnop", "PONMLKJI", "абвгдежз", "あぃいぅうぇえぉ", "!\"#$%&'()"),
            *("89012345", "54321098", "901234567890123456", "567890123456789"),
            *("wertyuio", "POIUYTRE", "oiuztrewq", "lkjhgfds", "nmlkjihg"),
        ],
    )
    def test_those_that_anybody_would_try_are_refused(self, password):
        assert codes(password) == ["too_simple"]

    @pytest.mark.parametrize(
        "password",
        ["7x!k7x!k", "abcdabce", "zzzzzzzx", "abcdefgi", "9876543219", "ijklm nop", "rtyuiopq"],
    )
    def test_those_that_leave_the_pattern_once_are_not(self, password):
        assert codes(password) == []

    @given(st.text(min_size=1, max_size=3), st.integers(8, 32))
    def test_every_short_block_that_repeats_itself_is_refused(self, block, length):
        assume(len(block.casefold()) == len(block))

        assert is_simple((block * length)[:length])

    @given(st.integers(0x21, 0xD700), st.integers(8, 32), st.booleans())
    def test_every_straight_run_is_refused(self, first, length, back):
        run = [chr(number) for number in range(first, first + length)]
        # One whose capitals and small letters stand apart is no run once it is read without regard
        # to case, as all passwords are.
        assume(all(character.casefold() == character for character in run))

        assert is_simple("".join(reversed(run) if back else run))

    @given(SEVERAL)
    @example("abcdabcd")
    @example("aabbccdd")
    def test_nothing_else_is_refused(self, password):
        """Whatever is refused is one of the three, told here in another way."""
        if is_simple(password):
            assert is_repeated(password) or is_run(password) or is_row(password)

    @pytest.mark.parametrize("password", ["a" * 33, "ab" * 60, "1234567890" * 4, "🙂" * 256])
    def test_long_ones_may_follow_one(self, password):
        assert codes(password) == []

    def test_a_short_one_is_told_that_it_is_short_and_a_common_one_that_it_is_common(self):
        assert codes("aaaaaaa") == ["too_short"]
        assert codes("12345678") == ["common_password"]


def is_repeated(password):
    text = password.casefold()
    blocks = (text[:length] for length in (1, 2, 3))
    return any((block * len(text))[: len(text)] == text for block in blocks)


def is_run(password):
    numbers = [ord(character) for character in password.casefold()]
    up = list(range(numbers[0], numbers[0] + len(numbers)))
    down = list(range(numbers[0], numbers[0] - len(numbers), -1))
    return numbers in (up, down)


def is_row(password):
    text = password.casefold()
    return any(text in row or text in row[::-1] for row in KEYS)


class TestOwnWords:
    @pytest.mark.parametrize(
        "password",
        [
            "Ada Lovelace",
            "ada lovelace",
            "ADA LOVELACE",
            "Ada Lovelace1",
            "123Ada Lovelace!!",
            "ada.lovelace@example.com",
            "Ada.Lovelace@Example.com",
            "ada.lovelace@example.com1",
            "ada.lovelace",
            "ada.lovelace2026",
            "!ada.lovelace!",
        ],
    )
    def test_the_name_and_the_address_with_signs_around_them_are_refused(self, password):
        assert codes(password, email="ada.lovelace@example.com") == ["own_word"]

    @pytest.mark.parametrize(
        "password", ["Ada Lovelace likes tea", "my ada.lovelace", "example.com", "ecalevoL adA"]
    )
    def test_other_words_are_fine(self, password):
        assert codes(password, email="ada.lovelace@example.com") == []

    @pytest.mark.parametrize("password", ["authapp1", "AuthApp2026!", "accounts.example.com"])
    def test_the_name_of_the_site_is_refused(self, password):
        policy = PasswordPolicy(8, ("authapp", "accounts.example.com"))

        found = policy.problems(password, name="Ada", email="ada@example.org")
        assert [problem.code for problem in found] == ["site_word"]

    def test_an_unnamed_site_refuses_nothing(self):
        assert PasswordPolicy(8, ("",)).problems("90718352 !", name="", email="") == ()

    def test_other_alphabets_are_treated_alike(self):
        assert codes("ЖОЗЕФИНА77", name="Жозефина") == ["own_word"]

    @pytest.mark.parametrize("name", ["12345.67", "!!!!!!!!", "4815162399"])
    def test_a_name_of_digits_and_signs_refuses_itself_alone(self, name):
        assert codes(name, name=name) == ["own_word"]
        assert codes("9071835#2", name=name) == []

    def test_an_account_without_words_refuses_nothing(self):
        assert codes("90718352 !", name="", email="") == []


class TestPresentedPasswords:
    """What is asked of a password that is to be verified, whatever it once had to be."""

    @pytest.mark.parametrize("password", ["a", "password", "ada@example.com", "🙂" * 256, " "])
    def test_short_and_common_ones_may_be_tried(self, password):
        assert list(presented_problems(password)) == []

    @pytest.mark.parametrize(
        ("password", "code"),
        [
            ("", "required"),
            ("a" * 257, "too_long"),
            ("a" * 1_000_000, "too_long"),
            ("\0", "bad_characters"),
            ("a\ud800", "bad_characters"),
        ],
    )
    def test_what_no_account_can_have_is_refused(self, password, code):
        assert [problem.code for problem in presented_problems(password)] == [code]
