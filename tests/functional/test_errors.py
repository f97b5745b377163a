import logging

import pytest
from pyramid.httpexceptions import (
    HTTPForbidden,
    HTTPInternalServerError,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPServiceUnavailable,
    HTTPTooManyRequests,
    HTTPUnauthorized,
)

from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    cookies_set,
    csrf_token,
    sign_in,
    sign_up,
)

SECURITY_HEADERS = [
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
]


def boom(request):
    raise RuntimeError("the innards of the application")


# Pages.


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/sign-out", 405), ("POST", "/sign-up", 400)],
)
def test_error_has_a_page_of_its_own(app, method, path, status):
    page = app.request(path, method=method, status=status)

    assert page.content_type == "text/html"
    assert page.charset == "UTF-8"
    assert f"Error {status}" in page.html.main.get_text()
    assert page.html.h1.get_text()
    assert page.html.main.find("a", href="/")
    assert page.headers["Cache-Control"] == "no-store"


def test_unknown_address_is_not_found_for_everyone(app):
    app.get("/nowhere", status=404)
    sign_up(app)

    for path in (
        "/nowhere",
        "/account/",
        "/sign-in/",
        "/ACCOUNT",
        "/account/x",
        "/static/authapp/x",
    ):
        app.get(path, status=404)
        app.post_json(path, {}, status=404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", {"GET", "HEAD"}),
        ("/sign-up", {"GET", "HEAD", "POST"}),
        ("/sign-in", {"GET", "HEAD", "POST"}),
        ("/sign-out", {"POST"}),
        ("/account", {"GET", "HEAD"}),
        ("/account/profile", {"POST"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/readyz", {"GET", "HEAD"}),
    ],
)
def test_method_that_is_not_offered_is_told_which_are(app, path, allowed):
    answers = [
        app.request(path, method=method, headers=JSON, status=405)
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed
    ]

    for answer in answers:
        assert {m.strip() for m in answer.headers["Allow"].split(",")} == allowed
        assert answer.json["error"]["code"] == "method_not_allowed"


def test_error_of_the_applications_shows_nothing_of_itself_and_is_logged(lab_app, view, caplog):
    page = lab_app.get(view(boom), status=500)
    answer = lab_app.get(view(boom), headers=JSON, status=500)

    for body in (page.text, answer.text):
        for word in ("innards", "RuntimeError", "Traceback", "boom", ".py"):
            assert word not in body
    assert answer.json["error"]["code"] == "internal_error"
    records = [r for r in caplog.records if r.exc_info and "innards" in str(r.exc_info[1])]
    assert len(records) == 2
    assert {r.levelno for r in records} == {logging.ERROR}
    assert "Traceback" in caplog.text


# What a view may say besides the body, and what is about the body that the page replaces.
KEPT = {
    "Retry-After": "90",
    "Allow": "GET, HEAD",
    "WWW-Authenticate": 'Bearer realm="notes"',
    "Link": '<https://example.com/terms>; rel="terms"',
}
REPLACED = {
    "Content-Type": "text/x-innards",
    "Content-Language": "tlh",
    "Content-Disposition": "attachment",
    "ETag": '"innards"',
    "Cache-Control": "public, max-age=60",
    "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
}


@pytest.mark.parametrize("asked", [{}, JSON], ids=["page", "json"])
@pytest.mark.parametrize(
    "error",
    [
        HTTPUnauthorized,
        HTTPForbidden,
        HTTPNotFound,
        HTTPMethodNotAllowed,
        HTTPTooManyRequests,
        HTTPInternalServerError,
        HTTPServiceUnavailable,
    ],
)
def test_error_that_a_view_raises_keeps_its_headers(lab_app, view, error, asked):
    def refuse(request):
        raise error(headers=[*KEPT.items(), *REPLACED.items(), ("Set-Cookie", "seen=1")])

    sign_up(lab_app)
    answer = lab_app.get(view(refuse), headers=asked, status=error.code)

    assert {name: answer.headers.getall(name) for name in KEPT} == {
        name: [value] for name, value in KEPT.items()
    }
    assert [cookie.key for cookie in cookies_set(answer)] == ["seen"]
    assert not [name for name, value in REPLACED.items() if answer.headers.get(name) == value]
    assert answer.headers.getall("Cache-Control") == ["no-store"]
    assert answer.content_type in {"text/html", "application/json"}
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("GET", "/sign-out"), ("PUT", "/")])
def test_wrong_method_is_not_told_about_forms(app, method, path):
    """Only some addresses take forms, and only some requests that are refused were none."""
    page = app.request(path, method=method, status=405)
    answer = app.request(path, method=method, headers=JSON, status=405)

    for words in (page.html.main.get_text(), answer.json["error"]["message"]):
        assert "form" not in words.lower()
        assert "such a request" in words


def test_application_goes_on_after_an_error(lab_app, view):
    sign_up(lab_app)

    lab_app.get(view(boom), status=500)

    assert NAME in lab_app.get("/", status=200)


def test_error_page_needs_no_session(lab_app, view):
    sign_up(lab_app)

    page = lab_app.get(view(boom), status=500)

    assert cookies_set(page) == []
    assert not page.html.find("form")


def test_path_is_shown_as_text_if_at_all(app):
    page = app.get("/%3Cscript%3Ealert(1)%3C/script%3E", status=404)

    assert not page.html.find_all("script")


# Headers that every response has.


@pytest.fixture
def responses(lab_app, view):
    """One of each kind, by name."""
    token = csrf_token(lab_app.get("/sign-up"))
    fields = {"name": NAME, "email": EMAIL, "password": PASSWORD, "csrf_token": token}
    return {
        "200": lab_app.get("/", status=200),
        "form": lab_app.get("/sign-in", status=200),
        "json": lab_app.get("/", headers=JSON, status=200),
        "static": lab_app.get("/static/authapp/site.css", status=200),
        "no static": lab_app.get("/static/authapp/nothing", status=404),
        "400": lab_app.post("/sign-up", {}, status=400),
        "refused form": lab_app.post("/sign-up", {**fields, "name": ""}, status=400),
        "host": lab_app.get("/", headers={"Host": "evil.example"}, status=400),
        "401": lab_app.post("/sign-in", fields, status=401),
        "401 json": lab_app.get("/account", headers=JSON, status=401),
        "303": lab_app.post("/sign-up", fields, status=303),
        "403": lab_app.get("/lab-admin", status=403),
        "404": lab_app.get("/nowhere", status=404),
        "405": lab_app.get("/sign-out", status=405),
        "500": lab_app.get(view(boom), status=500),
        "204": lab_app.post_json("/sign-out", {}, status=204),
        "health": lab_app.get("/healthz", status=200),
    }


def test_every_response_has_the_security_headers(responses):
    for kind, response in responses.items():
        for name in SECURITY_HEADERS:
            assert len(response.headers.getall(name)) == 1, (kind, name)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        for directive in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert directive in policy, kind
        assert "unsafe" not in policy
        # Or Lighthouse takes a robots.txt that is not there for one that is broken.
        assert "connect-src 'self'" in policy
        assert "Strict-Transport-Security" not in response.headers, kind


def test_every_response_over_https_has_hsts_too(app):
    for path in ("/", "/nowhere", "/account", "/static/authapp/site.css", "/sign-out"):
        answer = app.get(path, extra_environ={"wsgi.url_scheme": "https"}, status="*")
        value = answer.headers["Strict-Transport-Security"]
        assert int(value.partition("max-age=")[2].partition(";")[0]) >= 365 * 24 * 60 * 60, path
        assert "includeSubDomains" in value


def test_every_response_with_text_says_its_charset(responses):
    for kind, response in responses.items():
        if response.headers.get("Content-Type", "").startswith("text/"):
            assert response.charset == "UTF-8", kind
        elif response.body:
            assert response.content_type == "application/json", kind


def test_pages_run_no_scripts_and_styles_of_their_own(responses):
    for kind in ("200", "form", "refused form", "401", "404", "500"):
        html = responses[kind].html
        assert not [s for s in html.find_all("script") if not s.get("src")], kind
        assert not html.find_all("style"), kind
        assert not html.find_all(style=True), kind
        assert not [n for tag in html.find_all() for n in tag.attrs if n.startswith("on")], kind


def test_nothing_personal_may_be_cached(app):
    sign_up(app)

    for path in ("/", "/account", "/sign-in", "/sign-up"):
        for headers in ({}, JSON):
            answer = app.get(path, headers=headers)
            assert answer.headers["Cache-Control"] == "no-store", path
            assert "Cookie" in answer.vary, path


def test_pages_for_visitors_may_not_be_cached_either(app):
    for answer in (
        app.get("/"),
        app.get("/", headers=JSON),
        app.get("/sign-in"),
        app.get("/sign-up"),
        app.get("/account"),
        sign_in(app, email=EMAIL),
        sign_up(app),
        app.post_json("/sign-out", {}),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.vary


def test_static_files_may_be_cached_and_set_no_cookie(app):
    sign_up(app)

    answer = app.get("/static/authapp/site.css", status=200)

    assert "max-age=3600" in answer.headers["Cache-Control"]
    assert cookies_set(answer) == []
    assert "Cookie" not in answer.vary


def test_view_may_set_headers_of_its_own(lab_app, view):
    def public(request):
        request.response.cache_control = "public"
        request.response.vary = ("Accept-Language",)
        request.response.headers["Content-Security-Policy"] = "default-src 'self'"
        request.response.text = str(dict(request.session))
        return request.response

    answer = lab_app.get(view(public))

    assert answer.headers["Cache-Control"] == "public"
    assert set(answer.vary) == {"Accept-Language", "Cookie"}
    assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
