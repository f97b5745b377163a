"""Every message there is stands in every catalogue, whole, and as it is used."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from authapp.languages import DIRECTORY, SOURCE

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "authapp" / "templates"
LANGUAGES = sorted(path.parent.parent.name for path in DIRECTORY.glob("*/LC_MESSAGES/authapp.po"))
PLACEHOLDER = re.compile(r"\{\w*\}|%\(\w+\)s")
TAG = re.compile(r"</?\w+[^>]*>")
LETTER = re.compile(r"[^\W\d_]")
# What every language calls so.
SAME_EVERYWHERE = {"UTC"}


@cache
def used() -> frozenset[str | tuple[str, ...]]:
    """The messages in the code and the templates, as `make messages` gathers them."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(ROOT, methods, options, keywords=KEYWORDS)
    return frozenset(message for _, _, message, _, _ in found)


KEYWORDS = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
}


@cache
def catalogue(language: str) -> Catalog:
    path = DIRECTORY / language / "LC_MESSAGES" / "authapp.po"
    with path.open("rb") as file:
        return read_po(file, locale=language)


def messages(language: str) -> list[Message]:
    return [message for message in catalogue(language) if message.id]


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def test_there_are_two_languages_besides_english():
    assert {"de", "es"} <= set(LANGUAGES)
    assert SOURCE not in LANGUAGES
    assert len(used()) > 200


def test_the_template_for_new_languages_has_all_messages():
    with (DIRECTORY / "authapp.pot").open("rb") as file:
        template = read_po(file)

    assert {message.id for message in template if message.id} == used()


@pytest.mark.parametrize("language", LANGUAGES)
class TestCatalogue:
    def test_it_has_every_message_and_no_other(self, language):
        assert {message.id for message in messages(language)} == used()
        assert not catalogue(language).obsolete

    def test_every_message_is_translated_and_none_is_a_guess(self, language):
        unfinished = [m.id for m in messages(language) if m.fuzzy or not all(forms(m.string))]

        assert unfinished == []

    def test_a_plural_has_all_its_forms(self, language):
        number = catalogue(language).num_plurals
        plurals = [message for message in messages(language) if message.pluralizable]

        assert plurals
        assert all(len(message.string) == number for message in plurals)

    def test_what_is_filled_in_is_filled_in_there_too(self, language):
        wrong = [
            (message.id, text)
            for message in messages(language)
            for text in forms(message.string)
            # Of a plural, the form for one may leave the number out.
            if not set(PLACEHOLDER.findall(text)) <= set(PLACEHOLDER.findall(forms(message.id)[-1]))
            or (
                not message.pluralizable
                and Counter(PLACEHOLDER.findall(text)) != Counter(PLACEHOLDER.findall(message.id))
            )
        ]

        assert wrong == []

    def test_markup_is_kept(self, language):
        wrong = [
            (message.id, text)
            for message in messages(language)
            for text in forms(message.string)
            if Counter(TAG.findall(text)) != Counter(TAG.findall(forms(message.id)[-1]))
        ]

        assert wrong == []

    def test_sentences_end_as_sentences(self, language):
        """A full stop, a question mark or a colon, or none, as in the message itself."""
        ends = re.compile(r"[.?:]?$")
        wrong = [
            (message.id, text)
            for message in messages(language)
            for text in forms(message.string)
            if ends.search(text)[0] != ends.search(forms(message.id)[0])[0] or text != text.strip()
        ]

        assert wrong == []

    def test_what_is_compiled_is_what_is_written(self, language):
        path = DIRECTORY / language / "LC_MESSAGES" / "authapp.mo"
        with path.open("rb") as file:
            compiled = {m.id: m.string for m in read_mo(file) if m.id}

        assert compiled == {m.id: m.string for m in messages(language)}, "run `make messages`"


@pytest.mark.parametrize(
    "template",
    sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.jinja2")),
)
def test_no_word_is_hard_coded_in_a_template(template):
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    tree = environment.parse((TEMPLATES / template).read_text("utf-8"))
    # What is not in `{% trans %}` is data between the tags of the template.
    data = "".join(node.data for node in tree.find_all(nodes.TemplateData))

    said = re.sub(r"<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]*>|&\w+;", " ", data, flags=re.DOTALL)
    attributes = re.findall(
        r"\b(?:alt|aria-label|aria-description|placeholder|title|content)=\"([^\"]*)\"", data
    )
    words = [word for word in re.split(r"\s+", said) if LETTER.search(word)]
    assert set(words) <= SAME_EVERYWHERE
    assert [a for a in attributes if LETTER.search(a) and a not in TECHNICAL] == []


# What <meta content> says to browsers.
TECHNICAL = {
    "width=device-width, initial-scale=1",
    "light dark",
    "telephone=no, date=no, address=no, email=no, url=no",
}
