"""An application that changes the looks, in each of the ways that docs/theming.md shows."""

import sys
from importlib.resources import files
from pathlib import Path

import pytest
import webtest
from pyramid.config import Configurator

from authapp.repositories import ENGINE
from tests.conftest import app_settings
from tests.functional.conftest import HOST
from tests.functional.support import errors_beside, fill_in

# What the document shows, as it stands there.
DOCUMENT = Path(__file__).parents[2] / "docs" / "theming.md"
FILES = ("templates/home.jinja2", "templates/menu.jinja2", "static/bistro.css")
BLOCK_OF_STYLESHEET = "{% block scripts %}"


def shown(document: str, name: str) -> str:
    """The example that the document gives for a file of the bistro's."""
    after = document.partition(f"`bistro/{name}`")[2]
    return after.partition("```")[2].partition("\n")[2].partition("\n```")[0] + "\n"


@pytest.fixture(scope="module")
def bistro(tmp_path_factory):
    """The package of an application, with templates and a stylesheet of its own."""
    folder = tmp_path_factory.mktemp("site")
    document = DOCUMENT.read_text("utf-8")
    (folder / "bistro").mkdir()
    (folder / "bistro" / "__init__.py").write_text("")
    for name in FILES:
        path = folder / "bistro" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown(document, name))
    sys.path.insert(0, str(folder))
    yield folder / "bistro"
    sys.path.remove(str(folder))
    del sys.modules["bistro"]


@pytest.fixture
def make_site(bistro, migrated_url, db):
    """Makes applications that include authapp and override what they are told to."""
    made = []

    def make(*overrides):
        with Configurator(settings=app_settings(migrated_url, site__name="Bistro")) as config:
            config.include("authapp")
            for asset, override in overrides:
                config.override_asset(asset, override)
            config.add_static_view("assets", "bistro:static")
            config.add_route("menu", "/menu")
            config.add_view(
                lambda request: {}, route_name="menu", renderer="bistro:templates/menu.jinja2"
            )
        made.append(config.registry[ENGINE])
        return webtest.TestApp(config.make_wsgi_app(), extra_environ=HOST)

    yield make
    for engine in made:
        engine.dispose()


def stylesheet(site):
    [link] = site.get("/").html.find_all("link", rel="stylesheet")
    return site.get(link["href"], status=200)


def test_one_template(make_site):
    site = make_site(("authapp:templates/home.jinja2", "bistro:templates/home.jinja2"))

    page = site.get("/")

    assert page.html.h1.get_text() == "A table for you at Bistro"
    assert page.html.find("nav").find("a", href="/sign-up"), "the frame is still ours"
    assert site.get("/sign-in").html.h1.get_text() == "Sign in"


def test_whole_folder_of_which_what_is_missing_is_ours(make_site):
    site = make_site(("authapp:templates/", "bistro:templates/"))

    assert site.get("/").html.h1.get_text() == "A table for you at Bistro"
    assert site.get("/sign-in").html.h1.get_text() == "Sign in"
    refused = fill_in(site.get("/sign-up"), "/sign-up", name="", email="", password="")
    assert set(errors_beside(refused)) == {"name", "email", "password"}


def test_stylesheet(make_site, bistro):
    theirs = "body { color: #000; }"
    (bistro / "static" / "site.css").write_text(theirs)
    site = make_site(("authapp:static/site.css", "bistro:static/site.css"))

    assert stylesheet(site).text == theirs
    assert stylesheet(make_site()).text != theirs


def test_page_of_ones_own_in_the_same_frame(make_site):
    page = make_site().get("/menu")

    assert page.html.title.get_text() == "Menu · Bistro"
    assert page.html.h1.get_text() == "Menu"
    assert page.html.find("a", class_="brand").get_text(strip=True) == "Bistro"
    assert page.html.find("nav").find("a", href="/sign-in")
    assert page.html.find("a", href="#main")


def test_frame_can_be_added_to_without_being_copied(make_site, bistro):
    """By a template that extends the one that it replaces, under another name."""
    document = DOCUMENT.read_text("utf-8")
    layout = shown(document, "templates/layout.jinja2")
    block, end = BLOCK_OF_STYLESHEET, "{%- endblock %}"
    link = block + document.partition(block)[2].partition(end)[0] + end
    (bistro / "templates" / "layout.jinja2").write_text(layout + link)
    site = make_site(
        ("bistro:ours/", f"{files('authapp') / 'templates'}/"),
        ("authapp:templates/layout.jinja2", "bistro:templates/layout.jinja2"),
    )

    page = site.get("/sign-in")

    assert page.html.h1.get_text() == "Sign in"
    assert "The kitchen is closed on Mondays." in page.html.main.get_text()
    ours, theirs = (link["href"] for link in page.html.find_all("link", rel="stylesheet"))
    assert "authapp" in ours
    assert site.get(theirs, status=200).text == (bistro / "static" / "bistro.css").read_text()
    assert page.html.find("script", src=True), "the script is still there"
