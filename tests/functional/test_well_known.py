"""What is looked for at addresses that no page links to."""

import pytest
import webtest
from pyramid.config import Configurator

from authapp.repositories import ENGINE
from tests.conftest import app_settings
from tests.functional.conftest import HOST
from tests.functional.support import path_of, sign_up

CHANGE_PASSWORD = "/.well-known/change-password"
NOT_THERE = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"


@pytest.fixture
def below_a_prefix(migrated_url, db):
    config = Configurator(settings=app_settings(migrated_url))
    config.include("authapp", route_prefix="/x")
    wsgi_app = config.make_wsgi_app()
    yield webtest.TestApp(wsgi_app, extra_environ=HOST)
    wsgi_app.registry[ENGINE].dispose()


def test_password_managers_find_where_to_change_the_password(app):
    sign_up(app)

    answer = app.get(CHANGE_PASSWORD, status=303)

    assert path_of(answer) == "/account/password"
    assert answer.follow(status=200).html.find("input", attrs={"name": "new_password"})


def test_who_is_not_signed_in_gets_there_by_way_of_the_sign_in(app):
    answer = app.get(CHANGE_PASSWORD).follow()
    assert path_of(answer) == "/sign-in?next=%2Faccount%2Fpassword"


def test_status_codes_of_this_site_can_be_relied_on(app):
    """Password managers look here first, and do not believe a site that has everything."""
    app.get(NOT_THERE, status=404)


def test_below_a_prefix_it_is_at_the_root_all_the_same(below_a_prefix):
    assert path_of(below_a_prefix.get(CHANGE_PASSWORD, status=303)) == "/x/account/password"
    below_a_prefix.get(f"/x{CHANGE_PASSWORD}", status=404)
    below_a_prefix.get(NOT_THERE, status=404)
    below_a_prefix.get("/x/sign-in", status=200)


def test_icon_is_found_where_no_page_says_where_it_is(app):
    answer = app.get("/favicon.ico", status=302)

    assert path_of(answer).startswith("/static/authapp/favicon.svg?v=")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.follow(status=200).content_type == "image/svg+xml"


def test_icon_of_somebody_else_s_site_is_their_own(below_a_prefix):
    below_a_prefix.get("/favicon.ico", status=404)
    below_a_prefix.get("/x/favicon.ico", status=404)


def test_no_rules_for_robots_are_made_up(app):
    app.get("/robots.txt", status=404)
