"""From the strings of an ini file to typed, validated settings, or one message that names it all.

Each setting is declared once, as a field of a frozen dataclass: its name is the key in the ini
file below the section's prefix, its metadata say how to read it and what it may be.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

Problems = list[str]

MINIMUM_SECRET_LENGTH = 32
MINIMUM_DISTINCT_CHARACTERS = 10
_PLACEHOLDER_WORDS = re.compile(
    r"change.?(me|this|it)|place.?holder|replace|your.?secret|insecure|example|development|itsaseekreet"
)
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")
_SIZE = re.compile(r"(\d{1,9})\s*(B|KiB|MiB)?")
_SIZES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # A token by RFC 6265 section 4.1.1.


class SettingsError(ValueError):
    """The settings cannot be used. The message has a line for each that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the settings cannot be used:\n{lines}")


# Readers: each takes the text of a setting and returns its value, or raises ValueError with what
# the setting may be.


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


def read_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        well_formed = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("an address such as https://accounts.example.com, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def read_database_url(text: str) -> str:
    if text.startswith("embedded:") and len(text) > len("embedded:"):
        return text
    scheme, separator, rest = text.partition("://")
    if separator and rest and scheme in {"postgresql", "postgresql+psycopg2", "postgres"}:
        return f"postgresql://{rest}"
    raise ValueError("postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE, or embedded:PATH")


def read_rate(text: str) -> tuple[int, timedelta]:
    count, _, period = text.partition("/")
    try:
        return read_integer(1, 1_000_000)(count), read_duration(period)
    except ValueError:
        raise ValueError("a count and a duration, such as 10/15m") from None


def read_mail_url(text: str) -> str:
    parts = urlsplit(text)
    if text == "console:" or (parts.scheme == "directory" and len(text) > len("directory:")):
        return text
    if parts.scheme in {"smtp", "smtps"} and parts.hostname:
        return text
    raise ValueError("console:, directory:PATH, smtp://HOST:PORT or smtps://USER:PASSWORD@HOST")


def read_mail_sender(text: str) -> str:
    if not re.search(r"[^\s@<>]+@[^\s@<>]+", text) or not text.isprintable():
        raise ValueError("an e-mail address, such as Accounts <accounts@example.com>")
    return text


def setting(
    read: Callable[[str], Any],
    default: str | None = None,
    *,
    optional: bool = False,
    secret: bool = False,
) -> Any:
    """Declares a setting; without `default` it is required, unless `optional` (then None).

    A secret's value never stands in a message.
    """
    metadata = {"read": read, "default": default, "optional": optional, "secret": secret}
    return field(metadata=metadata)


@dataclass(frozen=True, slots=True)
class ModeSettings:
    """`development` lets loopback hosts and placeholder secrets in. Never set it in production."""

    development: bool = setting(read_boolean, "false")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    url: str = setting(read_database_url, secret=True)
    pool_size: int = setting(read_integer(1, 1000), "5")
    max_overflow: int = setting(read_integer(0, 1000), "10")
    pool_timeout: timedelta = setting(read_duration, "5s")
    pool_recycle: timedelta = setting(read_duration, "1h")
    isolation_level: str | None = setting(
        read_choice("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"), optional=True
    )
    echo: bool = setting(read_boolean, "false")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    secret: tuple[str, ...] = setting(read_secrets, secret=True)
    cookie_name: str | None = setting(read_cookie_name, optional=True)
    cookie_secure: str = setting(read_choice("auto", "true", "false"), "auto")
    cookie_samesite: Literal["Lax", "Strict", "None"] = setting(
        read_choice("Lax", "Strict", "None"), "Lax"
    )
    cookie_domain: str | None = setting(read_cookie_domain, optional=True)
    cookie_path: str = setting(read_cookie_path, "/")
    cookie_partitioned: bool = setting(read_boolean, "false")
    idle_timeout: timedelta = setting(read_duration, "14d")
    lifetime: timedelta = setting(read_duration, "30d")
    touch_interval: timedelta = setting(read_duration, "5m")
    rolling: bool = setting(read_boolean, "false")
    purge_interval: timedelta | None = setting(read_duration, optional=True)
    max_size: int = setting(read_size, "64KiB")


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    min_length: int = setting(read_integer(8, 128), "8")
    bcrypt_rounds: int = setting(read_integer(4, 20), "12")
    pepper: tuple[str, ...] = setting(read_lines, "", secret=True)


@dataclass(frozen=True, slots=True)
class SiteSettings:
    url: str = setting(read_url)
    name: str = setting(read_text, "authapp")


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    account: tuple[int, timedelta] = setting(read_rate, "10/15m")
    address: tuple[int, timedelta] = setting(read_rate, "100/15m")


@dataclass(frozen=True, slots=True)
class MailSettings:
    url: str = setting(read_mail_url, "console:", secret=True)
    sender: str = setting(read_mail_sender, "authapp <accounts@localhost>")


@dataclass(frozen=True, slots=True)
class RegistrationSettings:
    enabled: bool = setting(read_boolean, "true")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, by section; a section's prefix is its name, but for two."""

    mode: ModeSettings
    database: DatabaseSettings
    session: SessionSettings
    password: PasswordSettings
    site: SiteSettings
    throttle: ThrottleSettings
    mail: MailSettings
    registration: RegistrationSettings

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> "Settings":
        """Reads the expanded strings of an ini file; raises `SettingsError` naming all it finds."""
        problems: Problems = []
        sections = {f.name: read_section(f.type, f.name, raw, problems) for f in fields(cls)}
        if not problems:
            settings = cls(**sections)
            problems = check_together(settings)
        if problems:
            raise SettingsError(problems)
        return settings


PREFIXES = {"mode": "authapp", "database": "sqlalchemy"}


def load_section(section: Any, name: str, raw: Mapping[str, Any]) -> Any:
    """Reads one section alone, for applications that include only a part of authapp."""
    problems: Problems = []
    loaded = read_section(section, name, raw, problems)
    if not problems and isinstance(loaded, SessionSettings):
        problems = check_session(loaded)
    if problems:
        raise SettingsError(problems)
    return loaded


def expand(raw: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Replaces `${NAME}` and `${NAME:-default}` by `variables`, else by the environment's values.

    As in a shell, the default also stands in for a variable that is set but empty. `variables`
    are those of pserve's command line. Raises `SettingsError` naming each setting whose variable
    is missing.
    """
    known = {**os.environ, **(variables or {})}
    problems: Problems = []
    expanded = {}
    for key, value in raw.items():
        expanded[key] = _expand(key, value, known, problems) if isinstance(value, str) else value
    if problems:
        raise SettingsError(problems)
    return expanded


def _expand(key: str, value: str, known: Mapping[str, str], problems: Problems) -> str:
    def replace(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = known.get(name, "")
        if not found and default is None:
            problems.append(f"{key}: the environment variable {name} is not set")
        return found or default or ""

    return _VARIABLE.sub(replace, value)


def read_section(section: Any, name: str, raw: Mapping[str, Any], problems: Problems) -> Any:
    prefix = PREFIXES.get(name, name) + "."
    declared = {prefix + f.name: f for f in fields(section)}
    for key in raw:
        if key.startswith(prefix) and key not in declared:
            known = ", ".join(sorted(declared))
            problems.append(f"{key}: there is no such setting; there are {known}")
    values = {f.name: _read_setting(key, f, raw, problems) for key, f in declared.items()}
    return None if any(value is MISSING for value in values.values()) else section(**values)


def _read_setting(
    key: str, declared: Field[Any], raw: Mapping[str, Any], problems: Problems
) -> Any:
    metadata = declared.metadata
    text = str(raw.get(key, "")).strip() or metadata["default"]
    if text is None:
        if metadata["optional"]:
            return None
        problems.append(f"{key}: is required, and is not set")
        return MISSING
    try:
        return metadata["read"](text)
    except ValueError as error:
        was = "its value" if metadata["secret"] else repr(text)
        problems.append(f"{key}: {was} is not {error}")
        return MISSING


def check_together(settings: Settings) -> Problems:
    """What is wrong with values that are each right by themselves."""
    problems = check_session(settings.session)
    if not settings.mode.development:
        for secret in settings.session.secret:
            if is_placeholder(secret):
                problems.append(
                    "session.secret: looks like a placeholder; make one with "
                    "`python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
                )
    return problems


def check_session(session: SessionSettings) -> Problems:
    problems: Problems = []
    if session.idle_timeout > session.lifetime:
        problems.append("session.idle_timeout: is longer than session.lifetime")
    if session.touch_interval >= session.idle_timeout:
        problems.append("session.touch_interval: is not shorter than session.idle_timeout")
    if session.cookie_samesite == "None" and session.cookie_secure == "false":
        problems.append("session.cookie_samesite: None needs a secure cookie (cookie_secure)")
    if session.cookie_partitioned and session.cookie_secure == "false":
        problems.append("session.cookie_partitioned: needs a secure cookie (cookie_secure)")
    if (session.cookie_name or "").startswith("__Host-") and (
        session.cookie_domain or session.cookie_path != "/"
    ):
        problems.append("session.cookie_name: __Host- allows no cookie_domain, and only the path /")
    return problems


def is_placeholder(secret: str) -> bool:
    """Whether a secret was plainly typed or copied rather than made by a random generator."""
    return (
        len(set(secret)) < MINIMUM_DISTINCT_CHARACTERS
        or _PLACEHOLDER_WORDS.search(secret.casefold()) is not None
    )
