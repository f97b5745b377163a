import json
import math
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authapp.sessions.codec import Unserializable, check_key, decode, dumps, loads

TAGS = ["$date", "$datetime", "$uuid", "$decimal", "$bytes", "$text", "$dict", "$float", "$", "$x"]
KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
ZONES = (
    st.none()
    | st.timezones()
    | st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters())  # With NUL and surrogates.
    | st.binary(max_size=20)
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(allow_nan=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        # What could be mistaken for a value with a tag.
        | st.dictionaries(st.sampled_from(TAGS), inner | st.sampled_from(TAGS), max_size=2)
    ),
    max_leaves=10,
)


def there_and_back(value):
    return loads(dumps(value, "value"))


class TestRoundTrip:
    @given(VALUES)
    @example({"$date": "2026-01-01"})
    @example({"$dict": {"$dict": {"$date": "x"}}})
    @example({"$dict": {"a": 1, "b": 2}})
    @example({"$text": "AA=="})
    @example({"$float": "1.0"})
    @example({"$date": "2026-01-01", "more": 1})
    @example([{"$": {"$": [{"$": None}]}}])
    @example("\0")
    @example({"key": "a\ud800b\0"})
    def test_every_value_comes_back_as_it_was(self, value):
        back = there_and_back(value)

        assert back == value
        assert typed(back) == typed(value)

    @given(VALUES)
    def test_the_text_of_what_came_back_is_the_same(self, value):
        """Else a session that was only read would count as changed."""
        text = dumps(value, "value")

        assert dumps(loads(text), "value") == text

    @given(VALUES)
    @example("a\0b")
    @example(["\ud800"])
    @example({"a": "\udfff\0"})
    def test_the_text_is_one_that_postgresql_takes(self, value):
        text = dumps(value, "value")

        parsed = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity.
        json.dumps(parsed, ensure_ascii=False).encode()  # Fails for lone surrogates.
        assert "\\u0000" not in text.replace("\\\\", "")

    @given(st.datetimes(timezones=ZONES, allow_imaginary=False))
    def test_a_time_keeps_its_offset(self, moment):
        back = there_and_back(moment)

        assert back.replace(tzinfo=None, fold=0) == moment.replace(tzinfo=None, fold=0)
        assert back.utcoffset() == moment.utcoffset()
        assert isinstance(back, datetime)

    @given(st.dates() | st.datetimes())
    def test_a_date_and_a_time_are_not_mixed_up(self, moment):
        assert type(there_and_back(moment)) is type(moment)

    @pytest.mark.parametrize(
        "number", [Decimal("1"), Decimal("1.00"), Decimal("-0"), Decimal("1E+50"), Decimal("NaN")]
    )
    def test_a_decimal_keeps_its_digits(self, number):
        assert str(there_and_back(number)) == str(number)

    @pytest.mark.parametrize(
        "number", [0.0, -0.0, 0.1, 1e15, 1e16, 1e22, 5e-324, 1.7976931348623157e308, 3.0]
    )
    def test_a_float_stays_a_float(self, number):
        back = there_and_back(number)

        assert repr(back) == repr(number)

    @pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 10**100, -(10**1000)])
    def test_an_integer_stays_one_however_large(self, number):
        back = there_and_back(number)

        assert back == number
        assert type(back) is int

    def test_tuples_become_lists(self):
        assert there_and_back({"a": (1, (2, 3))}) == {"a": [1, [2, 3]]}

    @given(st.dictionaries(KEYS, st.integers(), min_size=2, max_size=5))
    def test_equal_values_have_equal_texts(self, members):
        reordered = dict(reversed(members.items()))

        assert dumps(reordered, "value") == dumps(members, "value")

    @pytest.mark.parametrize(
        ("one", "other"), [(1, True), (0, False), (1, 1.0), ("1", 1), ([], {})]
    )
    def test_values_that_python_takes_for_equal_have_texts_of_their_own(self, one, other):
        assert dumps([one], "value") != dumps([other], "value")


def typed(value):
    """The value together with all types in it, since 1 == 1.0 == True."""
    if isinstance(value, list | tuple):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return (type(value), str(value))


class Thing:
    pass


class TestRefusals:
    @pytest.mark.parametrize(
        "value",
        [
            math.nan,
            math.inf,
            -math.inf,
            {1, 2},
            frozenset(),
            Thing(),
            Thing,
            object(),
            time(12),
            timedelta(1),
            1j,
            len,
            range(3),
            bytearray(b"x"),
            memoryview(b"x"),
            iter([1]),
            {}.keys(),
        ],
    )
    def test_what_cannot_be_kept_is_refused(self, value):
        with pytest.raises(Unserializable, match=r"^where: "):
            dumps(value, "where")

    @pytest.mark.parametrize(
        ("value", "place"),
        [
            ([1, {2}], "session['a'][1]"),
            ({"b": [0, {"c": math.nan}]}, "session['a']['b'][1]['c']"),
            (({"x y": {1}},), "session['a'][0]['x y']"),
            ({"$date": {1}}, "session['a']['$date']"),
            ({"b": {1: 2}}, "session['a']['b'][1]"),
            ({"b": {"\0": 2}}, "session['a']['b']['\\x00']"),
            ({"b": {"\ud800": 2}}, "session['a']['b']['\\ud800']"),
            ({"b": {None: 2}}, "session['a']['b'][None]"),
            ({(1, 2): 3}, "session['a'][(1, 2)]"),
        ],
    )
    def test_the_place_is_named(self, value, place):
        with pytest.raises(Unserializable) as refused:
            dumps(value, "session['a']")

        assert str(refused.value).startswith(f"{place}: ")

    def test_the_type_and_what_is_kept_instead_are_named(self):
        with pytest.raises(
            Unserializable, match="cannot keep a Thing; it keeps what JSON"
        ) as refused:
            dumps(Thing(), "x")

        for kind in ("datetime", "date", "UUID", "Decimal", "bytes"):
            assert kind in str(refused.value)

    def test_a_value_that_contains_itself_is_refused(self):
        value: list[object] = []
        value.append(value)

        with pytest.raises((Unserializable, RecursionError)):
            dumps(value, "x")

    def test_it_is_the_error_that_json_raises_too(self):
        assert issubclass(Unserializable, TypeError)


class TestKeys:
    @pytest.mark.parametrize("key", ["", "a", "$date", "é🙂", "a b", "\n", "\x01", "_f_"])
    def test_any_text_is_a_key(self, key):
        check_key(key)

    @pytest.mark.parametrize("key", ["\0", "a\0b", "\ud800", "a\udfff"])
    def test_nul_and_surrogates_are_not(self, key):
        with pytest.raises(Unserializable, match="NUL"):
            check_key(key)

    @pytest.mark.parametrize("key", [1, None, b"a", ("a",), UUID(int=1), date(2026, 1, 1)])
    def test_nor_is_what_is_no_text(self, key):
        with pytest.raises(Unserializable, match="keys are strings"):
            check_key(key)


class TestForeignData:
    """What something else may have written into the table."""

    @pytest.mark.parametrize(
        "text",
        [
            '{"$unknown": 1}',
            '{"$": 1}',
            '{"$date": "not a date"}',
            '{"$date": 1}',
            '{"$datetime": "2026-13-01T00:00:00"}',
            '{"$uuid": "x"}',
            '{"$bytes": "x"}',
            '{"$bytes": null}',
            '{"$text": "x"}',
            '{"$text": "/w=="}',
            '{"$dict": []}',
            '{"$dict": "x"}',
            '{"$float": "x"}',
            '[{"a": {"$unknown": []}}]',
        ],
    )
    def test_unknown_tags_and_unreadable_contents_are_errors(self, text):
        with pytest.raises(ValueError, match=r"."):
            loads(text)

    def test_so_are_decimals_that_are_none(self):
        with pytest.raises((ValueError, ArithmeticError)):
            loads('{"$decimal": "x"}')

    @given(
        st.recursive(
            SCALARS.filter(lambda v: isinstance(v, str | int | bool | None)),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from([*TAGS, "a", "b"]), inner, max_size=2)
            ),
            max_leaves=8,
        )
    )
    def test_nothing_else_goes_wrong(self, parsed):
        with suppress(ValueError, ArithmeticError):
            decode(parsed)
