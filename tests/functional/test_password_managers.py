"""What password managers and phones read in every form."""

from datetime import timedelta

import pytest

from authapp.domain.tokens import Purpose
from tests.functional.second_factor import turn_on
from tests.functional.support import EMAIL, another, id_of, sign_up, token_for

# What each input that a person fills in is to hold, by the page and the name of the input.
VISITOR = {
    "/sign-up": {"name": "name", "email": "username", "password": "new-password"},
    "/sign-in": {"email": "username", "password": "current-password"},
    "/forgot-password": {"email": "username"},
}
MEMBER = {
    "/account": {"name": "name"},
    "/account/password": {
        "current_password": "current-password",
        "new_password": "new-password",
    },
    "/account/email": {"email": "email", "current_password": "current-password"},
    "/account/delete": {"current_password": "current-password"},
    "/account/confirm": {"current_password": "current-password"},
}
WITH_SECOND_FACTOR = {
    "/account/two-factor/disable": {
        "current_password": "current-password",
        "code": "one-time-code",
    },
    "/account/two-factor/recovery-codes": {
        "current_password": "current-password",
        "code": "one-time-code",
    },
}
TYPED = {"text", "email", "password", "tel"}


def tokens(page):
    """The `autocomplete` of each input that is shown, by its name."""
    return {field["name"]: field.get("autocomplete") for field in shown_inputs(page)}


def shown_inputs(page):
    inputs = page.html.main.find_all("input", attrs={"type": list(TYPED)})
    return [field for field in inputs if not field.has_attr("hidden")]


def check_whose_password_it_is(page):
    """Each form with a password says so, in the field that is typed into or in one that is there
    for password managers alone: it is not shown, not read out, and not changed."""
    for form in page.html.main.find_all("form"):
        if not form.find("input", type="password"):
            continue
        [username] = form.find_all("input", autocomplete="username")
        if not username.has_attr("hidden"):
            continue
        # Chromium asks for a field of text that is hidden, rather than for type="hidden".
        assert username["type"] == "text"
        assert username["value"] == EMAIL
        assert username.has_attr("readonly")
        names = [field.get("name") for field in form.find_all("input")]
        passwords = [field["name"] for field in form.find_all("input", type="password")]
        assert names.index(username["name"]) < names.index(passwords[0])


@pytest.mark.parametrize("path", VISITOR)
def test_forms_of_visitors(app, path):
    page = app.get(path)

    assert tokens(page) == VISITOR[path]
    check_whose_password_it_is(page)


@pytest.mark.parametrize("path", MEMBER)
def test_forms_of_members(app, path):
    sign_up(app)

    page = app.get(path)

    assert tokens(page) == MEMBER[path]
    check_whose_password_it_is(page)


@pytest.mark.parametrize("path", WITH_SECOND_FACTOR)
def test_forms_of_members_with_a_second_factor(app, path):
    sign_up(app)
    turn_on(app)

    page = app.get(path)

    assert tokens(page) == WITH_SECOND_FACTOR[path]
    check_whose_password_it_is(page)


def test_form_for_a_forgotten_password(app, db):
    sign_up(app)
    token = token_for(db, id_of(db), Purpose.RESET_PASSWORD, lifetime=timedelta(hours=1))

    page = another(app).get(f"/reset-password/{token}")

    assert tokens(page) == {"new_password": "new-password"}
    check_whose_password_it_is(page)


@pytest.mark.parametrize("path", ["/sign-up", "/sign-in", "/forgot-password"])
def test_address_brings_up_the_keyboard_for_addresses(app, path):
    assert app.get(path).html.find("input", id="email")["type"] == "email"


@pytest.mark.parametrize("path", ["/sign-up", "/sign-in"])
def test_nothing_stands_in_the_way_of_pasting(app, path):
    for field in shown_inputs(app.get(path)):
        assert not {"onpaste", "maxlength", "pattern"} & set(field.attrs), field["name"]
