"""What a User-Agent header says, in words for people: "Firefox 133 on Windows"."""

from functools import lru_cache

from ua_parser import parse_os, parse_user_agent

from authapp.languages import Language

# The words go into a list beside others, and whoever sends the header may write anything into it.
MAX_LENGTH = 60

# A browser goes by the same name wherever it runs.
_BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "HeadlessChrome": "Chrome",
    "IE": "Internet Explorer",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Opera Mobile": "Opera",
}
_SYSTEMS = {"Chrome OS": "ChromeOS", "Mac OS X": "macOS"}
# People know which of these they hold, rather than what runs on it.
_IOS_DEVICES = ("iPhone", "iPad", "iPod")
# It comes with the system, and few know its version.
_WITHOUT_VERSION = frozenset({"Safari"})


def describe(user_agent: str | None, language: Language) -> str:
    """The browser and the system, as far as they are known; never empty, never long."""
    browser, system = _known(user_agent or "")
    words = browser or language.gettext("Unknown browser")
    if system is not None:
        words = language.gettext("{browser} on {system}", browser=words, system=system)
    return words if len(words) <= MAX_LENGTH else f"{words[: MAX_LENGTH - 1]}…"


@lru_cache(maxsize=1024)  # To look through all that is known takes up to some milliseconds.
def _known(user_agent: str) -> tuple[str | None, str | None]:
    return _browser(user_agent), _system(user_agent)


def _browser(user_agent: str) -> str | None:
    found = parse_user_agent(user_agent)
    if found is None:
        return None
    name = _BROWSERS.get(found.family, found.family)
    if found.major is None or name in _WITHOUT_VERSION:
        return name
    return f"{name} {found.major}"


def _system(user_agent: str) -> str | None:
    found = parse_os(user_agent)
    if found is None:
        return None
    if found.family == "iOS":
        return next((device for device in _IOS_DEVICES if device in user_agent), "iOS")
    return _SYSTEMS.get(found.family, found.family)
