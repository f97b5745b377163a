import authapp
from authapp.settings import Settings
from tests.conftest import app_settings


def test_what_a_variable_holds_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("AUTHAPP_TEST_NAME", "A site ${that} has ${signs:-in} its name")
    settings = app_settings("postgresql://localhost/nowhere", site__name="${AUTHAPP_TEST_NAME}")

    app = authapp.main({}, **settings)

    assert app.registry[Settings].site.name == "A site ${that} has ${signs:-in} its name"


def test_variables_of_the_command_line_are_known():
    settings = app_settings("postgresql://localhost/nowhere", site__name="${chosen_name}")

    app = authapp.main({"chosen_name": "A name"}, **settings)

    assert app.registry[Settings].site.name == "A name"
