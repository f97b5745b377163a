"""From the strings of an ini file to typed, validated settings, or one message that names it all.

Each setting is declared once, as a field of a frozen dataclass: its name is the key in the ini
file below the section's prefix, its metadata say how to read it and what it may be.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from email.utils import parseaddr
from importlib.resources import files
from importlib.resources.abc import Traversable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

from authapp.domain.colours import contrast, nearest_shade
from authapp.domain.pictures import Picture
from authapp.domain.theme import DARK_GROUND, LIGHT_GROUND, MINIMUM_CONTRAST, Theme
from authapp.domain.throttle import Rate

Problems = list[str]

MINIMUM_SECRET_LENGTH = 32
MINIMUM_DISTINCT_CHARACTERS = 10
MAXIMUM_LOGO = 100 * 1024
_PLACEHOLDER_WORDS = re.compile(
    r"change.?(me|this|it)|place.?holder|replace|your.?secret|insecure|example|development|itsaseekreet"
    r"|\btodo\b|random.characters|<.+>"
)
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_SIZE = re.compile(r"(\d{1,9})\s*(B|KiB|MiB)?")
_SIZES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_SITE = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[^]]*\])(:(?P<port>\d+))?/?")
_PORTS = {"http": 80, "https": 443}
# BCP 47, as far as we use it.
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_WEB_PAGE = re.compile(r"https?://[^\s/?#@]+[^\s]*")
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
    """The origin, as browsers write it: in small letters, and without the scheme's own port."""
    match = _SITE.fullmatch(text.lower())
    port = int(match["port"] or 0) if match else 0
    if match is None or (match["port"] and not 0 < port < 65536) or not _is_host(match["host"]):
        raise ValueError("an address such as https://accounts.example.com, without a path")
    origin = f"{match['scheme']}://{match['host']}"
    return f"{origin}:{port}" if port not in {0, _PORTS[match["scheme"]]} else origin


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def read_database_url(text: str) -> str:
    if text.startswith("embedded:") and len(text) > len("embedded:"):
        return text
    scheme, separator, rest = text.partition("://")
    if separator and rest and scheme in {"postgresql", "postgresql+psycopg2", "postgres"}:
        authority = rest.partition("/")[0].rpartition("@")[2]
        ports = (port for host in authority.split(",") for port in [host.rpartition("]")[2]])
        if all(re.fullmatch(r"[^:]*(:\d*)?", port) for port in ports):
            return f"postgresql://{rest}"
    raise ValueError("postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE, or embedded:PATH")


def read_rate(text: str) -> Rate:
    count, _, period = text.partition("/")
    try:
        return Rate(read_integer(1, 1_000_000)(count), read_duration(period))
    except ValueError:
        raise ValueError("a count and a duration, such as 10/15m") from None


def read_mail_url(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if text == "console:" or (scheme == "directory" and rest):
        return text
    with suppress(ValueError):
        if scheme in {"smtp", "smtps"} and _is_mail_server(text):
            return text
    raise ValueError("console:, directory:PATH, smtp://HOST:PORT or smtps://USER:PASSWORD@HOST")


def _is_mail_server(url: str) -> bool:
    """Raises `ValueError` too, as for a port that is no number."""
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or parts.path.strip("/") or parts.query:
        return False
    # What signs in to a mail server is sent as ASCII.
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return (user + password).isascii() and (bool(user) or not password)


def read_mail_sender(text: str) -> str:
    address = parseaddr(text)[1]
    if not _EMAIL.fullmatch(address) or not text.isprintable():
        raise ValueError("an e-mail address, such as Accounts <accounts@example.com>")
    return text


def read_logo(text: str) -> Picture:
    file = _file_at(text)
    if file is None:
        raise ValueError("an absolute path (%(here)s is the ini file's folder), or PACKAGE:PATH")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"a file that can be read: {error.strerror}") from None
    if len(content) > MAXIMUM_LOGO:
        limit = f"{MAXIMUM_LOGO // 1024} KiB"
        raise ValueError(f"a file of at most {limit}: it has {len(content)} bytes")
    picture = Picture.of(content)
    if picture is None:
        raise ValueError("a picture in SVG, PNG or WebP")
    return picture


def _file_at(text: str) -> Traversable | None:
    if Path(text).is_absolute():
        return Path(text)
    package, separator, path = text.partition(":")
    if not separator or not path:
        return None
    # An importable name, or none at all: "", "..shop", "no such package".
    with suppress(ImportError, ValueError, TypeError):
        return files(package).joinpath(path)
    raise ValueError(f"in a package that can be imported: {package}")


def read_accent(text: str) -> str:
    return _read_colour(text, "light", LIGHT_GROUND)


def read_accent_dark(text: str) -> str:
    return _read_colour(text, "dark", DARK_GROUND)


def _read_colour(text: str, pages: str, ground: str) -> str:
    colour = text.lower()
    if not _COLOUR.fullmatch(colour):
        raise ValueError("a colour such as #0b6e4f")
    ratio = contrast(colour, ground)
    if ratio < MINIMUM_CONTRAST:
        nearest = nearest_shade(colour, ground, MINIMUM_CONTRAST)
        # Rounded down, so that no ratio that is refused looks like one that would do.
        raise ValueError(
            f"readable on {pages} pages: its contrast with {ground} is "
            f"{int(ratio * 100) / 100:.2f}:1, and {MINIMUM_CONTRAST}:1 is needed. "
            f"The nearest shade that has it is {nearest}"
        )
    return colour


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask: as it is shown, and as a link."""

    text: str
    href: str


def read_contact(text: str) -> Contact:
    if text.isprintable() and _WEB_PAGE.fullmatch(text):
        return Contact(text, text)
    if text.isprintable() and _EMAIL.fullmatch(text):
        return Contact(text, f"mailto:{quote(text, safe='@+')}")
    raise ValueError("an e-mail address, or an address such as https://example.com/help")


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
    # By keyword, so that those that are required may stand after it.
    initial: Any = {"default": None, "kw_only": True} if optional else {}
    return field(metadata=metadata, repr=not secret, **initial)


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
    logo: Picture | None = setting(read_logo, optional=True)
    accent: str | None = setting(read_accent, optional=True)
    accent_dark: str | None = setting(read_accent_dark, optional=True)
    support: Contact | None = setting(read_contact, optional=True)

    @property
    def theme(self) -> Theme:
        """The colours of the pages and of the letters, also where none are chosen."""
        return Theme.of(self.accent, self.accent_dark)


@dataclass(frozen=True, slots=True)
class LanguageSettings:
    """`offered`: those of pages and letters, the first for whoever asks for none of them.
    `catalogues`: folders with more languages, or with other words than authapp's."""

    offered: tuple[str, ...] = setting(read_languages, "en de es")
    catalogues: tuple[Path, ...] = setting(read_directories, "")


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    account: Rate = setting(read_rate, "10/15m")
    address: Rate = setting(read_rate, "100/15m")


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """`recent`: what matters asks for the password again after this long."""

    recent: timedelta = setting(read_duration, "1h")


@dataclass(frozen=True, slots=True)
class SecondFactorSettings:
    """`required_for_admins`: the permission of the role takes a second factor."""

    required_for_admins: bool = setting(read_boolean, "false")


@dataclass(frozen=True, slots=True)
class MailSettings:
    url: str = setting(read_mail_url, "console:", secret=True)
    sender: str = setting(read_mail_sender, "authapp <accounts@localhost>")
    # Whether each process sends what is in the outbox, and how often it looks for what others
    # have left there. Without, `authapp mail deliver` has to be run.
    background: bool = setting(read_boolean, "true")
    interval: timedelta = setting(read_duration, "10s")
    # Folders with letters of the application's own. What sends them may be a command, which knows
    # nothing of Pyramid's asset overrides.
    templates: tuple[Path, ...] = setting(read_directories, "")


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """`keep`: how long security events are kept, and letters that were given up."""

    keep: timedelta = setting(read_duration, "365d")


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
    language: LanguageSettings
    throttle: ThrottleSettings
    sign_in: SignInSettings
    second_factor: SecondFactorSettings
    mail: MailSettings
    events: EventsSettings
    registration: RegistrationSettings

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> "Settings":
        """Reads the expanded strings of an ini file; raises `SettingsError` naming all it finds."""
        problems = missing_variables(raw)
        sections = {f.name: read_section(f.type, f.name, raw, problems) for f in fields(cls)}
        problems += check_together(sections["mode"], sections["session"])
        problems += check_peppers(sections["mode"], sections["password"])
        problems += check_languages(sections["language"])
        if problems:
            raise SettingsError(problems)
        return cls(**sections)


def _prefix(name: str) -> str:
    return {"mode": "authapp", "database": "sqlalchemy"}.get(name, name) + "."


def load_session_settings(raw: Mapping[str, Any]) -> SessionSettings:
    """Reads what the sessions need, for applications that include them alone."""
    mode: ModeSettings = load_section(ModeSettings, "mode", raw)
    session: SessionSettings = load_section(SessionSettings, "session", raw)
    if problems := check_together(mode, session):
        raise SettingsError(problems)
    return session


def load_database_settings(raw: Mapping[str, Any]) -> DatabaseSettings:
    """Reads what migrations and commands need. Other options of SQLAlchemy's, which an application
    that includes the sessions alone may have, are passed over."""
    known = {_prefix("database") + f.name for f in fields(DatabaseSettings)}
    needed = {key: value for key, value in raw.items() if key in known}
    database: DatabaseSettings = load_section(DatabaseSettings, "database", needed)
    return database


def load_mail_settings(
    raw: Mapping[str, Any],
) -> tuple[MailSettings, SiteSettings, LanguageSettings]:
    """Reads what the delivery of letters needs."""
    return (
        load_section(MailSettings, "mail", raw),
        load_section(SiteSettings, "site", raw),
        load_section(LanguageSettings, "language", raw),
    )


def load_section(section: Any, name: str, raw: Mapping[str, Any]) -> Any:
    """Reads one section, and looks at no other settings; raises `SettingsError`."""
    needed = {key: value for key, value in raw.items() if key.startswith(_prefix(name))}
    problems = missing_variables(needed)
    loaded = read_section(section, name, needed, problems)
    if isinstance(loaded, SessionSettings):
        problems += check_session(loaded)
    if isinstance(loaded, LanguageSettings):
        problems += check_languages(loaded)
    if problems:
        raise SettingsError(problems)
    return loaded


class Expanded(str):
    """A value whose variables have been replaced; what they held is not looked into again."""

    __slots__ = ()


class MissingVariables(Expanded):
    """Stands in for a value with variables that are not set; it is their names."""

    __slots__ = ()


def expand(raw: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Replaces `${NAME}` and `${NAME:-default}` by `variables`, else by the environment's values.

    As in a shell, the default also stands in for a variable that is set but empty. `variables`
    are those of pserve's command line. A value whose variable is missing becomes a
    `MissingVariables`, which `Settings.load` reports along with all else that is wrong.
    """
    known = {**os.environ, **(variables or {})}
    return {
        key: _expand(value, known) if isinstance(value, str) else value
        for key, value in raw.items()
    }


def _expand(value: str, known: Mapping[str, str]) -> str:
    variables = list(_VARIABLE.finditer(value))
    if not variables or isinstance(value, Expanded):
        return value
    missing = [m["name"] for m in variables if not known.get(m["name"]) and m["default"] is None]
    if missing:
        return MissingVariables(", ".join(missing))
    return Expanded(_VARIABLE.sub(lambda m: known.get(m["name"]) or m["default"] or "", value))


def missing_variables(raw: Mapping[str, Any]) -> Problems:
    return [
        f"{key}: the environment variable {value} is not set"
        for key, value in raw.items()
        if isinstance(value, MissingVariables)
    ]


def read_section(section: Any, name: str, raw: Mapping[str, Any], problems: Problems) -> Any:
    prefix = _prefix(name)
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
    if isinstance(raw.get(key), MissingVariables):
        return MISSING  # It has been reported.
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


def check_together(mode: ModeSettings | None, session: SessionSettings | None) -> Problems:
    """What is wrong with values that are each right by themselves, in the sections that are."""
    if session is None:
        return []
    problems = check_session(session)
    if mode is not None and not mode.development and any(map(is_placeholder, session.secret)):
        problems.append(
            "session.secret: looks like a placeholder; make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
        )
    return problems


def check_peppers(mode: ModeSettings | None, password: PasswordSettings | None) -> Problems:
    if mode is None or mode.development or password is None:
        return []
    if all(len(pepper) >= MINIMUM_SECRET_LENGTH for pepper in password.pepper):
        return []
    return [
        f"password.pepper: its value is not secrets of at least {MINIMUM_SECRET_LENGTH} characters"
    ]


def check_languages(language: LanguageSettings | None) -> Problems:
    # Not above: Babel takes its time, and an application with the sessions alone needs none of it.
    from authapp.languages import LanguageError, Languages

    if language is not None:
        try:
            Languages(language.offered, language.catalogues)
        except LanguageError as error:
            return [f"language.offered: {error}"]
    return []


def check_session(session: SessionSettings) -> Problems:
    problems: Problems = []
    if session.idle_timeout > session.lifetime:
        problems.append("session.idle_timeout: is longer than session.lifetime")
    if session.touch_interval >= session.idle_timeout:
        problems.append("session.touch_interval: is not shorter than session.idle_timeout")
    problems += check_cookie(session)
    return problems


def check_cookie(session: SessionSettings) -> Problems:
    """What browsers would drop. With "auto" the cookie is as it can be, by the request's scheme."""
    problems: Problems = []
    # Browsers recognise the prefixes whatever their case is.
    name = (session.cookie_name or "").lower()
    if session.cookie_secure == "false":
        if session.cookie_samesite == "None":
            problems.append("session.cookie_samesite: None needs a secure cookie (cookie_secure)")
        if session.cookie_partitioned:
            problems.append("session.cookie_partitioned: needs a secure cookie (cookie_secure)")
        if name.startswith(("__host-", "__secure-")):
            problems.append("session.cookie_name: needs a secure cookie (cookie_secure)")
    if name.startswith("__host-") and (session.cookie_domain or session.cookie_path != "/"):
        problems.append("session.cookie_name: __Host- allows no cookie_domain, and only the path /")
    return problems


def is_placeholder(secret: str) -> bool:
    """Whether a secret was plainly typed or copied rather than made by a random generator."""
    repeats_itself = secret in (secret + secret)[1:-1]
    return (
        repeats_itself
        or len(set(secret)) < MINIMUM_DISTINCT_CHARACTERS
        or _PLACEHOLDER_WORDS.search(secret.casefold()) is not None
    )
