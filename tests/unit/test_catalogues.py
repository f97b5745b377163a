"""Every message there is stands in every catalogue, whole, and as it is used."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
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
def used() -> frozenset[tuple[str, ...]]:
    """The messages in the code and the templates, as `make messages` gathers them."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(ROOT, methods, options, keywords=KEYWORDS)
    return frozenset(forms(message) for _, _, message, _, _ in found)


KEYWORDS = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
}


@dataclass(frozen=True)
class Entry:
    """A message and its translation, in one form or in those of the plural."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    is_guess: bool


@cache
def catalogue(language: str) -> Catalog:
    path = DIRECTORY / language / "LC_MESSAGES" / "authapp.po"
    with path.open("rb") as file:
        return read_po(file, locale=language)


def entries_of(catalogue: Catalog) -> list[Entry]:
    found = [message for message in catalogue if message.id]
    return [Entry(forms(m.id), forms(m.string), m.fuzzy) for m in found]


def entries(language: str) -> list[Entry]:
    return entries_of(catalogue(language))


def forms(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def test_there_are_two_languages_besides_english():
    assert {"de", "es"} <= set(LANGUAGES)
    assert SOURCE not in LANGUAGES
    assert len(used()) > 200


def test_the_template_for_new_languages_has_all_messages():
    with (DIRECTORY / "authapp.pot").open("rb") as file:
        template = read_po(file)

    assert {entry.ids for entry in entries_of(template)} == used()


@pytest.mark.parametrize("language", LANGUAGES)
class TestCatalogue:
    def test_it_has_every_message_and_no_other(self, language):
        assert {entry.ids for entry in entries(language)} == used()
        assert not catalogue(language).obsolete

    def test_every_message_is_translated_and_none_is_a_guess(self, language):
        assert [e.ids for e in entries(language) if e.is_guess or not all(e.texts)] == []

    def test_a_plural_has_all_its_forms(self, language):
        number = catalogue(language).num_plurals
        plurals = [entry for entry in entries(language) if len(entry.ids) > 1]

        assert plurals
        assert all(len(entry.texts) == number for entry in plurals)

    def test_what_is_filled_in_is_filled_in_there_too(self, language):
        """The form for one may leave the number out."""
        wrong = [
            (entry, text)
            for entry in entries(language)
            for text in entry.texts
            if (gaps := Counter(PLACEHOLDER.findall(text))) != _gaps(entry)
            and not (len(entry.ids) > 1 and gaps < _gaps(entry))
        ]

        assert wrong == []

    def test_markup_is_kept(self, language):
        wrong = [
            (entry, text)
            for entry in entries(language)
            for text in entry.texts
            if Counter(TAG.findall(text)) != Counter(TAG.findall(entry.ids[-1]))
        ]

        assert wrong == []

    def test_sentences_end_as_sentences(self, language):
        """With a full stop, a question mark, a colon or nothing, as the message itself does."""
        wrong = [
            (entry, text)
            for entry in entries(language)
            for text in entry.texts
            if _end(text) != _end(entry.ids[0]) or text != text.strip()
        ]

        assert wrong == []

    def test_what_is_compiled_is_what_is_written(self, language):
        path = DIRECTORY / language / "LC_MESSAGES" / "authapp.mo"
        with path.open("rb") as file:
            compiled = {entry.ids: entry.texts for entry in entries_of(read_mo(file))}

        written = {entry.ids: entry.texts for entry in entries(language)}
        assert compiled == written, "run `make messages`"


def _gaps(entry: Entry) -> Counter[str]:
    return Counter(PLACEHOLDER.findall(entry.ids[-1]))


def _end(text: str) -> str:
    # What a greeting ends with is a comma in one language, and a colon in another.
    return text[-1].replace(",", ":") if text[-1] in ".?:," else ""


@pytest.mark.parametrize(
    "template",
    sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.jinja2")),
)
def test_no_word_is_hard_coded_in_a_template(template):
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    # What the body is a class of, which a page says by itself.
    source = re.sub(
        r"(\{% block page_class %\}).*?(?=\{% endblock)", r"\1", (TEMPLATES / template).read_text()
    )
    tree = environment.parse(source)
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


def test_no_word_is_hard_coded_where_python_speaks_to_people():
    """By the names of what speaks; what is handed on by a variable was translated before."""
    hard_coded = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted((ROOT / "authapp").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and _name(call) in SPEAKERS
        for text in _said(call)
        if " " in text
    ]

    assert hard_coded == []


SPEAKERS = {"HTTPBadRequest", "BadCSRFOrigin", "flash", "error_response", "json_error", "_flashed"}


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _said(call: ast.Call) -> Iterator[str]:
    """The texts among the arguments that do not go through gettext first."""
    waiting: list[ast.AST] = [*call.args, *(keyword.value for keyword in call.keywords)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        waiting += ast.iter_child_nodes(node)
