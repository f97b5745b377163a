"""What the documents say that can go stale without anybody noticing."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from authapp.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

# Of the sections of `Settings` that are not called as the settings' prefix is.
PREFIXES = {"mode": "authapp", "database": "sqlalchemy"}

SETTING_ROW = re.compile(r"^\| `(?P<name>[a-z_]+\.[a-z_]+)` \| (?P<default>[^|]*) \|", re.MULTILINE)
LINK = re.compile(r"""(?:\]\(|<img src=")([^)\s"]+)""")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
SOURCE_FILE = re.compile(r"(?:tests|authapp|examples)/[\w/.-]+\.\w+")
TEST_NAME = re.compile(r"test_\w+")


def declared_defaults() -> dict[str, str]:
    """Each setting with its default, as the document is to show it."""
    sections: dict[str, Any] = {section.name: section.type for section in fields(Settings)}
    return {
        f"{PREFIXES.get(name, name)}.{field.name}": shown_default(field.metadata)
        for name, section in sections.items()
        for field in fields(section)
    }


def shown_default(metadata):
    if metadata["default"] is None:
        return "none" if metadata["optional"] else "required"
    return f"`{metadata['default']}`" if metadata["default"] else "empty"


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_settings_are_documented_with_their_defaults():
    rows = SETTING_ROW.findall((ROOT / "docs" / "settings.md").read_text("utf-8"))
    assert len(rows) == len(dict(rows)), "a setting is listed twice"
    assert dict(rows) == declared_defaults()


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(document):
    targets = LINK.findall(FENCE.sub("", document.read_text("utf-8")))
    dead = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        leads_to = (document.parent / path).resolve() if path else document
        if not leads_to.exists() or (anchor and anchor not in anchors(leads_to)):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_files_and_tests_that_are_named_exist(document):
    missing = [name for name, exists in named_in(document) if not exists]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_examples_in_python_are_python(document):
    for number, code in enumerate(PYTHON.findall(document.read_text("utf-8")), start=1):
        ast.parse(code, f"{document.name}, example {number}")


def test_every_guarantee_of_sessions_names_a_test():
    """Else the test before this one would hold for a document that names none."""
    text = (ROOT / "docs" / "sessions.md").read_text("utf-8")
    section = text.partition("## What is guaranteed")[2].partition("\n## ")[0]
    guarantees = re.split(r"^\*\*\d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(guarantees) >= 10
    assert [g.splitlines()[0] for g in guarantees if not TEST_NAME.search(g)] == []


def named_in(document: Path) -> Iterator[tuple[str, bool]]:
    """The files and tests that a document names, and whether each is there.

    A test is looked for in the file that was named last before it.
    """
    source, file = "", "no file"
    for quoted in QUOTED.findall(FENCE.sub("", document.read_text("utf-8"))):
        if SOURCE_FILE.fullmatch(quoted):
            file, path = quoted, ROOT / quoted
            source = path.read_text("utf-8", "replace") if path.is_file() else ""
            yield file, path.is_file()
        elif TEST_NAME.fullmatch(quoted):
            defined = re.search(rf"^\s*(?:async )?def {quoted}\(", source, re.MULTILINE)
            yield f"{file}: {quoted}", defined is not None


def test_the_map_from_concept_to_file_is_right():
    """Each file of the table exists, and each name in the row is defined in one of its files."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = text.partition("## From concept to file")[2].partition("\n## ")[0]
    rows = [row.split("|")[1:4] for row in re.findall(r"^\| .* \|$", section, re.MULTILINE)[2:]]
    wrong = [problem for _, files, names in rows for problem in wrong_in_row(files, names)]
    assert len(rows) >= 30
    assert wrong == []


def wrong_in_row(files: str, names: str) -> Iterator[str]:
    folder, paths = ROOT / "authapp", []
    for name in QUOTED.findall(files):
        name = name.removeprefix("authapp/")
        if "/" in name:  # What follows without a folder is in the same one.
            folder = ROOT / "authapp" / name.rpartition("/")[0]
        path = folder / name.rpartition("/")[2] if "/" in name else folder / name
        paths.append(path)
        if not path.exists():
            yield name
    sources = "".join(path.read_text("utf-8") for path in paths if path.is_file())
    for name in QUOTED.findall(names):
        if name.isidentifier() and not re.search(
            rf"^(?:\s*(?:def|class) {name}\b|{name}\b.*=|.*import {name}\b)", sources, re.MULTILINE
        ):
            yield name
