import string
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authapp.domain.errors import Problem
from authapp.domain.users import (
    EMAIL_MAX_LENGTH,
    NAME_MAX_LENGTH,
    PERMISSIONS,
    Role,
    Status,
    User,
    email_problems,
    fold_email,
    name_problems,
)

ADA = User(
    id=UUID(int=1),
    name="Ada",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def codes(problems):
    return [problem.code for problem in problems]


class TestUser:
    def test_a_user_is_active_unless_disabled(self):
        assert ADA.is_active
        assert not replace(ADA, status=Status.DISABLED).is_active

    def test_a_member_may_use_the_account_and_nothing_else(self):
        assert ADA.permissions == {"account"}

    def test_an_administrator_may_do_what_a_member_may_and_administer(self):
        assert replace(ADA, role=Role.ADMIN).permissions == {"account", "admin"}

    @pytest.mark.parametrize("role", Role)
    def test_every_role_has_its_permissions(self, role):
        assert role in PERMISSIONS

    def test_a_user_cannot_be_changed_by_accident(self):
        with pytest.raises(FrozenInstanceError):
            ADA.role = Role.ADMIN  # type: ignore[misc]  # That is the point.

    def test_roles_and_states_are_named_as_in_the_table(self):
        assert [str(role) for role in Role] == ["member", "admin"]
        assert [str(status) for status in Status] == ["active", "disabled"]


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["A", "Ada Lovelace", "Zoë", "李", "O'Neil-Śmith, Jr.", "<b>", "🙂", "a" * NAME_MAX_LENGTH],
    )
    def test_people_may_be_called_almost_anything(self, name):
        assert name_problems(name) == ()

    def test_a_name_is_required(self):
        assert codes(name_problems("")) == ["required"]

    def test_a_name_has_a_hundred_characters_at_most(self):
        assert name_problems("🙂" * 100) == ()
        assert name_problems("a" * 101) == (Problem("too_long", {"maximum": 100}),)

    @pytest.mark.parametrize("name", ["\u200b", "\u200d", "\u2060 \ufeff", "\u3164", "\ufe0f"])
    def test_a_name_that_shows_nothing_is_none(self, name):
        assert codes(name_problems(name)) == ["required"]

    @pytest.mark.parametrize(
        "control", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
    def test_no_name_turns_the_words_beside_it_around(self, control):
        assert codes(name_problems(f"Ada{control}nimda")) == ["bad_characters"]

    @pytest.mark.parametrize("name", ["علی\u200cرضا", "ක්\u200dරිස්", "👩\u200d🚀", "שלום"])
    def test_joiners_and_letters_written_from_the_right_are_fine_in_a_name(self, name):
        assert name_problems(name) == ()

    @pytest.mark.parametrize("name", ["Ada\nroot", "A\0da", "\ud800", "Ada\x1b[2J", "A\u2028B"])
    def test_a_name_is_a_single_line(self, name):
        assert codes(name_problems(name)) == ["bad_characters"]


def address(length):
    """An address of `length` characters, all of whose parts are as long as they may be."""
    domain = ".".join(["d" * 63] * 3) + ".org"
    local = "l" * (length - len(domain) - 1)
    return f"{local}@{domain}"


class TestAddresses:
    @pytest.mark.parametrize(
        "email",
        [
            "ada@example.com",
            "a@b",
            "ada+tag@sub.domain.example.co.uk",
            "!#$%&'*+-/=?^_`{|}~.@example.com",
            "ADA@EXAMPLE.COM",
            "zoë@exämple.org",
            "用户@例え.jp",
            "ada@xn--exmple-cua.org",
            "ada@1.2.3",
            "ada@a-b.org",
            f"{'l' * 64}@example.com",
            f"ada@{'d' * 63}.org",
            address(EMAIL_MAX_LENGTH),
        ],
    )
    def test_what_may_be_an_address_is_accepted(self, email):
        assert email_problems(email) == ()

    @pytest.mark.parametrize(
        "email",
        [
            "ada",
            "@",
            "@example.com",
            "ada@",
            "ada@@example.com",
            "ada@b@example.com",
            "ada example@example.com",
            "ada@exam ple.com",
            "ada@example..com",
            "ada@.example.com",
            "ada@example.com.",
            "ada@-example.com",
            "ada@example-.com",
            "ada@exa_mple_.com",
            "ada@[127.0.0.1]",
            "<ada@example.com>",
            "Ada <ada@example.com>",
            "ada@example.com,eve@example.com",
            "ada@example.com;eve@example.com",
            '"ada"@example.com',
            "ada\u00a0@example.com",
            "ada@example.com\u3000",
            f"{'l' * 65}@example.com",
            f"ada@{'d' * 64}.org",
        ],
    )
    def test_what_is_no_address_is_refused(self, email):
        assert codes(email_problems(email)) == ["bad_email"]

    @pytest.mark.parametrize(
        "email",
        ["ada@example.com\n", "ada@example.com\nBcc: eve@example.com", "a\0@b.c", "\ud800@b.c"],
    )
    def test_an_address_is_a_single_line(self, email):
        assert codes(email_problems(email)) == ["bad_characters"]

    def test_an_address_is_required(self):
        assert codes(email_problems("")) == ["required"]

    def test_an_address_has_254_characters_at_most(self):
        assert email_problems(address(255)) == (Problem("too_long", {"maximum": 254}),)

    @pytest.mark.timeout(5)
    @pytest.mark.parametrize(
        "email", ["a" * 254, "@" * 254, "a@" + "-" * 252, "a@" + "a-" * 126, "a@" + "a." * 126]
    )
    def test_no_address_takes_long_to_look_at(self, email):
        for _ in range(100):
            email_problems(email)


class TestFolding:
    def test_letters_of_ascii_fold(self):
        assert fold_email("ADA@Example.COM") == "ada@example.com"
        assert fold_email(string.ascii_uppercase) == string.ascii_lowercase

    # Each of these is folded to an ASCII letter, or letters, by some rule of Unicode.
    @pytest.mark.parametrize("letter", ["\u212a", "ı", "İ", "ſ", "ß", "ﬁ", "\uff41", "\u00aa"])
    def test_no_other_letter_does(self, letter):
        assert fold_email(letter) == letter

    @given(st.text())
    def test_folding_again_changes_nothing(self, text):
        assert fold_email(fold_email(text)) == fold_email(text)

    @given(st.text())
    def test_folding_changes_nothing_but_ascii_capitals(self, text):
        folded = fold_email(text)

        assert len(folded) == len(text)
        for before, after in zip(text, folded, strict=True):
            assert after == (before.lower() if before in string.ascii_uppercase else before)
