"""The languages of pages and letters: words by gettext, dates and numbers as the CLDR has them.

Messages are written in English, where they are used, and are looked up in the catalogues
`DIRECTORY/LANGUAGE/LC_MESSAGES/authapp.mo`. Those of authapp lie in `authapp/locale`; an
application may have more, for further languages or for other words.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.messages.mofile import read_mo
from babel.numbers import format_decimal
from babel.support import Translations

DOMAIN = "authapp"
DIRECTORY = Path(__file__).with_name("locale")
# The language of the messages themselves, which takes no catalogue.
SOURCE = "en"


def N_(message: str) -> str:  # noqa: N802  # The name by which gettext's tools know it.
    """Marks a message that is translated later, once it is known for whom."""
    return message


class LanguageError(ValueError):
    """There is no such language, or no catalogue for it."""


class Language:
    """One language: its words, and how it writes dates, numbers and durations."""

    def __init__(self, tag: str, translations: NullTranslations | None = None) -> None:
        """`tag` is a BCP 47 language tag; raises `LanguageError` for one that names none."""
        self.tag = tag
        self._translations = translations or NullTranslations()
        try:
            self._locale = Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            raise LanguageError(f"there is no language {tag!r}") from None

    @property
    def direction(self) -> str:
        """ "ltr" or "rtl", as HTML's `dir` has it."""
        return str(self._locale.text_direction)

    @property
    def own_name(self) -> str:
        """What the language is called by those who speak it."""
        name = self._locale.get_display_name() or self.tag
        return name[:1].upper() + name[1:]

    def gettext(self, message: str, /, **params: object) -> str:
        """The message in this language, with its `{params}`; without any it is left as it is."""
        text = self._translations.gettext(message)
        return text.format(**params) if params else text

    def ngettext(self, singular: str, plural: str, number: int, /, **params: object) -> str:
        """The form that goes with `number`, with its `{params}`."""
        text = self._translations.ngettext(singular, plural, number)
        return text.format(**params) if params else text

    def number(self, number: int) -> str:
        return str(format_decimal(number, locale=self._locale))

    def date(self, time: datetime) -> str:
        """The day, with the month in words; as it is in UTC."""
        return str(format_date(time.astimezone(UTC), "long", locale=self._locale))

    def moment(self, time: datetime) -> str:
        """The day and the time, in UTC and saying so: where the reader is, nobody knows here."""
        time = time.astimezone(UTC)
        words = format_datetime(time, "long", tzinfo=UTC, locale=self._locale)
        # Without seconds, which the locale's own pattern has along with the zone.
        seconds = format_time(time, "long", tzinfo=UTC, locale=self._locale)
        minutes = f"{format_time(time, 'short', tzinfo=UTC, locale=self._locale)} UTC"
        return str(words.replace(seconds, minutes))

    def duration(self, duration: timedelta) -> str:
        """In the largest unit that it is a whole number of, up to days: "90 minutes", "3 days"."""
        # Babel goes on to the next unit at the threshold.
        return str(
            format_timedelta(
                duration, _unit_of(duration), threshold=_ANY_NUMBER, locale=self._locale
            )
        )

    def ago(self, since: timedelta) -> str:
        """How long ago something was, roughly: "5 minutes ago"."""
        since = max(since, timedelta(0))
        return str(
            format_timedelta(-since, granularity="minute", add_direction=True, locale=self._locale)
        )


_ANY_NUMBER = 1e9


def _unit_of(duration: timedelta) -> Literal["day", "hour", "minute", "second"]:
    if not duration % timedelta(days=1):
        return "day"
    if not duration % timedelta(hours=1):
        return "hour"
    return "second" if duration % timedelta(minutes=1) else "minute"


class Languages:
    """Those that the site speaks, in the order of preference; the first is for everybody else."""

    def __init__(self, tags: Sequence[str], directories: Sequence[Path] = ()) -> None:
        """Catalogues in the later `directories` have the first word, those of authapp the last.

        Raises `LanguageError` for a language that there is no catalogue for.
        """
        self._languages = {tag: _load(tag, (DIRECTORY, *directories)) for tag in tags}
        self.default = self._languages[tags[0]]

    def __iter__(self) -> Iterator[Language]:
        return iter(self._languages.values())

    def __contains__(self, tag: object) -> bool:
        return tag in self._languages

    @property
    def tags(self) -> Sequence[str]:
        return tuple(self._languages)

    @property
    def understood(self) -> Mapping[str, Language]:
        """By the tags of what can be asked for: whoever reads Portuguese reads that of Brazil."""
        by_subtag = {language.tag.partition("-")[0]: language for language in reversed([*self])}
        return {**by_subtag, **self._languages}

    def of(self, tag: str | None) -> Language:
        """The language of that tag; the default where there is none, or it is not spoken here."""
        return self._languages.get(tag or "", self.default)


@lru_cache  # A process reads them in several places, and they do not change.
def _load(tag: str, directories: tuple[Path, ...]) -> Language:
    found: NullTranslations | None = None
    for directory in directories:
        catalogue = directory / tag.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo"
        if catalogue.is_file():
            translations = _read(catalogue)
            if found is not None:
                translations.add_fallback(found)
            found = translations
    language = Language(tag, found)
    if found is None and tag != SOURCE:
        name = f"{tag.replace('-', '_')}/LC_MESSAGES/{DOMAIN}.mo"
        listed = ", ".join(str(directory) for directory in directories)
        raise LanguageError(f"there is no compiled catalogue {name} for {tag!r} in {listed}")
    return language


def _read(catalogue: Path) -> NullTranslations:
    """A message that cannot be filled in as ours can would fail every page that it stands on."""
    content = catalogue.read_bytes()
    try:
        messages = [message for message in read_mo(BytesIO(content)) if message.id]
        translations = Translations(BytesIO(content), DOMAIN)
    except (OSError, ValueError, struct.error) as error:
        raise LanguageError(f"{catalogue} is no compiled catalogue: {error}") from None
    for message in messages:
        (*_, source), texts = _forms(message.id), _forms(message.string)
        if wrong := [text for text in texts if not _gaps(text) <= _gaps(source)]:
            raise LanguageError(f"{catalogue} has gaps in {wrong[0]!r} that {source!r} has not")
    return translations


def _forms(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def _gaps(text: str) -> set[str]:
    """What is filled in; a percent sign or a brace that begins nothing is one, too."""
    return set(_GAP.findall(text))


_GAP = re.compile(r"\{[^}]*\}?|%\([^)]*\)?s?|%(?!%|\()")
