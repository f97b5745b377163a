import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from authapp.domain.mail import Letter, LetterKind, Message, TransportError
from authapp.services.delivery import (
    BATCH_SIZE,
    LEASE,
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    Deliveries,
    Delivery,
    pause_after,
)
from tests.fakes_accounts import InMemoryOutbox
from tests.mailing import KeptTransport

TOKEN = "q" * 43


@dataclass
class PlainWriter:
    """Implements `authapp.domain.mail.Writer`; what it finds in `instead` it does instead."""

    instead: dict[str, Any] = field(default_factory=dict)

    def write(self, posted):
        if act := self.instead.get(posted.letter.recipient):
            return act(posted)
        return plain(posted)


def plain(posted):
    text = f"https://example.com/reset-password/{TOKEN}"
    return Message(posted.id, posted.letter.recipient, "subject", text, "")


@dataclass
class FailingTransport(KeptTransport):
    """Fails with `error` for the recipients in `fails`."""

    fails: set[str] = field(default_factory=set)
    error: Exception = field(default_factory=lambda: TransportError("no route"))

    def send(self, message):
        if message.recipient in self.fails:
            raise self.error
        super().send(message)


@pytest.fixture
def outbox():
    return InMemoryOutbox()


@pytest.fixture
def writer():
    return PlainWriter()


@pytest.fixture
def transport():
    return FailingTransport()


@pytest.fixture
def deliver(outbox, writer, transport):
    return Delivery(outbox, writer, transport).deliver


def put(outbox, *names, kind=LetterKind.PASSWORD_CHANGED):
    for name in names:
        outbox.put(Letter(kind, f"{name}@example.com"))


def recipients(transport):
    return [message.recipient.partition("@")[0] for message in transport.messages]


def fail(_):
    raise ZeroDivisionError(TOKEN)


def test_all_that_is_due_is_sent_once_in_as_many_batches_as_it_takes(outbox, transport, deliver):
    names = [f"n{number}" for number in range(2 * BATCH_SIZE + 3)]
    put(outbox, *names)

    assert deliver() == Deliveries(sent=len(names))
    assert recipients(transport) == names
    assert outbox.rows == []
    assert deliver() == Deliveries()


def test_what_has_nothing_to_say_any_more_is_forgotten(outbox, writer, transport, deliver):
    put(outbox, "ada", "bo")
    writer.instead["ada@example.com"] = lambda posted: None

    assert deliver() == Deliveries(sent=1, dropped=1)
    assert recipients(transport) == ["bo"]
    assert outbox.rows == []


def test_failure_is_kept_with_its_reason_and_tried_again_when_its_pause_is_over(
    outbox, transport, deliver
):
    put(outbox, "ada", "bo")
    transport.fails = {"ada@example.com"}

    deliveries = deliver()

    assert deliveries == Deliveries(sent=1, postponed=1)
    assert not deliveries.all_went_well
    [row] = outbox.rows
    assert (row.error, row.due_at - outbox.now) == ("no route", timedelta(seconds=30))
    assert deliver() == Deliveries()

    transport.fails = set()
    outbox.now += timedelta(seconds=30)
    assert deliver() == Deliveries(sent=1)


def test_pauses_double_up_to_an_hour():
    pauses = [pause_after(attempt).total_seconds() for attempt in range(1, 11)]

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert pause_after(10_000) == LONGEST_PAUSE


def test_after_three_days_a_letter_is_given_up_and_kept(outbox, transport, deliver):
    put(outbox, "ada")
    transport.fails = {"ada@example.com"}
    begun_at = outbox.now

    attempts = 0
    while outbox.counts().waiting:
        outbox.now = outbox.rows[0].due_at
        deliver()
        attempts += 1

    assert attempts == MAX_ATTEMPTS
    assert timedelta(days=2.9) < outbox.now - begun_at < timedelta(days=3.1)
    assert outbox.rows[0].error == "no route"
    outbox.now += timedelta(days=30)
    assert deliver() == Deliveries()


def test_refused_for_good_is_given_up_at_once_until_somebody_has_it_retried(
    outbox, transport, deliver
):
    put(outbox, "ada")
    transport.fails = {"ada@example.com"}
    transport.error = TransportError("no such mailbox", permanent=True)

    deliveries = deliver()

    assert deliveries == Deliveries(given_up=1)
    assert not deliveries.all_went_well
    transport.fails = set()
    assert deliver() == Deliveries()
    assert outbox.retry() == 1
    assert deliver() == Deliveries(sent=1)


@pytest.mark.parametrize("culprit", ["writer", "transport"])
def test_error_nobody_expected_stops_no_other_letter_and_tells_no_token(
    outbox, writer, transport, deliver, caplog, culprit
):
    put(outbox, "ada", "bo")
    if culprit == "writer":
        writer.instead["ada@example.com"] = fail
    else:
        transport.fails, transport.error = {"ada@example.com"}, ZeroDivisionError(TOKEN)

    with caplog.at_level(logging.DEBUG):
        assert deliver() == Deliveries(sent=1, postponed=1)

    assert recipients(transport) == ["bo"]
    assert outbox.rows[0].error == "ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text
    assert "test_delivery.py" in caplog.text
    assert TOKEN not in caplog.text
    assert "@example.com" not in caplog.text


def test_letter_withdrawn_while_it_is_written_does_not_leave(outbox, writer, transport, deliver):
    put(outbox, "ada")

    def write_late(posted):
        outbox.rows.clear()
        return plain(posted)

    writer.instead["ada@example.com"] = write_late

    assert deliver() == Deliveries(dropped=1)
    assert transport.messages == []


def test_letter_that_another_has_claimed_meanwhile_is_left_to_them(
    outbox, writer, transport, deliver
):
    """As when this process has slept for longer than the lease."""
    put(outbox, "ada")

    def write_after_a_long_sleep(posted):
        outbox.now += LEASE
        [claimed] = outbox.claim(1, LEASE)
        assert claimed.id == posted.id
        return plain(posted)

    writer.instead["ada@example.com"] = write_after_a_long_sleep

    assert deliver() == Deliveries(dropped=1)
    assert transport.messages == []
    assert outbox.counts().waiting == 1


def test_crash_between_sending_and_forgetting_sends_again_under_the_same_id(
    outbox, transport, deliver, monkeypatch
):
    put(outbox, "ada")
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "sent", fail)
        with pytest.raises(ZeroDivisionError):
            deliver()

    assert deliver() == Deliveries()
    outbox.now += LEASE
    assert deliver() == Deliveries(sent=1)

    first, second = transport.messages
    assert first.id == second.id
    assert outbox.rows == []
