"""What the settings make of the looks, over HTTP."""

import gzip
import re

import pytest
import webtest
from pyramid.request import Request

from authapp.repositories import ENGINE
from authapp.wiring.accounts import needs_transaction
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.support import JSON, cookies_set, statements_on

SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 1">'
    b"<style>rect{fill:#6d28d9}</style><script>alert(1)</script>"
    b'<rect width="4" height="1"/><desc>' + b"plum " * 60 + b"</desc></svg>"
)


@pytest.fixture(scope="module")
def logo_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("brand") / "logo.svg"
    path.write_bytes(SVG)
    return path


@pytest.fixture(scope="module")
def branded(migrated_url, logo_file):
    """A site with a name, a logo, a colour and somebody to ask."""
    wsgi_app = make_app(
        migrated_url,
        site__name="Plum & Co",
        site__logo=str(logo_file),
        site__accent="#6D28D9",
        site__support="help@plum.example",
    )
    yield webtest.TestApp(wsgi_app, extra_environ=HOST)
    wsgi_app.registry[ENGINE].dispose()


def stylesheets(page):
    return [link["href"] for link in page.html.find_all("link", rel="stylesheet")]


def logo_of(page):
    return page.html.find("a", class_="brand").img["src"]


def icon_of(page):
    [icon] = page.html.find_all("link", rel="icon")
    return icon["href"]


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nowhere"])
def test_every_page_has_the_name_the_logo_and_the_colours(branded, path):
    page = branded.get(path, status="*")

    site, theme = stylesheets(page)
    assert "/static/authapp/site" in site, "what is set anew has to come later"
    assert re.fullmatch(r"/brand/theme-[0-9a-f]{16}\.css", theme)
    assert re.fullmatch(r"/brand/logo-[0-9a-f]{16}\.svg", logo_of(page))
    assert icon_of(page) == logo_of(page)
    assert page.html.find("a", class_="brand").get_text(strip=True) == "Plum & Co"


def test_stylesheet_sets_the_four_tokens(branded):
    answer = branded.get(stylesheets(branded.get("/"))[1], status=200)

    assert answer.content_type == "text/css"
    assert answer.charset == "UTF-8"
    assert answer.text.startswith(
        ":root{--brand:#6d28d9;--on-brand:#ffffff;--brand-dark:#bb9bed;--on-brand-dark:#05241a}"
    )


def test_logo_is_served_as_it_is_and_does_no_harm_when_it_is_opened_by_itself(branded):
    answer = branded.get(logo_of(branded.get("/")), status=200)

    assert answer.body == SVG
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    )


def test_files_are_kept_for_a_year_and_cost_nothing(branded):
    page = branded.get("/")
    with statements_on(branded.app.registry[ENGINE]) as statements:
        for path in (stylesheets(page)[1], logo_of(page)):
            answer = branded.get(path, headers={"Cookie": "session=forged"}, status=200)
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Vary" not in answer.headers or "Cookie" not in answer.headers["Vary"]
            assert cookies_set(answer) == []
            assert branded.head(path, status=200).body == b""
    assert statements == []


def test_what_saves_something_is_compressed_for_those_who_take_it(branded):
    logo = logo_of(branded.get("/"))

    compressed, plain = (
        Request.blank(logo, {**HOST, "HTTP_ACCEPT_ENCODING": accepted}).get_response(branded.app)
        for accepted in ("gzip, br", "")
    )

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert int(compressed.headers["Content-Length"]) < len(SVG)
    assert gzip.decompress(compressed.body) == SVG
    assert "Content-Encoding" not in plain.headers
    assert plain.body == SVG
    assert compressed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


def test_another_hash_is_not_found_and_not_kept(branded):
    page = branded.get("/")
    for path in (stylesheets(page)[1], logo_of(page)):
        for other in (
            re.sub(r"-[0-9a-f]{16}", "-0123456789abcdef", path),
            path.replace("-", "-0"),
            path + "x",
            path.replace("css", "svg").replace("logo", "theme"),
        ):
            assert branded.get(other, status=404).headers["Cache-Control"] == "no-store", other


def test_what_is_in_a_file_decides_its_address(migrated_url, branded):
    other = make_app(migrated_url, site__accent="#b3261e")
    page = webtest.TestApp(other, extra_environ=HOST).get("/")
    other.registry[ENGINE].dispose()

    assert stylesheets(page)[1] != stylesheets(branded.get("/"))[1]
    assert logo_of(page).startswith("/static/authapp/favicon"), "only the colour was chosen"


def test_nothing_is_linked_where_nothing_is_set(app):
    page = app.get("/")

    assert len(stylesheets(page)) == 1
    assert "/brand/" not in page
    assert logo_of(page) == icon_of(page)
    assert logo_of(page).startswith("/static/authapp/favicon")


def test_files_need_no_transaction(branded, app):
    path = stylesheets(branded.get("/"))[1]

    assert not needs_transaction(Request.blank(path))
    for other in ("/brand/", "/brand/theme.css", "/brand/7", f"{path}/x", f"/x{path}"):
        assert needs_transaction(Request.blank(other)), other


@pytest.mark.parametrize(
    ("support", "href"),
    [
        ("help@plum.example", "mailto:help@plum.example"),
        ("https://plum.example/help?a=1&b=2", "https://plum.example/help?a=1&b=2"),
    ],
)
def test_errors_that_are_ours_say_whom_to_tell(migrated_url, support, href):
    unreachable = "postgresql://nobody@localhost:9/none?connect_timeout=2"
    wsgi_app = make_app(unreachable, site__support=support)
    site = webtest.TestApp(wsgi_app, extra_environ=HOST)

    page = site.get("/readyz", headers={"Accept": "text/html"}, status=503)

    link = page.html.main.find("a", href=href)
    assert link.get_text() == support
    assert "If it goes on, tell" in page.html.main.get_text()
    # It is no help with what is not there, and a program has no use for it.
    assert support not in site.get("/nowhere", status=404).html.main.get_text()
    assert support not in site.get("/readyz", headers=JSON, status=503)


def test_nobody_is_to_be_told_where_nobody_is_set():
    wsgi_app = make_app("postgresql://nobody@localhost:9/none?connect_timeout=2")
    page = webtest.TestApp(wsgi_app, extra_environ=HOST).get("/readyz", status=503)

    assert "If it goes on" not in page
