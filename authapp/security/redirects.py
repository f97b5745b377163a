"""Redirects that stay on this site."""

import re
from collections.abc import Iterable

# A path of this site: one slash, then neither a second one nor a backslash, which browsers take
# for a slash. Control characters and spaces, which browsers drop, are not allowed anywhere.
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")


def local_path(target: str, default: str) -> str:
    """`target` if it is a path on this site, else `default` (ASVS 5.0, v5.0.0-3.7.2)."""
    return target if _LOCAL_PATH.fullmatch(target) and target.isascii() else default


def path_below(url: str, origins: Iterable[str], default: str) -> str:
    """The path and query of `url` if it is an address below one of `origins`, else `default`."""
    for origin in origins:
        if url.startswith(f"{origin}/"):
            return local_path(url.removeprefix(origin), default)
    return default
