"""Values that settings of any kind have: numbers, durations, choices, lists, secrets."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from authapp.domain.throttle import Rate

MINIMUM_SECRET_LENGTH = 32
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_SIZE = re.compile(r"(\d{1,9})\s*(B|KiB|MiB)?")
_SIZES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}
# BCP 47, as far as we use it.
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")


def read_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("a duration above zero, such as 30s, 5m, 12h or 14d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def read_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("a size above zero, such as 65536, 64KiB or 1MiB")
    return int(match[1]) * _SIZES[match[2]]


def read_boolean(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise ValueError("true or false") from None


def read_integer(minimum: int, maximum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # str.isdecimal also accepts other scripts' digits, which int() reads as well.
        if not text.isdecimal() or not minimum <= int(text) <= maximum:
            raise ValueError(f"a whole number from {minimum} to {maximum}")
        return int(text)

    return read


def read_choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        raise ValueError("one of " + ", ".join(choices))

    return read


def read_text(text: str) -> str:
    return text


def read_lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in (line.strip() for line in text.splitlines()) if line)


def read_secrets(text: str) -> tuple[str, ...]:
    secrets = read_lines(text)
    if not secrets or any(len(secret) < MINIMUM_SECRET_LENGTH for secret in secrets):
        raise ValueError(f"one or more secrets of at least {MINIMUM_SECRET_LENGTH} characters")
    return secrets


def read_rate(text: str) -> Rate:
    count, _, period = text.partition("/")
    try:
        return Rate(read_integer(1, 1_000_000)(count), read_duration(period))
    except ValueError:
        raise ValueError("a count and a duration, such as 10/15m") from None


def read_languages(text: str) -> tuple[str, ...]:
    tags = tuple(text.replace(",", " ").split())
    if odd := [tag for tag in tags if not _LANGUAGE.fullmatch(tag)]:
        raise ValueError(f"a list of tags of languages, such as en de pt-BR: {odd[0]} is none")
    if not tags or len(set(tags)) < len(tags):
        raise ValueError("a list of one language or more, each once, such as en de pt-BR")
    return tags


def read_directories(text: str) -> tuple[Path, ...]:
    directories = tuple(Path(line) for line in read_lines(text))
    for directory in directories:
        if not directory.is_absolute():
            raise ValueError(f"an absolute path, or one a line: {directory} is relative")
        if not directory.is_dir():
            raise ValueError(f"a folder that is there, or one a line: {directory} is none")
    return directories
