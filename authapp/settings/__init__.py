"""From the strings of an ini file to typed, validated settings, or one message that names it all.

Each setting is declared once, as a field of a frozen dataclass in `sections`: its name is the key
in the ini file below the section's prefix, its metadata say how to read it and what it may be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from authapp.settings.checks import (
    MINIMUM_DISTINCT_CHARACTERS,
    check_peppers,
    check_together,
    is_placeholder,
)
from authapp.settings.readers.addresses import (
    Contact,
    read_contact,
    read_database_url,
    read_mail_sender,
    read_mail_url,
    read_url,
)
from authapp.settings.readers.brand import MAXIMUM_LOGO, read_accent, read_accent_dark, read_logo
from authapp.settings.readers.cookies import read_cookie_domain, read_cookie_name, read_cookie_path
from authapp.settings.readers.values import (
    MINIMUM_SECRET_LENGTH,
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
from authapp.settings.reading import Problems, prefix_of, read_section, setting
from authapp.settings.sections import (
    DatabaseSettings,
    EventsSettings,
    LanguageSettings,
    MailSettings,
    ModeSettings,
    PasswordSettings,
    RegistrationSettings,
    SecondFactorSettings,
    SessionSettings,
    SignInSettings,
    SiteSettings,
    ThrottleSettings,
    check_cookie,
    check_languages,
    check_session,
)
from authapp.settings.variables import Expanded, MissingVariables, expand, missing_variables

__all__ = [
    "MAXIMUM_LOGO",
    "MINIMUM_DISTINCT_CHARACTERS",
    "MINIMUM_SECRET_LENGTH",
    "Contact",
    "DatabaseSettings",
    "EventsSettings",
    "Expanded",
    "LanguageSettings",
    "MailSettings",
    "MissingVariables",
    "ModeSettings",
    "PasswordSettings",
    "Problems",
    "RegistrationSettings",
    "SecondFactorSettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "SignInSettings",
    "SiteSettings",
    "ThrottleSettings",
    "check_cookie",
    "check_languages",
    "check_peppers",
    "check_session",
    "check_together",
    "expand",
    "is_placeholder",
    "load_database_settings",
    "load_mail_settings",
    "load_section",
    "load_session_settings",
    "missing_variables",
    "read_accent",
    "read_accent_dark",
    "read_boolean",
    "read_choice",
    "read_contact",
    "read_cookie_domain",
    "read_cookie_name",
    "read_cookie_path",
    "read_database_url",
    "read_directories",
    "read_duration",
    "read_integer",
    "read_languages",
    "read_lines",
    "read_logo",
    "read_mail_sender",
    "read_mail_url",
    "read_rate",
    "read_secrets",
    "read_section",
    "read_size",
    "read_text",
    "read_url",
    "setting",
]


class SettingsError(ValueError):
    """The settings cannot be used. The message has a line for each that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the settings cannot be used:\n{lines}")


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
    known = {prefix_of("database") + f.name for f in fields(DatabaseSettings)}
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
    needed = {key: value for key, value in raw.items() if key.startswith(prefix_of(name))}
    problems = missing_variables(needed)
    loaded = read_section(section, name, needed, problems)
    if isinstance(loaded, SessionSettings):
        problems += check_session(loaded)
    if isinstance(loaded, LanguageSettings):
        problems += check_languages(loaded)
    if problems:
        raise SettingsError(problems)
    return loaded
