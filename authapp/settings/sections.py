"""The sections: each setting with its reader and its default, and what a section checks by itself.

A field's name is the key in the ini file below the section's prefix.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from authapp.domain.pictures import Picture
from authapp.domain.theme import Theme
from authapp.domain.throttle import Rate
from authapp.settings.readers.addresses import (
    Contact,
    read_contact,
    read_database_url,
    read_mail_sender,
    read_mail_url,
    read_url,
)
from authapp.settings.readers.brand import read_accent, read_accent_dark, read_logo
from authapp.settings.readers.cookies import read_cookie_domain, read_cookie_name, read_cookie_path
from authapp.settings.readers.values import (
    read_boolean,
    read_choice,
    read_directories,
    read_duration,
    read_integer,
    read_languages,
    read_lines,
    read_rate,
    read_secrets,
    read_size,
    read_text,
)
from authapp.settings.reading import Problems, setting


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


def check_languages(language: LanguageSettings | None) -> Problems:
    # Not above: Babel takes its time, and an application with the sessions alone needs none of it.
    from authapp.languages import LanguageError, Languages

    if language is not None:
        try:
            Languages(language.offered, language.catalogues)
        except LanguageError as error:
            return [f"language.offered: {error}"]
    return []


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
