from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authapp.domain.visitors import KnownBrowser
from authapp.security.known_browsers import LIFETIME, MAX_ACCOUNTS, KnownBrowserSigner
from authapp.sessions.cookie import Ticket, TicketSigner

SECRET = "a secret of more than thirty characters"
OLDER = "an older one, of more than thirty characters"
SIGNER = KnownBrowserSigner((SECRET,))
ADA, BO = UUID("81b091cd-b9cd-4cad-8eda-ee0e258f5978"), UUID(int=2)
NOW = datetime.now(UTC)
BROWSERS = (KnownBrowser("i" * 22, ADA, NOW), KnownBrowser("_" * 22, BO, NOW - timedelta(days=1)))
VALUE = SIGNER.dumps(BROWSERS)


@given(
    st.lists(
        st.builds(
            KnownBrowser,
            st.from_regex(r"\A[A-Za-z0-9_-]{22}\Z"),
            st.uuids(),
            st.timedeltas(timedelta(0), LIFETIME - timedelta(hours=1)).map(lambda age: NOW - age),
        ),
        min_size=1,
        max_size=MAX_ACCOUNTS,
    ).map(tuple)
)
def test_what_is_given_is_what_is_read_to_the_microsecond(browsers):
    value = SIGNER.dumps(browsers)

    assert SIGNER.loads(value) == browsers
    assert len(value) < 400


def test_more_accounts_than_share_a_browser_are_none():
    browsers = [KnownBrowser("i" * 22, UUID(int=n), NOW) for n in range(MAX_ACCOUNTS + 1)]

    assert SIGNER.loads(SIGNER.dumps(browsers)) == ()
    assert SIGNER.loads(SIGNER.dumps([])) == ()


def test_the_first_secret_signs_and_all_verify():
    both = KnownBrowserSigner((OLDER, SECRET))

    assert both.loads(VALUE) == BROWSERS
    assert both.dumps(BROWSERS) == KnownBrowserSigner((OLDER,)).dumps(BROWSERS)
    assert KnownBrowserSigner((OLDER,)).loads(VALUE) == ()


def test_one_signature_is_over_all_accounts():
    """So that nobody puts entries of two cookies together, or takes one out."""
    signed, _, signature = VALUE.rpartition(".")
    to_ada, to_bo = signed[1 : 1 + len(signed) // 2], signed[1 + len(signed) // 2 :]

    for entries in (to_ada, to_bo, to_bo + to_ada, to_ada + to_ada):
        assert SIGNER.loads(f"1{entries}.{signature}") == ()


@pytest.mark.parametrize("position", range(len(VALUE)))
def test_a_changed_character_is_noticed_wherever_it_is(position):
    for other in {"A", "b", "0", "1", "~", "."} - {VALUE[position]}:
        assert SIGNER.loads(VALUE[:position] + other + VALUE[position + 1 :]) == ()


@pytest.mark.parametrize("value", [f"{VALUE}A", f"A{VALUE}", f"{VALUE}\n", f" {VALUE}", VALUE * 2])
def test_it_must_be_whole(value):
    assert SIGNER.loads(value) == ()


@given(st.text())
@example("1~" + "é" * 22 + "~" + "0" * 32 + "~1." + "é" * 43)
@example("1~" + "a" * 22 + "~" + "0" * 32 + "~١." + "a" * 43)
def test_garbage_is_none_and_no_error(value):
    assert SIGNER.loads(value) == ()


def test_one_that_is_too_old_is_none_and_the_others_stay():
    begun = datetime.now(UTC) - LIFETIME
    old = KnownBrowser("o" * 22, BO, begun - timedelta(seconds=1))
    new = KnownBrowser("n" * 22, ADA, begun + timedelta(minutes=1))

    assert SIGNER.loads(SIGNER.dumps([new, old])) == (new,)
    assert SIGNER.loads(SIGNER.dumps([old])) == ()


def test_keys_are_for_this_purpose_alone():
    """A session's signature vouches for no browser, nor the other way round."""
    signed = VALUE.rpartition(".")[0]
    sessions = TicketSigner([SECRET])._signer.sign(signed)

    assert SIGNER.loads(sessions) == ()
    assert TicketSigner([SECRET]).loads(VALUE) is None
    assert SIGNER.loads(TicketSigner([SECRET]).dumps(Ticket.new(stored=True))) == ()
