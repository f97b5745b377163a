import secrets

import pytest
import webtest

from authapp.repositories import ENGINE
from tests.conftest import make_app
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
    sign_up,
)

HTTPS = {"wsgi.url_scheme": "https"}


@pytest.fixture(scope="module")
def production(migrated_url):
    wsgi_app = make_app(
        migrated_url,
        authapp__development="false",
        session__secret=secrets.token_urlsafe(48),
        site__url="https://accounts.example.com",
    )
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def site(production, db):
    environ = {"HTTP_HOST": "accounts.example.com", **HTTPS}
    return webtest.TestApp(production, extra_environ=environ)


@pytest.mark.parametrize(
    "host",
    [
        "localhost:6543",
        "localhost",
        "LocalHost:7001",
        "127.0.0.1:6543",
        "127.0.0.1",
        "127.8.9.10:1",
        "[::1]:6543",
        "[::1]",
        "app.localhost:6543",
    ],
)
def test_development_answers_for_every_loopback_name_on_any_port(app, host):
    app.get("/", headers={"Host": host}, status=200)


FOREIGN = [
    "evil.example",
    "evil.example:6543",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "10.0.0.1:6543",
    "128.0.0.1",
    "[::2]",
    "[::1",
    "::1",
    "localhost:port",
    "localhost:99999999",
    "localhost:-1",
    "localhost evil.example",
    "evil.example/localhost",
    "localhost@evil.example",
    "evillocalhost",
    "",
    "%6cocalhost",
    "\xff",
    "<script>",
]
# Not another host, but no host either: these would reach the addresses in Location.
ODD = ["localhost:6543/evil", "evil@localhost:6543", "localhost:6543?x", "localhost:6543#x"]


@pytest.mark.parametrize("host", FOREIGN + ODD)
def test_other_hosts_are_refused(app, db, host):
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD}
    environ = {"HTTP_HOST": host}

    page = app.get("/", extra_environ=environ, status=400)
    answer = app.post_json("/sign-up", fields, extra_environ=environ, status=400)

    assert page.html.h1
    assert answer.json["error"]["code"] == "bad_request"
    assert cookies_set(answer) == []
    assert "evil" not in page
    assert count(db, "users") == 0


def test_production_answers_for_its_own_host(site):
    for host in ("accounts.example.com", "ACCOUNTS.example.com", "accounts.example.com:443"):
        site.get("/", headers={"Host": host}, status=200)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:443",
        "127.0.0.1",
        "[::1]",
        "accounts.example.com:8443",
        "accounts.example.com:80",
        "www.accounts.example.com",
        "example.com",
        "accounts.example.com.evil.example",
        "accounts.example.com.",
        "accounts.example.com@evil.example",
        "accounts.example.com/evil",
        "evil@accounts.example.com",
    ],
)
def test_production_answers_for_no_other(site, host):
    site.get("/", headers={"Host": host}, status=400)
    site.get("/account", headers={"Host": host, **JSON}, status=400)


def test_hosts_that_a_proxy_might_name_are_not_believed(site):
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}

    answer = site.get("/account", headers=headers, status=303)

    assert answer.location.startswith("https://accounts.example.com/")


def test_origin_is_compared_with_the_sites_address(site):
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD}
    for origin in (
        "http://accounts.example.com",
        "https://accounts.example.com:8443",
        "https://evil.example",
        "https://localhost:6543",
    ):
        site.post_json("/sign-up", fields, headers={"Origin": origin}, status=400)

    site.post_json(
        "/sign-up", fields, headers={"Origin": "https://accounts.example.com"}, status=201
    )


def test_people_sign_up_and_stay_signed_in_in_production(site):
    assert sign_up(site).location == "https://accounts.example.com/account"
    assert "Hello" in site.get("/", status=200)
    assert "Hello" not in another(site).get("/", status=200)
