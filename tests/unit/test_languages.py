from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from authapp.languages import Language, LanguageError, Languages

TIME = datetime(2026, 11, 3, 4, 5, 6, tzinfo=UTC)


def write_catalogue(directory: Path, tag: str, messages: dict[str, str]) -> Path:
    folder = directory / tag.replace("-", "_") / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = Catalog(locale=tag.replace("-", "_"))
    for message, translation in messages.items():
        catalogue.add(message, translation)
    with (folder / "authapp.mo").open("wb") as file:
        write_mo(file, catalogue)
    return directory


@pytest.mark.parametrize(
    ("tag", "date", "moment"),
    [
        ("en", "November 3, 2026", "November 3, 2026, 4:05\u202fAM UTC"),
        ("en-GB", "3 November 2026", "3 November 2026, 04:05 UTC"),
        ("de", "3. November 2026", "3. November 2026, 04:05 UTC"),
        ("es", "3 de noviembre de 2026", "3 de noviembre de 2026, 4:05 UTC"),
        ("ar", "3 نوفمبر 2026", "3 نوفمبر 2026، 4:05 ص UTC"),
    ],
)
def test_times_are_in_utc_and_written_as_is_done_there(tag, date, moment):
    language = Language(tag)
    elsewhere = TIME.astimezone(timezone(timedelta(hours=13)))

    for time in (TIME, elsewhere):
        assert language.date(time) == date
        assert language.moment(time).replace("\xa0", " ") == moment


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("en", ["1 day", "1 hour", "90 minutes", "3 days", "45 seconds"]),
        ("de", ["1 Tag", "1 Stunde", "90 Minuten", "3 Tage", "45 Sekunden"]),
        ("es", ["1 día", "1 hora", "90 minutos", "3 días", "45 segundos"]),
    ],
)
def test_durations_are_exact_and_in_the_largest_unit(tag, words):
    durations = [{"hours": 24}, {"hours": 1}, {"minutes": 90}, {"days": 3}, {"seconds": 45}]

    assert [Language(tag).duration(timedelta(**given)) for given in durations] == words


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("en", ["1 minute ago", "5 minutes ago", "1 hour ago", "3 days ago", "1 year ago"]),
        ("de", ["vor 1 Minute", "vor 5 Minuten", "vor 1 Stunde", "vor 3 Tagen", "vor 1 Jahr"]),
        ("es", ["hace 1 minuto", "hace 5 minutos", "hace 1 hora", "hace 3 días", "hace 1 año"]),
    ],
)
def test_how_long_ago_is_told_roughly(tag, words):
    spans = [{"seconds": 3}, {"minutes": 5}, {"minutes": 65}, {"days": 3}, {"days": 370}]

    assert [Language(tag).ago(timedelta(**given)) for given in spans] == words


def test_what_a_clock_that_is_ahead_says_was_just_now():
    assert Language("en").ago(timedelta(seconds=-30)) == Language("en").ago(timedelta(0))


@pytest.mark.parametrize(
    ("tag", "direction", "own_name", "number"),
    [
        ("en", "ltr", "English", "12,345"),
        ("de", "ltr", "Deutsch", "12.345"),
        ("es", "ltr", "Español", "12.345"),
        ("pt-BR", "ltr", "Português (Brasil)", "12.345"),
        ("he", "rtl", "עברית", "12,345"),
    ],
)
def test_language_knows_its_name_its_direction_and_its_numbers(tag, direction, own_name, number):
    language = Language(tag)

    assert (language.direction, language.own_name) == (direction, own_name)
    assert language.number(12345) == number


def test_messages_are_filled_in_only_where_there_is_something_to_fill_in():
    english = Language("en")

    assert english.gettext("{0} {x.y} 100%") == "{0} {x.y} 100%"
    assert english.gettext("Hello {name}", name="{x}") == "Hello {x}"
    assert english.ngettext("one", "{n} of them", 1, n=1) == "one"
    assert english.ngettext("one", "{n} of them", 2, n=2) == "2 of them"


def test_authapp_speaks_german_and_spanish():
    languages = Languages(["en", "de", "es"])

    words = [language.gettext("Sign in") for language in languages]
    assert words == ["Sign in", "Anmelden", "Iniciar sesión"]


def test_the_first_is_for_those_who_ask_for_none_that_is_spoken():
    languages = Languages(["de", "en"])

    assert [languages.of(tag).tag for tag in ("en", "de", "fr", "", None)] == [
        "en",
        "de",
        "de",
        "de",
        "de",
    ]
    assert ("en" in languages, "fr" in languages, languages.tags) == (True, False, ("de", "en"))


def test_catalogues_of_the_application_have_the_first_word(tmp_path):
    own = write_catalogue(tmp_path, "de", {"Sign in": "Herein", "Only ours": "Nur unser"})

    german = Languages(["de"], [own]).default

    assert german.gettext("Sign in") == "Herein"
    assert german.gettext("Only ours") == "Nur unser"
    assert german.gettext("Sign up") == Languages(["de"]).default.gettext("Sign up") != "Sign up"


def test_of_several_folders_the_last_has_the_first_word(tmp_path):
    first = write_catalogue(tmp_path / "1", "en", {"Sign in": "Enter", "Sign up": "Join"})
    second = write_catalogue(tmp_path / "2", "en", {"Sign in": "Come in"})

    english = Languages(["en"], [first, second]).default

    assert [english.gettext(m) for m in ("Sign in", "Sign up")] == ["Come in", "Join"]


def test_a_catalogue_adds_a_language(tmp_path):
    own = write_catalogue(tmp_path, "pt-BR", {"Sign in": "Entrar"})

    assert Languages(["en", "pt-BR"], [own]).of("pt-BR").gettext("Sign in") == "Entrar"


@pytest.mark.parametrize("tag", ["xx", "english", "de_DE_x_y_z", ""])
def test_there_is_no_such_language(tag):
    with pytest.raises(LanguageError, match="there is no language"):
        Languages([tag])


def test_a_language_without_a_catalogue_is_none_of_ours(tmp_path):
    with pytest.raises(
        LanguageError,
        match=f"no compiled catalogue fr/LC_MESSAGES/authapp.mo for 'fr' in .*{tmp_path}",
    ):
        Languages(["en", "fr"], [tmp_path])


@pytest.mark.parametrize(
    "translation", ["Bom dia {nome}", "Bom dia {name", "Bom dia %(name)s", "Bom dia {name} 100%"]
)
def test_a_message_that_cannot_be_filled_in_is_noticed_at_once(tmp_path, translation):
    own = write_catalogue(tmp_path, "pt-BR", {"Hello {name}": translation})

    with pytest.raises(LanguageError, match=r"has gaps in 'Bom dia .* that 'Hello"):
        Languages(["pt-BR"], [own])


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xde\x12\x04\x95garbage"])
def test_what_is_no_catalogue_is_noticed_at_once(tmp_path, content):
    own = write_catalogue(tmp_path, "de", {})
    (own / "de" / "LC_MESSAGES" / "authapp.mo").write_bytes(content)

    with pytest.raises(LanguageError, match="is no compiled catalogue"):
        Languages(["de"], [own])
