import time
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authapp.security.known_browsers import LIFETIME, KnownBrowser, KnownBrowserSigner
from authapp.sessions.cookie import Ticket, TicketSigner

SECRET = "a secret of more than thirty characters"
OLDER = "an older one, of more than thirty characters"
SIGNER = KnownBrowserSigner((SECRET,))
ADA = UUID("81b091cd-b9cd-4cad-8eda-ee0e258f5978")
BROWSER = KnownBrowser("i" * 22, ADA, int(time.time()))
VALUE = SIGNER.dumps(BROWSER)


def test_every_one_has_a_name_of_its_own():
    names = {KnownBrowser.new(ADA).id for _ in range(1000)}

    assert len(names) == 1000
    assert {len(name) for name in names} == {22}


def test_what_is_given_is_what_is_read():
    browser = KnownBrowser.new(ADA)

    assert SIGNER.loads(SIGNER.dumps(browser)) == browser


def test_the_first_secret_signs_and_all_verify():
    both = KnownBrowserSigner((OLDER, SECRET))

    assert both.loads(VALUE) == BROWSER
    assert both.dumps(BROWSER) == KnownBrowserSigner((OLDER,)).dumps(BROWSER)
    assert KnownBrowserSigner((OLDER,)).loads(VALUE) is None


@pytest.mark.parametrize("position", range(len(VALUE)))
def test_a_changed_character_is_noticed_wherever_it_is(position):
    for other in {"A", "b", "0", "1", "~", "."} - {VALUE[position]}:
        assert SIGNER.loads(VALUE[:position] + other + VALUE[position + 1 :]) is None


@pytest.mark.parametrize("value", [f"{VALUE}A", f"A{VALUE}", f"{VALUE}\n", f" {VALUE}", VALUE * 2])
def test_it_must_be_whole(value):
    assert SIGNER.loads(value) is None


@given(st.text())
@example("1~" + "é" * 22 + "~" + "0" * 32 + "~1." + "é" * 43)
@example("1~" + "a" * 22 + "~" + "0" * 32 + "~١." + "a" * 43)
def test_garbage_is_none_and_no_error(value):
    assert SIGNER.loads(value) is None


def test_one_that_is_too_old_is_none():
    begun = int(time.time() - LIFETIME.total_seconds())

    assert SIGNER.loads(SIGNER.dumps(KnownBrowser("i" * 22, ADA, begun + 60))) is not None
    assert SIGNER.loads(SIGNER.dumps(KnownBrowser("i" * 22, ADA, begun - 1))) is None


def test_keys_are_for_this_purpose_alone():
    """A session's signature vouches for no browser, nor the other way round."""
    signed = VALUE.rpartition(".")[0]
    sessions = TicketSigner([SECRET])._signer.sign(signed)

    assert SIGNER.loads(sessions) is None
    assert TicketSigner([SECRET]).loads(VALUE) is None
    assert SIGNER.loads(TicketSigner([SECRET]).dumps(Ticket.new(stored=True))) is None
