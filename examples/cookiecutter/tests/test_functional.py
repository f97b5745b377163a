"""What a visitor does, before the application as it is."""

import pytest
from sqlalchemy import func, select
from webtest import TestApp

from shop.models import SESSIONS, CartItem


def submit(page, action, **fields):
    """Sends the form of the page that goes to `action`."""
    [form] = [form for form in set(page.forms.values()) if form.action == action]
    for name, value in fields.items():
        form[name] = value
    return form.submit(status="*")


def add(page, product):
    [form] = [form for form in set(page.forms.values()) if form.action == "/cart"]
    return form.submit("product", value=product).follow()


def sign_in(testapp, password="correct horse"):
    return submit(testapp.get("/sign-in"), "/sign-in", name="ada", password=password)


def session_id(page):
    return page.html.find(id="session").get_text()


def sessions(connection):
    return connection.scalar(select(func.count()).select_from(SESSIONS))


def test_visitor_gets_a_form_and_no_row(testapp, connection):
    page = testapp.get("/")
    assert "csrf_token" in page
    assert session_id(page) == "None"
    assert sessions(connection) == 0


def test_cart_is_kept_through_sign_in_under_the_same_id(testapp, user, connection):
    page = add(testapp.get("/"), "bread")
    assert "Added bread" in page
    before, cookie = session_id(page), testapp.cookies["session"]

    page = sign_in(testapp).follow()

    assert "Welcome, ada" in page
    assert page.html.find(attrs={"data-product": "bread"}).get_text() == "1 × bread"
    assert session_id(page) == before
    assert testapp.cookies["session"] != cookie
    row = connection.execute(select(SESSIONS)).one()
    assert (str(row.id), row.user_id) == (before, user.id)


def test_flash_messages_are_shown_once(testapp):
    assert "Added wine" in add(testapp.get("/"), "wine")
    assert "Added wine" not in testapp.get("/")


def test_wrong_password_signs_nobody_in(testapp, user, connection):
    response = sign_in(testapp, password="wrong horse")
    assert response.status_int == 401
    assert "Wrong name or password" in response
    assert sessions(connection) == 0


def test_account_is_for_those_who_are_signed_in(testapp, user):
    assert testapp.get("/account", status=303).location == "http://example.com/sign-in"
    sign_in(testapp)
    assert testapp.get("/account", status=200).text.count("(here)") == 1


def test_sign_out_ends_the_session_with_its_cart(testapp, user, connection):
    add(testapp.get("/"), "cheese")
    home = sign_in(testapp).follow()
    stolen = testapp.cookies["session"]

    submit(home, "/sign-out")

    assert "session" not in testapp.cookies
    assert sessions(connection) == 0
    assert connection.scalar(select(func.count()).select_from(CartItem)) == 0
    thief = TestApp(testapp.app, extra_environ={"HTTP_HOST": "example.com"})
    thief.set_cookie("session", stolen)
    assert "Sign in" in thief.get("/")


def test_tally_counts(testapp):
    home = testapp.get("/")
    assert [submit(home, "/tally").json["tally"] for _ in range(3)] == [1, 2, 3]


def test_what_fails_keeps_nothing(testapp, connection):
    home = testapp.get("/")
    submit(home, "/tally")
    [form] = [form for form in set(home.forms.values()) if form.action == "/cart"]
    testapp.post("/cart", {"csrf_token": form["csrf_token"].value, "product": "gold"}, status=400)
    assert connection.scalar(select(SESSIONS.c.data)) == {"tally": 1}


def test_form_without_its_token_is_refused(testapp, user):
    testapp.post("/sign-in", {"name": "ada", "password": "correct horse"}, status=400)


def test_page_that_does_not_exist(testapp):
    assert "There is no such page" in testapp.get("/nowhere", status=404)


@pytest.mark.parametrize("product", ["bread", "cheese"])
def test_nothing_is_left_of_the_tests_before(testapp, connection, product):
    assert sessions(connection) == 0
    add(testapp.get("/"), product)
