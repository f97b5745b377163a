from tests.functional.support import JSON, NAME, form_to, sign_up


def test_visitor_is_offered_to_sign_up_and_to_sign_in(app):
    page = app.get("/", status=200)

    links = {a["href"] for a in page.html.find_all("a")}
    assert {"/sign-up", "/sign-in"} <= links
    assert page.content_type == "text/html"
    assert page.charset == "UTF-8"


def test_person_is_greeted_by_name_and_can_sign_out(app):
    sign_up(app)

    page = app.get("/", status=200)

    assert page.html.h1.get_text() == f"Hello, {NAME}"
    assert form_to(page, "/sign-out").method.lower() == "post"


def test_name_is_shown_as_text_whatever_it_contains(app):
    sign_up(app, name="<b onclick=x>&amp;'\"{{7*7}}")

    page = app.get("/")

    assert page.html.h1.get_text() == "Hello, <b onclick=x>&amp;'\"{{7*7}}"
    assert not page.html.find_all("b")


def test_program_is_told_who_is_signed_in(app):
    assert app.get("/", headers=JSON, status=200).json == {"user": None}

    sign_up(app)

    answer = app.get("/", headers=JSON, status=200)
    assert answer.content_type == "application/json"
    assert set(answer.json["user"]) == {"id", "name", "email", "role"}
    assert answer.json["user"]["name"] == NAME


def test_html_is_the_answer_unless_json_is_preferred(app):
    for accept in ("*/*", "text/html", "text/html, application/json;q=0.9", "nonsense", "", "a/b"):
        assert app.get("/", headers={"Accept": accept}).content_type == "text/html", accept
    for accept in ("application/json", "application/json, text/html;q=0.9, */*;q=0.1"):
        assert app.get("/", headers={"Accept": accept}).content_type == "application/json", accept


def test_head_answers_like_get_without_a_body(app):
    for path in ("/", "/sign-in", "/sign-up", "/healthz", "/readyz"):
        response = app.head(path, status=200)
        assert response.body == b"", path
