import logging

import pytest
from pyramid.request import Request

from authapp.security.token_pages import is_token_page, without_tokens
from authapp.server import hide_tokens

TOKEN = "Zm9yIHRoZSB0ZXN0cyBvbmx5LCBub3QgYSB0b2tlbi4"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/reset-password/{TOKEN}", True),
        (f"/verify-email/{TOKEN}", True),
        (f"/accounts/verify-email/{TOKEN}", True),
        ("/reset-password/x/y", True),
        ("/verify-email", False),
        ("/verify-email/", False),
        ("/forgot-password", False),
        ("/", False),
    ],
)
def test_pages_whose_address_holds_a_token(path, expected):
    assert is_token_page(Request.blank(path)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "Client disconnected while serving /reset-password/{}",
        "Exception while serving /verify-email/{}",
        "<GET http://localhost/verify-email/{}?x=1>",
        "'/reset-password/{}', and /verify-email/{} again",
    ],
)
def test_tokens_are_taken_out_of_a_text(text):
    assert without_tokens(text.format(TOKEN, TOKEN)) == text.format("[token]", "[token]")


def test_what_has_none_stays_as_it_is():
    text = "Serving on http://127.0.0.1:6543, /verify-email/ and /sign-in"

    assert without_tokens(text) == text


def test_what_waitress_logs_has_none(caplog):
    log = logging.getLogger("tests.like_waitress")
    log.addFilter(hide_tokens)

    log.warning("Exception while serving %s after %d s", f"/reset-password/{TOKEN}", 3)

    assert caplog.messages == ["Exception while serving /reset-password/[token] after 3 s"]
