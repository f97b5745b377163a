"""A language that is written from right to left, in which all words can be told from hard-coded
ones, and each takes more room than it does in English."""

import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from authapp.languages import DIRECTORY

# One that is known to write from right to left, and that authapp does not speak.
TAG = "ar"
_OPEN, _CLOSE = "⟦", "⟧"
_MARKED = re.compile(f"{_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE}")
_MARKUP = re.compile(r"(<[^>]*>|%\(\w+\)s)")
_WORD = re.compile(r"[A-Za-z]{2,}")


def write_catalogue(directory: Path) -> Path:
    """Gives the folder, for the setting `language.catalogues`."""
    with (DIRECTORY / "authapp.pot").open("rb") as file:
        template = read_po(file)
    catalogue = Catalog(locale=TAG)
    for message in template:
        if isinstance(message.id, str):
            catalogue.add(message.id, _marked(message.id) if message.id else "")
        else:
            singular, plural = map(_marked, message.id)
            catalogue.add(message.id, (singular, *[plural] * (catalogue.num_plurals - 1)))
    folder = directory / TAG / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "authapp.mo").open("wb") as file:
        write_mo(file, catalogue)
    return directory


def hard_coded(text: str, known: str) -> list[str]:
    """The words that are in no message, nor in what is `known` to be somebody's own."""
    while (rest := _MARKED.sub(" ", text)) != text:  # One may stand within another.
        text = rest
    return [word for word in _WORD.findall(text) if word not in set(_WORD.findall(known))]


def _marked(message: str) -> str:
    """A third longer, as a word is in many languages; markup parts a message on the page."""
    parts = _MARKUP.split(message)
    return "".join(part if _MARKUP.match(part) else _marked_text(part) for part in parts)


def _marked_text(text: str) -> str:
    if not text.strip():
        return text
    return f"{_OPEN}{text} {'ـ' * (len(text) // 3)}{_CLOSE}"
