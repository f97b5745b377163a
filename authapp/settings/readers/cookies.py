"""What browsers take as a cookie's name, path and domain."""

import re

_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # A token by RFC 6265 section 4.1.1.


def read_cookie_name(text: str) -> str:
    if not _COOKIE_NAME.fullmatch(text):
        raise ValueError("a cookie's name: letters, digits and signs such as - and _")
    return text


def read_cookie_path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or not text.isascii() or ";" in text:
        raise ValueError("a path that starts with /")
    return text


def read_cookie_domain(text: str) -> str:
    if not re.fullmatch(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text):
        raise ValueError("a domain's name")
    return text
