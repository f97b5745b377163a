import pytest

from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    cookies_set,
    count,
    csrf_token,
    fill_in,
    greeting,
    session_cookie,
    sign_in,
    sign_out,
    sign_up,
    the_session,
    ticket_in,
    unchecked,
)

FORMS = {
    "/sign-up": {"name": "Bob", "email": "bob@example.com", "password": PASSWORD},
    "/sign-in": {"email": EMAIL, "password": PASSWORD},
    "/account/profile": {"name": "New"},
    "/account/sessions/revoke-others": {},
    "/sign-out": {},
}
ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:6543.evil.example"},
    {"Origin": "http://localhost:1"},
    {"Origin": "https://localhost:6543"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:6543"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost:6543"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]


@pytest.fixture
def unchanged(app, db):
    """Someone who is signed in, and a check that nothing has happened since."""
    sign_up(app)
    before = the_session(db)
    yield
    assert the_session(db) == before
    assert count(db, "users") == 1
    assert greeting(app) == NAME


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", FORMS)
def test_form_without_its_token_is_refused(app, path):
    answer = app.post(path, FORMS[path], status=400)

    assert "Nothing was changed" in answer
    page = path if path in {"/sign-up", "/sign-in"} else "/account"  # Where one can go back to.
    assert answer.html.find("a", href=page)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "token", ["", "wrong", "\N{SNOWMAN}", "\0", "x" * 43, "x" * 100000, "\x80\xff"]
)
def test_form_with_a_wrong_token_is_refused(app, token):
    for path, fields in FORMS.items():
        unchecked(app).post(path, {**fields, "csrf_token": token}, status=400)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", FORMS)
def test_form_with_the_token_of_another_session_is_refused(app, db, path):
    visitor = csrf_token(another(app).get("/sign-in"))

    app.post(path, {**FORMS[path], "csrf_token": visitor}, status=400)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", FORMS)
def test_token_must_be_text_in_the_body_once(app, path):
    token = csrf_token(app.get("/account"))

    app.post(f"{path}?csrf_token={token}", FORMS[path], status=400)
    upload = [("csrf_token", "token.txt", token.encode())]
    app.post(path, FORMS[path], upload_files=upload, status=400)


def test_token_of_before_signing_in_is_refused_afterwards(app, db):
    sign_up(another(app))
    before = csrf_token(app.get("/sign-in"))
    sign_in(app)

    app.post("/account/profile", {"name": "New", "csrf_token": before}, status=400)

    assert greeting(app) == NAME
    assert csrf_token(app.get("/account")) != before


def test_token_of_before_signing_out_is_refused_afterwards(app, db):
    sign_up(app)
    before = csrf_token(app.get("/account"))
    sign_out(app)

    fields = {"name": NAME, "email": "new@example.com", "password": PASSWORD, "csrf_token": before}
    app.post("/sign-up", fields, status=400)

    assert count(db, "users") == 1


def test_visitor_without_a_cookie_cannot_use_a_token(app, db):
    token = csrf_token(another(app).get("/sign-up"))

    app.post("/sign-up", {**FORMS["/sign-up"], "csrf_token": token}, status=400)

    assert count(db, "users") == 0


def test_token_may_come_in_a_header(app):
    sign_up(app)
    token = csrf_token(app.get("/account"))

    app.post("/account/profile", {"name": "New"}, headers={"X-CSRF-Token": token}, status=303)

    assert greeting(app) == "New"


def test_token_is_the_same_in_all_forms_that_are_open(app):
    first, second = app.get("/sign-in"), app.get("/sign-up")

    assert csrf_token(first) == csrf_token(second)
    assert len(cookies_set(first)) == 1
    assert cookies_set(second) == []


def test_token_gives_the_cookie_away_in_no_way(app):
    page = app.get("/sign-in")

    ticket = ticket_in(session_cookie(page).value)
    assert csrf_token(page) not in session_cookie(page).value
    assert ticket.token.hex() not in page
    assert session_cookie(page).value[1:44] not in page


def test_form_is_sent_again_from_the_page_that_the_refusal_leads_to(app):
    answer = app.post("/sign-up", FORMS["/sign-up"], status=400)

    page = answer.click("Back to the page")

    assert fill_in(page, "/sign-up", **FORMS["/sign-up"]).status_int == 303


def test_refusal_leads_to_the_page_that_the_browser_names(app):
    """The form may be on another one than it is sent to."""
    sign_up(app)
    referrer = "http://localhost:6543/account/sessions"

    answer = app.post("/sign-out", {}, headers={"Referer": referrer}, status=400)
    elsewhere = app.post("/sign-out", {}, headers={"Referer": "http://evil.example/"}, status=400)

    assert path_of_link(answer, "Back to the page") == "/account/sessions"
    assert path_of_link(elsewhere, "Back to the page") == "/account"


def path_of_link(page, words):
    return page.html.main.find("a", string=words)["href"]


def test_refusal_in_json_has_a_code(app):
    answer = app.post("/sign-up", FORMS["/sign-up"], headers=JSON, status=400)

    assert answer.json["error"]["code"] == "bad_csrf_token"


def test_json_needs_no_token(app):
    app.post_json("/sign-up", FORMS["/sign-up"], status=201)
    app.post_json("/account/profile", {"name": "New"}, status=200)

    assert greeting(app) == "New"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "text/plain; application/json",
        "application/jsonx",
        "",
    ],
)
def test_json_that_a_foreign_form_could_send_needs_one(app, content_type):
    body = b'{"name": "New", "email": "bob@example.com", "password": "correct horse battery"}'
    for path in FORMS:
        app.post(path, body, headers={"Content-Type": content_type}, status=400)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("headers", ELSEWHERE)
def test_request_from_another_site_is_refused(app, headers):
    token = csrf_token(app.get("/account"))

    for path, fields in FORMS.items():
        app.post(path, {**fields, "csrf_token": token}, headers=headers, status=400)
        answer = app.post_json(path, fields, headers=headers, status=400)
        assert answer.json["error"]["code"]
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:6543"},
        {"Origin": "http://LOCALHOST:6543"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:6543"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_request_from_this_site_is_let_in(app, headers):
    app.post_json("/sign-up", FORMS["/sign-up"], headers=headers, status=201)


def test_page_may_be_linked_to_from_elsewhere(app):
    for headers in ELSEWHERE:
        app.get("/sign-in", headers=headers, status=200)


def test_no_cors_header_is_ever_sent(app):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        app.options("/sign-in", headers=headers, status="*"),
        app.get("/", headers={**headers, **JSON}),
    ):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_view_of_the_operators_is_guarded_too(lab_app, view, method):
    def change(request):
        return {"changed": True}

    address = view(change).replace("/lab/", "/lab-guarded/")
    lab_app.request(address, method=method, status=400)
    token = csrf_token(lab_app.get("/sign-in"))
    lab_app.request(address, method=method, headers={"X-CSRF-Token": token}, status=200)
