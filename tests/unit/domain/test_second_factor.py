from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authapp.domain.second_factor import (
    PendingSignIn,
    SecondFactorPolicy,
    begin_sign_in,
    in_groups,
    is_still_good,
    is_totp_code,
    matching_step,
    new_recovery_codes,
    read_code,
    read_recovery_code,
    recovery_code_hash,
)
from authapp.domain.users import Credentials, Role, Status, User
from authapp.security.authenticators import TotpAuthenticators

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA = User(
    id=UUID(int=1),
    name="Ada",
    email="ada@example.com",
    role=Role.MEMBER,
    status=Status.ACTIVE,
    email_verified_at=None,
    created_at=NOW,
    password_changed_at=NOW,
    second_factor_at=NOW,
)
PLAIN = replace(ADA, second_factor_at=None)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # The one of RFC 6238's appendix B.
AUTHENTICATORS = TotpAuthenticators("authapp")


def code_of(step):
    return AUTHENTICATORS.code(SECRET, step)


class TestMatchingStep:
    # RFC 6238, appendix B: the last six digits of the eight.
    @pytest.mark.parametrize(
        ("seconds", "code"),
        [
            (59, "287082"),
            (1111111109, "081804"),
            (1111111111, "050471"),
            (1234567890, "005924"),
            (2000000000, "279037"),
            (20000000000, "353130"),
        ],
    )
    def test_codes_are_those_of_the_standard(self, seconds, code):
        moment = datetime.fromtimestamp(seconds, UTC)

        assert matching_step(AUTHENTICATORS, SECRET, code, moment, None) == seconds // 30

    @pytest.mark.parametrize(
        ("offset", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
    )
    def test_one_step_either_way_is_good(self, offset, is_good):
        step = int(NOW.timestamp()) // 30 + offset

        found = matching_step(AUTHENTICATORS, SECRET, code_of(step), NOW, None)

        assert found == (step if is_good else None)

    @pytest.mark.parametrize(
        ("last", "is_good"), [(-2, True), (-1, True), (0, False), (1, False), (None, True)]
    )
    def test_a_step_is_good_only_after_the_one_that_was_used_last(self, last, is_good):
        step = int(NOW.timestamp()) // 30
        last_step = None if last is None else step + last

        found = matching_step(AUTHENTICATORS, SECRET, code_of(step), NOW, last_step)

        assert found == (step if is_good else None)

    @pytest.mark.parametrize("second", [0, 29])
    def test_a_step_lasts_for_half_a_minute(self, second):
        moment = NOW + timedelta(seconds=second)

        step = int(NOW.timestamp()) // 30
        assert matching_step(AUTHENTICATORS, SECRET, code_of(step), moment, None) == step


class TestReading:
    @pytest.mark.parametrize("typed", ["123456", " 123 456", "123-456\n", "1 2 3 4 5 6"])
    def test_what_is_typed_between_digits_does_not_matter(self, typed):
        assert read_code(typed) == "123456"
        assert is_totp_code(read_code(typed))

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "12345６"])
    def test_what_is_no_code_of_six_digits(self, typed):
        assert not is_totp_code(read_code(typed))

    @pytest.mark.parametrize(
        "spell", [str.upper, str.title, lambda code: in_groups(code, 5, " "), in_groups]
    )
    def test_a_recovery_code_is_read_however_it_is_spelt(self, spell):
        [code, *_] = new_recovery_codes()

        assert read_recovery_code(read_code(spell(code))) == code

    def test_letters_that_look_like_digits_are_those(self):
        assert read_recovery_code(read_code("OoIi-Ll00" * 3)) == "00111100" * 3

    @pytest.mark.parametrize("typed", ["", "a" * 23, "a" * 25, "u" * 24, "123456", "é" * 24])
    def test_what_is_no_recovery_code(self, typed):
        assert read_recovery_code(read_code(typed)) is None

    @given(st.text(max_size=40))
    def test_nothing_that_is_typed_is_both(self, typed):
        code = read_code(typed)
        assert not (is_totp_code(code) and read_recovery_code(code) is not None)


class TestRecoveryCodes:
    def test_are_ten_of_120_bits_each(self):
        codes = new_recovery_codes()

        assert len(set(codes)) == 10
        assert {len(code) for code in codes} == {24}
        letters = {letter for _ in range(40) for code in new_recovery_codes() for letter in code}
        assert len(letters) == 32

    def test_are_kept_as_their_sha_256(self):
        assert len(recovery_code_hash("a" * 24)) == 32

    def test_are_shown_in_groups(self):
        assert in_groups("abcdefgh") == "abcd-efgh"


class TestPendingSignIn:
    FOUND = Credentials(ADA, "a hash")

    def pending(self) -> PendingSignIn:
        return begin_sign_in(self.FOUND, NOW)

    @pytest.mark.parametrize(("minutes", "is_good"), [(0, True), (9.99, True), (10, False)])
    def test_lasts_for_ten_minutes(self, minutes, is_good):
        later = NOW + timedelta(minutes=minutes)

        assert is_still_good(self.pending(), self.FOUND, later) is is_good

    @pytest.mark.parametrize(
        "now_found",
        [
            Credentials(ADA, "another hash"),
            Credentials(replace(ADA, status=Status.DISABLED), "a hash"),
            Credentials(PLAIN, "a hash"),
        ],
    )
    def test_is_over_once_the_account_is_another(self, now_found):
        assert not is_still_good(self.pending(), now_found, NOW)

    def test_does_not_give_the_hash_away(self):
        assert "a hash" not in repr(self.pending())


class TestPolicy:
    @pytest.mark.parametrize(
        ("required", "role", "has_factor", "is_required", "is_missing"),
        [
            (False, Role.ADMIN, False, False, False),
            (True, Role.ADMIN, False, True, True),
            (True, Role.ADMIN, True, True, False),
            (True, Role.MEMBER, False, False, False),
        ],
    )
    def test_may_demand_a_second_factor_of_administrators(
        self, required, role, has_factor, is_required, is_missing
    ):
        user = replace(ADA if has_factor else PLAIN, role=role)
        policy = SecondFactorPolicy(required)

        assert policy.is_required_of(user) is is_required
        assert policy.is_missing(user) is is_missing
