from datetime import UTC, datetime

from authapp.domain.events import AccountEvent, RecordedEvent
from authapp.views.event_words import WORDS, in_words


def recorded(kind):
    now = datetime.now(UTC)
    return RecordedEvent(1, kind, now, None, None, None, None, {})


def test_every_event_has_words_of_its_own():
    kinds = {event.kind for event in AccountEvent.__subclasses__()}

    assert set(WORDS) == kinds
    assert len({in_words(recorded(kind)) for kind in kinds}) == len(kinds)


def test_event_of_another_version_is_called_by_its_name():
    assert in_words(recorded("moon_landed_on")) == "Moon landed on"
