from datetime import UTC, datetime
from uuid import UUID

import pytest

from authapp.domain.sessions import SessionRecord
from authapp.sessions.content import Content, UnreadableContent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def content(data):
    return Content.of(SessionRecord(UUID(int=1), b"", None, data, True, NOW, NOW, False))


def test_values_are_decoded():
    assert content('{"a": [1, {"b": null}], "day": {"$date": "2026-01-01"}}').values == {
        "a": [1, {"b": None}],
        "day": NOW.date(),
    }


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "{'a': 1}",
        pytest.param('{"a": ' + "9" * 5000 + "}", id="too many digits"),
        pytest.param('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", id="too deep"),
    ],
)
def test_what_something_else_wrote_and_cannot_be_parsed_is_an_error(data):
    with pytest.raises(UnreadableContent):
        content(data)


def test_nothing_has_changed_at_first():
    assert content('{"a": {"$float": "1e+16"}, "odd": {"$unknown": 1}}').change(0).after == {}


def test_a_value_that_cannot_be_read_stays_as_it_is():
    some = content('{"odd": {"$unknown": 1}}')

    some.values["a"] = 1

    assert some.values == {"a": 1}
    assert some.change(100).after == {"a": "1"}


def test_a_value_that_cannot_be_read_can_be_replaced():
    some = content('{"odd": {"$unknown": 1}}')

    some.values["odd"] = 1

    change = some.change(100)
    assert change.before == {"odd": '{"$unknown":1}'}
    assert change.after == {"odd": "1"}


def test_one_that_was_replaced_can_be_removed():
    some = content('{"odd": 1}')

    del some.values["odd"]

    assert some.change(100).after == {"odd": None}
