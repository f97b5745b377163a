import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authapp.languages import Language
from authapp.user_agents import MAX_LENGTH, _known
from authapp.user_agents import describe as describe_in

ENGLISH = Language("en")
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
GECKO = "Gecko/20100101 Firefox/133.0"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
# Of the length that is stored, and such that many patterns begin to match at many places.
TEDIOUS = [
    (part * 512)[:512]
    for part in ("a", "bot", " ", "1.", "Mozilla/5.0 (", "Android ; ", "/-_", "CPU OS ", "Darwin/")
]


def describe(user_agent: str | None) -> str:
    return describe_in(user_agent, ENGLISH)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"{WINDOWS}; rv:133.0) {GECKO}", "Firefox 133 on Windows"),
        (f"{WINDOWS}) {BLINK} Safari/537.36", "Chrome 131 on Windows"),
        (f"{WINDOWS}) {BLINK} Safari/537.36 Edg/131.0.0.0", "Edge 131 on Windows"),
        (f"{WINDOWS}) {BLINK} Safari/537.36 OPR/115.0.0.0", "Opera 115 on Windows"),
        (f"{WINDOWS}; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer 11 on Windows"),
        (f"{MAC} {WEBKIT} Version/18.1 Safari/605.1.15", "Safari on macOS"),
        (f"{MAC} {BLINK} Safari/537.36", "Chrome 131 on macOS"),
        (f"{IPHONE} {WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} {WEBKIT} Mobile/15E148", "Safari on iPhone"),
        (
            f"{IPHONE} {WEBKIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
            "Chrome 131 on iPhone",
        ),
        (f"{IPHONE} {WEBKIT} FxiOS/133.0 Mobile/15E148 Safari/605.1.15", "Firefox 133 on iPhone"),
        (
            f"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) {WEBKIT} Version/12.1 Safari/604.1",
            "Safari on iPad",
        ),
        (f"{ANDROID} {BLINK} Mobile Safari/537.36", "Chrome 131 on Android"),
        (f"{ANDROID} {BLINK} Mobile Safari/537.36 EdgA/131.0.0.0", "Edge 131 on Android"),
        (f"{ANDROID} {WEBKIT} SamsungBrowser/27.0 Chrome/125.0", "Samsung Internet 27 on Android"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:133.0) Firefox/133.0", "Firefox 133 on Android"),
        (f"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) {GECKO}", "Firefox 133 on Linux"),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Safari/537.36",
            "Chrome 131 on ChromeOS",
        ),
        ("Mozilla/5.0 (Windows NT 10.0)", "Unknown browser on Windows"),
        ("curl/8.5.0", "curl 8"),
        ("python-requests/2.32.3", "Python Requests 2"),
        ("Mozilla/5.0", "Unknown browser"),
        ("nonsense", "Unknown browser"),
        ("", "Unknown browser"),
        (None, "Unknown browser"),
    ],
)
def test_user_agents_in_words(user_agent, words):
    assert describe(user_agent) == words


@given(
    st.one_of(
        st.text(max_size=512),
        st.lists(st.sampled_from([*TEDIOUS, WINDOWS, IPHONE, BLINK, "/", "9", "(", "\0"])).map(
            lambda parts: "".join(parts)[:512]
        ),
    )
)
@example("curl/" + "9" * 507)
@example("a" * 500 + "bot/1")
@example("\ud800" * 512)
def test_any_text_becomes_a_few_words(text):
    words = describe(text)

    assert 0 < len(words) <= MAX_LENGTH


def test_long_names_are_cut():
    assert describe("curl/" + "9" * 500) == f"curl {'9' * 54}…"


def test_hundred_of_the_most_tedious_take_no_longer_than_a_page_may():
    """They take up to 5 ms each; patterns that backtracked without bounds would take minutes."""
    describe("the patterns are compiled with the first")
    user_agents = [f"{number}{text}"[:512] for number in range(11) for text in TEDIOUS]
    begun_at = time.perf_counter()

    for user_agent in user_agents:
        describe(user_agent)

    assert time.perf_counter() - begun_at < 5


def test_what_was_asked_before_is_known():
    describe("known by now")
    hits = _known.cache_info().hits

    describe("known by now")

    assert _known.cache_info().hits == hits + 1
