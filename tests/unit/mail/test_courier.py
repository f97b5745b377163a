import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from authapp.mail.courier import Courier

LONG = timedelta(hours=1)


@pytest.fixture
def start():
    couriers = []

    def begin(deliver, interval=LONG):
        courier = Courier(deliver, interval)
        couriers.append(courier)
        courier.start()
        return courier

    yield begin
    for courier in couriers:
        courier.stop()
        courier.join(10)
        assert not courier.is_alive()


def test_it_delivers_at_once_what_an_earlier_process_has_left_and_then_when_woken(start):
    rounds = threading.Semaphore(0)
    courier = start(rounds.release)
    assert rounds.acquire(timeout=10)
    assert not rounds.acquire(timeout=0.05)

    courier.wake()

    assert rounds.acquire(timeout=10)


def test_it_delivers_once_an_interval_without_being_woken(start):
    rounds = threading.Semaphore(0)
    start(rounds.release, timedelta(milliseconds=1))

    for _ in range(3):
        assert rounds.acquire(timeout=10)


def test_waking_it_while_it_is_at_work_causes_another_round(start):
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def deliver():
        begun.release()
        go_on.acquire()

    courier = start(deliver)
    assert begun.acquire(timeout=10)
    for _ in range(100):
        courier.wake()
    go_on.release()

    assert begun.acquire(timeout=10)
    go_on.release(2)
    # One round has seen all of the burst.
    assert not begun.acquire(timeout=0.05)


def test_an_error_is_logged_once_a_round_and_the_next_round_comes(start, caplog):
    outcomes = [OSError("the database is down"), None]
    done = threading.Event()

    def deliver():
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        done.set()

    with caplog.at_level(logging.ERROR):
        courier = start(deliver)
        courier.wake()
        assert done.wait(10)

    [record] = caplog.records
    assert record.exc_info


@pytest.mark.parametrize("call", ["begin", "wake"])
def test_it_begins_once_however_many_ask_for_it_at_once(call):
    begun = threading.Semaphore(0)
    courier = Courier(begun.release, LONG)
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait(10)
        courier.begin() if call == "begin" else courier.wake()

    with ThreadPoolExecutor(8) as threads:
        for asked in [threads.submit(ask) for _ in range(8)]:
            asked.result(10)

    assert begun.acquire(timeout=10)
    courier.stop()
    courier.join(10)
    assert not courier.is_alive()
    courier.begin()
    assert not courier.is_alive()


def test_it_keeps_no_process_alive():
    assert Courier(lambda: None, LONG).daemon
