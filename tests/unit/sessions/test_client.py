import pytest
from pyramid.request import Request

from authapp.domain.sessions import Client
from authapp.sessions.client import client_of


def request_with(address="192.0.2.1", **environ):
    return Request.blank("/", environ={"REMOTE_ADDR": address, **environ})


def test_client_is_the_address_and_the_browser():
    request = request_with(HTTP_USER_AGENT="Browser/1.0 (X11; Linux)")

    assert client_of(request) == Client("192.0.2.1", "Browser/1.0 (X11; Linux)")


@pytest.mark.parametrize(
    "header", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_CLIENT_IP"]
)
def test_what_anybody_can_say_of_an_address_is_not_believed(header):
    request = request_with(**{header: "198.51.100.7"})

    assert client_of(request).address == "192.0.2.1"


def test_request_may_come_from_nowhere():
    request = Request.blank("/")
    request.environ.pop("REMOTE_ADDR", None)

    assert client_of(request) == Client(None, None)


@pytest.mark.parametrize("user_agent", ["", "\r\n", "\x1b\x00\x7f"])
def test_browser_that_says_nothing_is_none(user_agent):
    assert client_of(request_with(HTTP_USER_AGENT=user_agent)).user_agent is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\r\nb\nc", "abc"),
        ("a\x1b[31mb\x1b[0m", "a[31mb[0m"),
        ("a\0b\tc\x7f\x85\x9b", "abc"),
        ("a\u2028b\u2029c\u202ed\u200b\ufeff", "abcd"),
        ("Zo\xeb", "Zo\xeb"),
    ],
)
def test_what_is_not_printed_is_left_out(said, kept):
    assert client_of(request_with(HTTP_USER_AGENT=said)).user_agent == kept


def test_long_one_is_cut():
    assert client_of(request_with(HTTP_USER_AGENT="\0" + "x" * 5000)).user_agent == "x" * 512
