"""Whatever is sent, the answer is a page that says so, never an error of the server's."""

import time

import bcrypt
import pytest
import webtest
from sqlalchemy import text

from authapp.repositories import ENGINE
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    call,
    count,
    csrf_token,
    errors_beside,
    sign_up,
    statements_on,
    unchecked,
)

FIELDS = {"name": NAME, "email": "bob@example.com", "password": PASSWORD}
POSTS = ["/sign-up", "/sign-in", "/account/profile", "/sign-out"]


@pytest.fixture
def ada(app):
    """A browser in which somebody is signed in, free to send anything."""
    sign_up(app)
    return unchecked(app)


@pytest.fixture
def token(ada):
    return csrf_token(ada.get("/account"))


def encoded(value):
    return "".join(f"%{byte:02x}" for byte in value)


# Addresses.


@pytest.mark.parametrize(
    "path", [b"/\xff", b"/\xc0\xaf", b"/account/\xed\xa0\x80", b"/static/authapp/\xff", b"/\xc0"]
)
def test_path_that_is_no_utf_8_is_a_bad_request_or_not_found(app, path):
    for method in ("GET", "POST", "HEAD"):
        answer = call(app, path, method)
        assert answer.status_int in {400, 404}, method


@pytest.mark.parametrize(
    "rest",
    ["\0", "../x", "../../etc/passwd", "%2e%2e/", "\\", "\r\n", "x" * 9000, ";", "//", "~", "*"],
)
def test_odd_path_is_not_found(ada, rest):
    for prefix in ("/", "/static/authapp/", "/account/", "/sign-in"):
        answer = ada.get("/", extra_environ={"PATH_INFO": prefix + rest}, status="*")
        assert answer.status_int in {400, 404}, prefix
        assert "root:" not in answer


def test_empty_path_is_the_front_page_or_not_found(ada):
    assert ada.get("/", extra_environ={"PATH_INFO": ""}, status="*").status_int in {200, 404}


@pytest.mark.parametrize(
    "query",
    ["%ff", "next=%ff", "next=%ed%a0%80", "%", "%zz", "=", "&&&", "next", "next=%00", "\xff"],
)
def test_odd_query_is_never_an_error(app, query):
    for path in ("/", "/sign-in", "/sign-up", "/account", "/nowhere", "/healthz"):
        answer = unchecked(app).get(path, extra_environ={"QUERY_STRING": query}, status="*")
        assert answer.status_int in {200, 303, 400, 404}, path


def test_query_of_a_hundred_thousand_fields_is_read(app):
    query = "&".join(f"f{number}=x" for number in range(100_000))

    unchecked(app).get("/sign-in", extra_environ={"QUERY_STRING": query}, status=200)


# Headers.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCEPT", "application/json;q=nonsense"),
        ("ACCEPT", "json"),
        ("ACCEPT", "application/json;" * 1000),
        ("ACCEPT", "\xff"),
        ("ACCEPT_LANGUAGE", "\xff;;;"),
        ("ORIGIN", "\xff"),
        ("ORIGIN", "http://[::1"),
        ("SEC_FETCH_SITE", "\xff"),
        ("USER_AGENT", "\0\xff\x1b[31m\r\n"),
        ("USER_AGENT", ""),
        ("X_FORWARDED_FOR", "x" * 5000),
        ("IF_MODIFIED_SINCE", "nonsense"),
        ("RANGE", "bytes=nonsense"),
        ("AUTHORIZATION", "Basic \xff"),
        ("CONTENT_LANGUAGE", "\xff"),
    ],
)
def test_odd_header_is_never_an_error(app, name, value):
    browser = unchecked(app)
    environ = {f"HTTP_{name}": value}

    for path in ("/", "/account", "/nowhere", "/static/authapp/site.css"):
        assert browser.get(path, extra_environ=environ, status="*").status_int < 500, path
    fields = {**FIELDS, "csrf_token": csrf_token(browser.get("/sign-up"))}
    answer = browser.post("/sign-up", fields, extra_environ=environ, status="*")
    assert answer.status_int in {201, 303, 400}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "X" * 99])
def test_method_that_is_not_offered_changes_nothing(ada, db, method):
    for path in ("/", "/sign-in", "/sign-out", "/account", "/healthz", "/nowhere"):
        answer = ada.request(path, method=method, status="*")
        assert answer.status_int in {400, 404, 405}, path
        assert count(db, "sessions") == 1


# Forms.


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=\xff",
        "multipart/form-data; boundary=" + "b" * 300,
        "multipart/form-data; boundary=x; charset=nonsense",
        "application/x-www-form-urlencoded; charset=nonsense",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=\xff",
        "application/x-www-form-urlencoded; charset=" + "x" * 300,
        "\xff",
        ";",
        "multipart/mixed; boundary=x",
        "text/plain",
        "application/octet-stream",
    ],
)
def test_form_in_no_known_shape_is_refused(ada, db, content_type):
    for path in POSTS:
        for body in (b"", b"name=x", b"--x\r\n\r\n--x--\r\n", b"\xff\0"):
            answer = ada.post(path, body, headers={"Content-Type": content_type}, status="*")
            assert answer.status_int == 400, (path, body)
            assert answer.html.h1
    assert count(db, "sessions") == 1
    assert count(db, "users") == 1


MULTIPART = {
    "no end": b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda',
    "no name": b"--x\r\nContent-Disposition: form-data\r\n\r\nAda\r\n--x--\r\n",
    "no disposition": b"--x\r\n\r\nAda\r\n--x--\r\n",
    "nested": (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n'
        b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y--\r\n--x--\r\n"
    ),
    "charset": (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n'
        b"Content-Type: text/plain; charset=nonsense\r\n\r\nAda\r\n--x--\r\n"
    ),
    "transfer encoding": (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!\r\n--x--\r\n"
    ),
    "length": (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Length: x\r\n\r\n'
        b"Ada\r\n--x--\r\n"
    ),
    "negative length": (
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Length: -5\r\n\r\n'
        b"Ada\r\n--x--\r\n"
    ),
    "not UTF-8": b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--x--\r\n',
    "name not UTF-8": b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nA\r\n--x--\r\n',
    "file": (
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="n"\r\n\r\nAda\r\n--x--\r\n'
    ),
    "long line": b"--x\r\nContent-Disposition: " + b"x" * 100_000 + b"\r\n\r\nA\r\n--x--\r\n",
    "many headers": b"--x\r\n" + b"X: y\r\n" * 5000 + b"\r\nA\r\n--x--\r\n",
}


@pytest.mark.parametrize("body", MULTIPART.values(), ids=MULTIPART)
def test_broken_multipart_is_never_an_error(ada, db, token, body):
    headers = {"Content-Type": "multipart/form-data; boundary=x", "X-CSRF-Token": token}

    for path in POSTS:
        answer = ada.post(path, body, headers=headers, status="*")
        assert answer.status_int in {303, 400}, path

    assert db.execute(text("SELECT name FROM users")).scalars().all() in ([NAME], ["Ada"])


def test_multipart_is_read_as_any_form(app, db):
    fields = {**FIELDS, "csrf_token": csrf_token(app.get("/sign-up"))}

    unchecked(app).post(
        "/sign-up", fields, status=303, content_type="multipart/form-data; boundary=x"
    )


@pytest.mark.parametrize("value", [b"\xff", b"\xed\xa0\x80", b"a\xc0\xafb", b"\xf5\x80\x80\x80"])
def test_field_that_is_no_utf_8_is_refused(ada, db, token, value):
    for path, fields in (
        ("/sign-up", {"name": NAME, "email": "bob@example.com", "password": "pass+phrase"}),
        ("/sign-in", {"email": EMAIL, "password": "pass+phrase"}),
        ("/account/profile", {"name": NAME}),
    ):
        for name in fields:
            sent = {**fields, name: encoded(value * 9), "csrf_token": token}
            body = "&".join(f"{key}={sent[key]}" for key in sent)
            answer = ada.post(path, body, status="*")
            assert answer.status_int == 400, (path, name)

    assert db.execute(text("SELECT name FROM users")).scalars().all() == [NAME]


def test_passwords_that_are_no_utf_8_are_never_alike(app):
    token = csrf_token(app.get("/sign-up"))
    email = "bob%40example.com"
    app.post(
        "/sign-up",
        f"name=Bob&email={email}&password={'%ff' * 8}&csrf_token={token}",
        status="*",
    )

    browser = another(app)
    token = csrf_token(browser.get("/sign-in"))
    body = f"email={email}&password={'%fe' * 8}&csrf_token={token}"
    assert browser.post("/sign-in", body, status="*").status_int in {400, 401}


@pytest.mark.parametrize("value", ["\0", "a\0b", "\x1b[2J", "\u2028", "\x85"])
def test_field_that_no_line_of_text_could_have_is_refused(ada, db, token, value):
    fields = {"name": value, "email": value, "password": value, "csrf_token": token}

    for path in POSTS[:3]:
        answer = ada.post(path, fields, status="*")
        assert answer.status_int in ({400, 401} if path == "/sign-in" else {400})
    assert count(db, "users") == 1


@pytest.mark.parametrize("path", POSTS[:3])
def test_field_that_is_sent_twice_is_refused(ada, db, token, path):
    names = ["name"] if path == "/account/profile" else ["email", "password"]
    for name in names:
        fields = [*FIELDS.items(), ("csrf_token", token), (name, FIELDS[name])]

        answer = ada.post(path, fields, status=400)

        assert errors_beside(answer)[name] == ["This field was sent more than once."]
    assert count(db, "users") == 1


@pytest.mark.parametrize("path", POSTS[:3])
def test_field_that_is_a_file_is_refused(ada, db, token, path):
    files = [(name, "file.txt", b"x") for name in FIELDS]

    answer = ada.post(path, {"csrf_token": token}, upload_files=files, status=400)

    assert "This must be text." in {m for ms in errors_beside(answer).values() for m in ms}
    assert count(db, "users") == 1


def test_form_of_a_hundred_thousand_fields_is_answered_soon(ada, db, token):
    body = "&".join(f"f{number}=x" for number in range(100_000))
    begun = time.monotonic()

    ada.post("/sign-up", f"csrf_token={token}&{body}", status=400)
    ada.post("/sign-up", "&".join(["name=x"] * 100_000), status=400)

    assert time.monotonic() - begun < 15
    assert count(db, "users") == 1


def test_form_of_one_field_with_a_megabyte_is_refused_beside_it(ada, token):
    for name in FIELDS:
        fields = {**FIELDS, name: "x" * 1_000_000, "csrf_token": token}
        answer = ada.post("/sign-up", fields, status=400)
        assert list(errors_beside(answer)) == [name]


# Passwords.


@pytest.fixture(scope="module")
def costly(migrated_url):
    """An application in which a hash takes long enough to be noticed."""
    wsgi_app = make_app(migrated_url, password__bcrypt_rounds="11")
    yield wsgi_app
    wsgi_app.registry[ENGINE].dispose()


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
def test_huge_password_is_refused_without_hashing_it(costly, db, monkeypatch, path):
    browser = unchecked(webtest.TestApp(costly, extra_environ=HOST))
    token = csrf_token(browser.get(path))
    hashed = []

    def spy(function):
        def run(password, *others):
            hashed.append(len(password))
            return function(password, *others)

        return run

    monkeypatch.setattr(bcrypt, "hashpw", spy(bcrypt.hashpw))
    monkeypatch.setattr(bcrypt, "checkpw", spy(bcrypt.checkpw))

    def seconds(password):
        begun = time.monotonic()
        fields = {**FIELDS, "password": password, "csrf_token": token}
        browser.post(path, fields, status={1_000_000: 400}.get(len(password), "*"))
        return time.monotonic() - begun

    huge = min(seconds("p" * 1_000_000) for _ in range(3))
    assert hashed == []
    ordinary = seconds(PASSWORD)
    assert hashed == [len(PASSWORD)]
    assert huge < ordinary * 1.5


def test_what_is_refused_is_refused_before_the_database_is_asked(app, db):
    browser = unchecked(app)
    with statements_on(app.app.registry[ENGINE]) as statements:
        for password in ("p" * 1_000_000, "p\0", "", "\ud800"):
            fields = {"name": NAME, "email": EMAIL, "password": password}
            for path in ("/sign-up", "/sign-in"):
                browser.post_json(path, fields, headers=JSON, status=400)

    assert statements == []
