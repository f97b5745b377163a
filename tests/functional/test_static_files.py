"""The files of the pages: their addresses, how long they are kept, and how they are compressed."""

import gzip
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import webob
import webtest
from pyramid.config import Configurator

from authapp.repositories import ENGINE
from tests.conftest import app_settings
from tests.functional.conftest import HOST
from tests.functional.support import sign_up

FILES = Path(__file__).parents[2] / "authapp" / "static"
A_YEAR = "public, max-age=31536000, immutable"
AN_HOUR = "public, max-age=3600"
GZIP = {"Accept_Encoding": "gzip, deflate, br"}
CSS = "/static/authapp/site.css"


@pytest.fixture
def make(migrated_url, db, tmp_path) -> Iterator[Callable[..., webtest.TestApp]]:
    """Makes an application in which `overrides` of the folder take the place of our files."""
    made = []

    def make(overrides: dict[str, bytes] | None = None, **settings: str) -> webtest.TestApp:
        config = Configurator(settings=app_settings(migrated_url, **settings))
        config.include("authapp")
        for name, content in (overrides or {}).items():
            path = tmp_path / name
            path.write_bytes(content)
            config.override_asset(f"authapp:static/{name}", str(path))
        made.append(config.make_wsgi_app())
        return webtest.TestApp(made[-1], extra_environ=HOST)

    yield make
    for app in made:
        app.registry[ENGINE].dispose()


def addresses(app: webtest.TestApp) -> dict[str, str]:
    """Of the files that a page asks for, by their names."""
    html = app.get("/sign-in").html
    found = {tag.get("href") or tag.get("src") for tag in html.find_all(["link", "script", "img"])}
    return {urlsplit(address).path.rpartition("/")[2]: address for address in found}


def fetch(app: webtest.TestApp, path: str, method: str = "GET", **headers: str) -> webob.Response:
    """What is sent, undecoded; WebTest would decompress it."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = webob.Request.blank(path, app.extra_environ, method=method, headers=sent)
    return request.get_response(app.app)


# Addresses and caches.


def test_pages_ask_for_files_by_what_they_hold(app):
    found = addresses(app)

    assert set(found) == {"site.css", "site.js", "favicon.svg"}
    for name, address in found.items():
        assert re.fullmatch(rf"/static/authapp/{re.escape(name)}\?v=[0-9a-f]{{16}}", address)
        answer = app.get(address, status=200)
        assert answer.headers.getall("Cache-Control") == [A_YEAR]
        assert answer.body == (FILES / name).read_bytes()


def test_address_without_a_hash_is_kept_for_an_hour_only(app):
    assert app.get(CSS).headers.getall("Cache-Control") == [AN_HOUR]


@pytest.mark.parametrize("hash_asked_for", ["", "0123456789abcdef", "é", "x" * 999])
def test_hash_of_a_version_that_this_process_does_not_have_is_not_kept(app, hash_asked_for):
    """Or a cache would have old content under the new address, for a year."""
    answer = app.get(CSS, params={"v": hash_asked_for}, status=200)

    assert answer.headers.getall("Cache-Control") == ["no-cache"]


def test_error_under_the_address_of_a_file_is_not_kept(app):
    assert app.get("/static/authapp/no.css?v=1", status=404).cache_control.no_store


def test_files_are_what_they_are_for_whoever_is_signed_in(app):
    sign_up(app)

    answer = app.get(CSS)

    assert answer.headers.getall("Set-Cookie") == []
    assert set(answer.vary) == {"Accept-Encoding"}


def test_files_that_an_application_puts_in_place_of_ours_have_addresses_of_their_own(app, make):
    other = make({"site.css": b"body { color: red }" * 20, "favicon.svg": b"<svg/>"})
    ours, theirs = addresses(app), addresses(other)

    assert ours["site.js"] == theirs["site.js"]
    for name in ("site.css", "favicon.svg"):
        assert ours[name] != theirs[name]
        # As a process of the one version, asked by a page of the other.
        assert app.get(theirs[name]).headers["Cache-Control"] == "no-cache"
        assert other.get(ours[name]).headers["Cache-Control"] == "no-cache"
        assert other.get(theirs[name]).headers["Cache-Control"] == A_YEAR
    assert other.get(theirs["site.css"]).text == "body { color: red }" * 20


def test_file_that_changes_is_read_again_in_development(make, tmp_path):
    app = make({"site.css": b"body { color: red }" * 20}, authapp__development="true")
    before = addresses(app)["site.css"]
    assert "red" in app.get(before)
    fetch(app, before, **GZIP)

    edited = tmp_path / "site.css"
    edited.write_bytes(b"body { color: tan }" * 20)
    os.utime(edited, ns=(1, 1))

    after = addresses(app)["site.css"]
    assert after != before
    assert "tan" in app.get(after)
    assert b"tan" in gzip.decompress(fetch(app, after, **GZIP).body)


def test_file_that_changes_under_a_running_server_is_sent_as_it_was(make, tmp_path):
    """As by an installer: under the old address nothing new may get into a cache for a year."""
    app = make(
        {"site.css": b"body { color: red }" * 20},
        authapp__development="false",
        session__secret="zqJ4nT8vWmXc2LkPbYhR6sDfG9aE3uQo5iBxNwVt",
    )
    before = addresses(app)["site.css"]

    (tmp_path / "site.css").write_bytes(b"body { color: tan }")

    assert addresses(app)["site.css"] == before
    assert "red" in app.get(before)


def test_below_a_prefix_files_are_kept_as_well(migrated_url, db):
    config = Configurator(settings=app_settings(migrated_url))
    config.include("authapp", route_prefix="/x")
    wsgi_app = config.make_wsgi_app()
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)

    [css] = [link["href"] for link in app.get("/x/sign-in").html.find_all(rel="stylesheet")]

    assert css.startswith("/x/static/authapp/site.css?v=")
    assert fetch(app, css, **GZIP).headers["Cache-Control"] == A_YEAR
    wsgi_app.registry[ENGINE].dispose()


def test_folders_of_the_application_s_own_are_left_alone(migrated_url, db, tmp_path):
    (tmp_path / "shop.css").write_bytes(b"body { color: red }" * 100)
    config = Configurator(settings=app_settings(migrated_url))
    config.include("authapp")
    config.add_static_view("shop", str(tmp_path), cache_max_age=60)
    config.add_route("where", "/where")
    config.add_view(
        lambda request: request.static_path(str(tmp_path / "shop.css")),
        route_name="where",
        renderer="string",
    )
    wsgi_app = config.make_wsgi_app()
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)

    assert app.get("/where").text == "/shop/shop.css"
    answer = app.get("/shop/shop.css", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Cache-Control"] == "max-age=60"
    assert answer.content_encoding is None
    wsgi_app.registry[ENGINE].dispose()


# Compression.


@pytest.mark.parametrize("name", ["site.css", "site.js"])
def test_files_are_compressed_for_whoever_takes_it(app, name):
    plain = app.get(f"/static/authapp/{name}")
    answer = fetch(app, f"/static/authapp/{name}", **GZIP)

    assert plain.content_encoding is None
    assert answer.content_encoding == "gzip"
    assert gzip.decompress(answer.body) == plain.body == (FILES / name).read_bytes()
    assert answer.content_length == len(answer.body) < plain.content_length * 0.6
    assert answer.content_type == plain.content_type
    # Other bytes, so another tag; and caches keep both.
    assert answer.etag != plain.etag
    assert answer.vary == plain.vary == ("Accept-Encoding",)


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("*", True),
        ("br, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("br", False),
        ("identity", False),
        ("", False),
        (",;=", False),
    ],
)
def test_only_who_says_so_takes_it(app, accepted, is_compressed):
    answer = fetch(app, CSS, Accept_Encoding=accepted)
    assert (answer.content_encoding == "gzip") is is_compressed


def test_what_grows_or_is_compressed_already_is_sent_as_it_is(make):
    app = make({"favicon.svg": b"<svg/>", "photo.png": b"0" * 1000})

    for name in ("favicon.svg", "photo.png"):
        answer = fetch(app, f"/static/authapp/{name}", **GZIP)
        assert answer.content_encoding is None
        assert not answer.vary


def test_what_takes_the_place_of_our_file_is_compressed_and_not_mistaken_for_it(app, make):
    other = make({"site.css": b"body { color: red }" * 100})

    for _ in range(2):
        theirs = gzip.decompress(fetch(other, CSS, **GZIP).body)
        ours = gzip.decompress(fetch(app, CSS, **GZIP).body)
        assert theirs == b"body { color: red }" * 100
        assert ours == (FILES / "site.css").read_bytes()


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
def test_head_says_what_get_would(app, headers):
    got, asked = fetch(app, CSS, **headers), fetch(app, CSS, "HEAD", **headers)

    assert asked.body == b""
    assert {**asked.headers} == {**got.headers}


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
def test_what_has_not_changed_is_not_sent_again(app, headers):
    address = addresses(app)["site.css"]
    got = fetch(app, address, **headers)

    answer = fetch(app, address, **headers, If_None_Match=got.headers["ETag"])

    assert (answer.status_int, answer.body) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy"):
        assert answer.headers[name] == got.headers[name]
    changed = fetch(app, address, **headers, If_None_Match='"another"')
    assert (changed.status_int, changed.body) == (200, got.body)


def test_part_of_a_file_is_one_of_the_file_as_it_is(app):
    whole = app.get(CSS)

    part = fetch(app, CSS, **GZIP, Range="bytes=10-19")
    assert (part.status_int, part.body) == (206, whole.body[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole.body)}"
    assert part.content_encoding is None

    assert fetch(app, CSS, **GZIP, Range="bytes=999999-").status_int == 416
    same = fetch(app, CSS, **GZIP, Range="bytes=0-4", If_Range=whole.headers["ETag"])
    assert (same.status_int, same.body) == (206, whole.body[:5])
    changed = fetch(app, CSS, **GZIP, Range="bytes=0-4", If_Range='"another"')
    assert (changed.status_int, changed.body) == (200, whole.body)


def test_pages_are_not_compressed(app):
    """What is secret, beside what others may have put there, would show in the length (BREACH)."""
    sign_up(app)
    cookie = f"session={app.cookies['session']}"
    assert fetch(app, "/account", Cookie=cookie).status_int == 200

    for path in ("/", "/account", "/sign-in", "/nowhere"):
        assert fetch(app, path, Cookie=cookie, **GZIP).content_encoding is None
