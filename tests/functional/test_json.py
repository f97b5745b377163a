import json

import pytest

from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    count,
    csrf_token,
    sign_up,
    unchecked,
)

POSTS = ["/sign-up", "/sign-in", "/account/profile"]
FIELDS = {"name": NAME, "email": EMAIL, "password": PASSWORD}


@pytest.fixture
def sender(app):
    """Sends a body as JSON, as somebody who may use all addresses."""
    sign_up(app)

    def send(path, body, content_type="application/json", status=400):
        headers = {"Content-Type": content_type}
        return unchecked(app).post(path, body, headers=headers, status=status)

    return send


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b"{'name': 'x'}",
        b'{"name": "x",}',
        b'{"name": "x"} {}',
        b"[]",
        b'["name"]',
        b'"name"',
        b"7",
        b"null",
        b'{"name": "a", "name": "b"}',
        b'{"other": {"x": 1, "x": 1}}',
        b"true",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"name":' * 50_000 + b"1" + b"}" * 50_000,
        b"9" * 5_000,
        b'{"name": ' + b"9" * 5_000 + b"}",
        b" " * 1_000_000,
    ],
    ids=lambda body: f"{body[:12]!r}-{len(body)}",
)
def test_body_that_is_no_json_object_is_a_bad_request(sender, db, body):
    for path in POSTS:
        answer = sender(path, body)
        assert answer.content_type == "application/json"
        assert set(answer.json["error"]) == {"code", "message", "fields"}
    assert count(db, "users") == 1


@pytest.mark.parametrize("value", [7, 1.5, True, False, [], ["Ada"], {}, {"a": 1}, 10**400])
def test_field_must_be_text(sender, value):
    fields = FIELDS | {"name": value, "email": value}

    for path in POSTS:
        errors = sender(path, json.dumps(fields).encode()).json["error"]["fields"]
        assert errors
        assert set(errors) <= {"name", "email"}
        assert all(messages == ["This must be text."] for messages in errors.values())


@pytest.mark.parametrize("value", [None, "", "\0", "\ud800", "a\udfffb", "\x7f", "\u2028"])
def test_text_that_cannot_be_stored_is_refused_beside_its_field(sender, value):
    body = json.dumps({"name": value, "email": value, "password": value}).encode()

    for path in ("/sign-up", "/account/profile"):
        assert "name" in sender(path, body).json["error"]["fields"]
    assert sender("/sign-in", body, status="*").status_int in {400, 401}


def test_fields_that_are_missing_are_required(sender):
    for body in (b"{}", b""):
        errors = sender("/sign-up", body).json["error"]["fields"]
        assert errors == {name: ["This field is required."] for name in FIELDS}


def test_fields_that_nobody_knows_are_ignored(sender):
    fields = FIELDS | {"email": "bob@example.com", "is_admin": True, "": 1, "__class__": "x"}

    sender("/sign-up", json.dumps(fields).encode(), status=201)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json; profile=x",
    ],
)
def test_content_type_may_have_parameters(sender, content_type):
    sender("/account/profile", b'{"name": "New"}', content_type, status=200)


@pytest.mark.parametrize(
    "charset", ["latin-1", "utf-16", "nonsense", "\xff", "", "undefined", "x" * 999]
)
def test_charset_that_is_not_utf_8_is_no_error_of_ours(sender, charset):
    content_type = f"application/json; charset={charset}"

    answer = sender("/account/profile", b'{"name": "New"}', content_type, status="*")

    assert answer.status_int in {200, 400}


@pytest.mark.parametrize(
    "accept",
    [
        "application/json, text/plain, */*",  # What axios sends.
        "application/json, */*;q=0.8",
        "APPLICATION/JSON",
        "application/json;q=0.1",
        "application/json, text/html;q=0.9",
    ],
)
def test_program_may_name_other_types_as_well(app, accept):
    answer = app.get("/account", headers={"Accept": accept}, status=401)

    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    "accept",
    [
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "*/*",
        "",
        "text/html, application/json",
        "application/json;q=0, */*",
        "application/jsonp",
    ],
)
def test_browser_gets_pages(app, accept):
    app.get("/account", headers={"Accept": accept}, status=303)


def test_non_ascii_text_is_kept(sender):
    answer = sender("/account/profile", '{"name": "Zoë \N{SNOWMAN}"}'.encode(), status=200)

    assert answer.json["user"]["name"] == "Zoë \N{SNOWMAN}"


def test_form_may_ask_for_a_json_answer(app):
    fields = FIELDS | {"csrf_token": csrf_token(app.get("/sign-up"))}

    assert app.post("/sign-up", fields | {"email": ""}, headers=JSON, status=400).json["error"]
    assert app.post("/sign-up", fields, headers=JSON, status=201).json["user"]["name"] == NAME


def test_json_body_is_answered_in_json_whatever_accept_says(app):
    answer = app.post_json("/sign-in", FIELDS, headers={"Accept": "text/html"}, status=401)

    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/sign-out", 405, "method_not_allowed"),
        ("GET", "/account", 401, "unauthenticated"),
        ("POST", "/sign-up", 400, "bad_csrf_token"),
    ],
)
def test_every_error_has_a_code_a_message_and_fields(app, method, path, status, code):
    answer = app.request(path, method=method, headers=JSON, status=status)

    assert answer.content_type == "application/json"
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["message"]
    assert answer.json["error"]["fields"] == {}
