"""Which language a page, an answer and a letter are in."""

import pytest
import webtest
from pyramid.config import Configurator
from pyramid.response import Response
from sqlalchemy import text

from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.support import (
    EMAIL,
    JSON,
    PASSWORD,
    another,
    csrf_token,
    fill_in,
    sign_in,
    sign_out,
    sign_up,
)
from tests.mailing import deliver
from tests.unit.test_languages import write_catalogue

GERMAN = {"Accept-Language": "de"}
HEADINGS = {"en": "Sign in", "de": "Anmelden", "es": "Iniciar sesión"}


def choose(app: webtest.TestApp, language: str) -> webtest.TestResponse:
    return fill_in(app.get("/account"), "/account/language", language=language)


def read_by(app: webtest.TestApp, header: str) -> webtest.TestApp:
    """The same browser, with that preference."""
    app.extra_environ["HTTP_ACCEPT_LANGUAGE"] = header
    return app


def language_of(response: webtest.TestResponse) -> str:
    assert response.html.html["lang"] == response.headers["Content-Language"]
    return str(response.headers["Content-Language"])


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("es", "es"),
        ("de-AT", "de"),
        ("ES-mx, en;q=0.5", "es"),
        ("fr, de;q=0.8, en;q=0.5", "de"),
        ("en;q=0.5, de;q=0.8", "de"),
        ("de;q=0, es", "es"),
        ("fr", "en"),
        ("*", "en"),
        ("fr, *;q=0.1", "en"),
        ("not a header;;;", "en"),
        ("\xff\x00de", "en"),
        ("de," * 2000, "en"),
    ],
)
def test_page_is_in_the_language_that_the_browser_prefers(app, header, language):
    if header is not None:
        app.extra_environ["HTTP_ACCEPT_LANGUAGE"] = header

    page = app.get("/sign-in", status=200)

    assert language_of(page) == language
    assert page.html.h1.get_text() == HEADINGS[language]
    assert "Accept-Language" in page.headers["Vary"]


@pytest.mark.parametrize("path", ["/", "/sign-up", "/forgot-password", "/nowhere"])
def test_every_page_says_its_language_to_readers_and_caches(app, path):
    page = app.get(path, headers=GERMAN, status="*")

    assert language_of(page) == "de"
    assert page.html.html["dir"] == "ltr"
    assert "Accept-Language" in page.headers["Vary"]


def test_errors_are_in_the_language_too(app):
    answer = app.post_json(
        "/sign-in", {"email": EMAIL, "password": PASSWORD}, headers=GERMAN, status=401
    )

    assert answer.json["error"]["code"] == "invalid_credentials"
    assert answer.json["error"]["message"] == "Ungültige E-Mail-Adresse oder ungültiges Passwort"
    assert answer.headers["Content-Language"] == "de"
    fields = app.post_json("/sign-up", {}, headers=GERMAN, status=400).json["error"]["fields"]
    assert fields["name"] == ["Dieses Feld muss ausgefüllt werden."]


def test_answer_without_words_does_not_depend_on_the_language(app):
    sign_up(app)

    for path in ("/account", "/healthz"):
        answer = app.get(path, headers={**JSON, **GERMAN})
        assert "Content-Language" not in answer.headers
        assert "Accept-Language" not in answer.headers.get("Vary", "")


def test_what_a_person_has_chosen_goes_before_what_the_browser_prefers(app):
    read_by(app, "de")
    sign_up(app)
    assert language_of(app.get("/account")) == "de"

    done = choose(app, "es").follow(status=200)

    assert language_of(done) == "es"
    assert done.html.find(class_="message-success").get_text() == "Se ha cambiado el idioma."
    for path in ("/", "/account/password", "/nowhere", "/account/sessions"):
        assert language_of(app.get(path, status="*")) == "es"
    assert language_of(app.post("/account/password", status=400)) == "es"
    sign_out(app)
    assert language_of(app.get("/sign-in")) == "de"
    sign_in(another(app))
    browser = another(app)
    sign_in(browser)
    assert language_of(browser.get("/account")) == "es"


def test_a_person_may_leave_it_to_the_browser_again(app, db):
    sign_up(app)
    choose(app, "es")

    page = choose(read_by(app, "de"), "auto").follow()

    assert language_of(page) == "de"
    assert page.html.find(class_="message-success").get_text() == "Die Sprache wurde geändert."
    assert db.execute(text("SELECT language FROM users")).scalar_one() is None


def test_languages_are_offered_by_their_own_names(app):
    sign_up(app)

    select = app.get("/account").html.find("select", {"name": "language"})

    offered = {option["value"]: option for option in select.find_all("option")}
    names = {tag: option.get_text(strip=True) for tag, option in offered.items()}
    assert names == {
        "auto": "As the browser asks for",
        "en": "English",
        "de": "Deutsch",
        "es": "Español",
    }
    assert {tag: option.get("lang") for tag, option in offered.items()} == {
        "auto": None,
        "en": "en",
        "de": "de",
        "es": "es",
    }
    assert [tag for tag, option in offered.items() if option.has_attr("selected")] == ["auto"]


@pytest.mark.parametrize("chosen", ["fr", "xx", "de-AT", "DE", "<b>", "d" * 10_000])
def test_a_language_that_is_not_offered_is_refused(app, db, chosen):
    sign_up(app)

    token = csrf_token(app.get("/account"))
    page = app.post("/account/language", {"language": chosen, "csrf_token": token}, status=400)
    answer = app.post_json("/account/language", {"language": chosen}, status=400)

    assert page.html.find(id="language-error").get_text(strip=True) == (
        "Choose one of those that are offered."
    )
    assert answer.json["error"]["fields"] == {"language": ["Choose one of those that are offered."]}
    assert db.execute(text("SELECT language FROM users")).scalar_one() is None


def test_programs_choose_as_well(app, db):
    sign_up(app)

    assert app.post_json("/account/language", {"language": "de"}).json == {"language": "de"}
    assert db.execute(text("SELECT language FROM users")).scalar_one() == "de"
    assert app.post_json("/account/language", {"language": "auto"}).json == {"language": "auto"}
    assert db.execute(text("SELECT language FROM users")).scalar_one() is None


@pytest.mark.parametrize("sent", [{}, {"language": None}, {"language": ""}])
def test_a_choice_has_to_be_made(app, sent):
    sign_up(app)

    answer = app.post_json("/account/language", sent, status=400)

    assert answer.json["error"]["fields"] == {"language": ["This field is required."]}


def test_letters_are_in_the_language_that_their_reader_has_signed_up_in(app):
    read_by(app, "es-ES")
    sign_up(app)
    stranger = read_by(another(app), "de")

    sign_in(stranger)
    fill_in(stranger.get("/forgot-password"), "/forgot-password", email=EMAIL)

    letters = deliver(app)
    assert len(letters) == 3
    assert all('<html lang="es"' in letter.html for letter in letters)


def test_letters_are_in_the_language_that_their_reader_has_chosen(app):
    sign_up(app)
    choose(app, "es")
    deliver(app)
    visitor = read_by(another(app), "de")

    fill_in(visitor.get("/forgot-password"), "/forgot-password", email=EMAIL)

    [letter] = deliver(app)
    assert '<html lang="es"' in letter.html


@pytest.mark.parametrize("chosen", ["fr", "DE", "de_DE", ""])
def test_a_choice_that_is_not_offered_any_more_is_none(app, db, chosen):
    sign_up(app)
    db.execute(text("UPDATE users SET language = :chosen"), {"chosen": chosen})

    assert language_of(app.get("/account", headers=GERMAN)) == "de"
    assert language_of(app.get("/account")) == "en"


def test_an_error_is_no_use_of_the_session_and_what_is_refused_asks_for_none(app, db):
    sign_up(app)
    choose(app, "es")
    aged = "UPDATE sessions SET last_seen_at = now() - interval '1 day'"
    seen = "SELECT last_seen_at < now() - interval '23 hours' FROM sessions"
    db.execute(text(aged))

    assert language_of(app.get("/nowhere", status=404)) == "es"
    from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert language_of(app.post("/account", headers=from_elsewhere, status=400)) == "en"

    assert db.execute(text(seen)).scalar_one() is True


def test_page_that_says_that_the_database_is_away_is_in_the_visitors_language(wired_app, wire):
    sign_up(wired_app)
    choose(wired_app, "es")
    wire.cut()
    try:
        page = wired_app.get("/account", headers=GERMAN, status=503)
    finally:
        wire.mend()

    assert language_of(page) == "de"


def test_site_may_speak_other_languages_and_use_other_words(migrated_url, db, tmp_path):
    words = {"Sign in": "Entrar"}
    write_catalogue(tmp_path, "pt-BR", words)
    write_catalogue(tmp_path, "de", {"Sign in": "Herein"})
    site = make_app(migrated_url, language__offered="pt-BR de", language__catalogues=str(tmp_path))
    app = webtest.TestApp(site, extra_environ=HOST)

    assert app.get("/sign-in").html.h1.get_text() == "Entrar"
    german = app.get("/sign-in", headers=GERMAN)
    assert german.html.h1.get_text() == "Herein"
    assert language_of(app.get("/sign-in", headers={"Accept-Language": "en"})) == "pt-BR"


# Beside an application's own templates and words.


def with_words_of_its_own(config: Configurator) -> None:
    """An application in whose templates gettext is there already, for a domain of its own."""
    config.add_translation_dirs(config.registry.settings["bistro.locale"])
    config.add_route("menu", "/menu")
    config.add_view(
        lambda request: {"soup": "<b>"}, route_name="menu", renderer="bistro_words:menu.jinja2"
    )


@pytest.fixture
def make_bistro(migrated_url, db, tmp_path, monkeypatch):
    """Makes one, with these settings of Jinja's."""
    write_catalogue(tmp_path / "locale", "de", {"Soup: %(soup)s": "Suppe: %(soup)s"})
    compiled = tmp_path / "locale" / "de" / "LC_MESSAGES" / "authapp.mo"
    compiled.rename(compiled.with_name("bistro.mo"))
    package = tmp_path / "bistro_words"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "menu.jinja2").write_text(
        "{% extends 'authapp:templates/layout.jinja2' %}{% block content %}"
        "<h1>{% trans soup=soup %}Soup: {{ soup }}{% endtrans %}</h1>{% endblock %}"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def make(**settings):
        site = make_app(
            migrated_url,
            pyramid__includes=f"{__name__}.with_words_of_its_own",
            bistro__locale=str(tmp_path / "locale"),
            **settings,
        )
        return webtest.TestApp(site, extra_environ=HOST)

    return make


@pytest.mark.parametrize("newstyle", ["false", "true"])
def test_templates_of_the_applications_own_keep_their_words(make_bistro, newstyle):
    app = make_bistro(jinja2__i18n__domain="bistro", jinja2__newstyle=newstyle)

    german = app.get("/menu", headers=GERMAN)

    assert german.html.h1.get_text() == "Suppe: <b>"
    assert german.html.nav.a.get_text() == "Anmelden"
    assert app.get("/menu").html.h1.get_text() == "Soup: <b>"


@pytest.mark.parametrize("newstyle", ["false", "true"])
@pytest.mark.parametrize("header", ["en", "de"])
def test_our_pages_are_the_same_beside_them(make_bistro, app, newstyle, header):
    site = make_bistro(jinja2__i18n__domain="bistro", jinja2__newstyle=newstyle)
    language = {"Accept-Language": header}
    sign_up(site)
    sign_in(app)

    for path in ("/", "/sign-up", "/forgot-password", "/nowhere"):
        ours, beside = (
            another(browser).get(path, headers=language, status="*").html for browser in (app, site)
        )
        assert beside.main.get_text() == ours.main.get_text()
    for path in ("/account", "/account/password", "/account/sessions", "/account/activity"):
        ours, beside = (browser.get(path, headers=language).html for browser in (app, site))
        assert beside.h1 == ours.h1
        assert "&lt;" not in str(beside.main)


def test_negotiator_of_the_applications_own_is_kept(migrated_url, db):
    site = make_app(migrated_url, pyramid__includes=f"{__name__}.with_a_negotiator")
    app = webtest.TestApp(site, extra_environ=HOST)

    assert app.get("/locale", headers=GERMAN).text == "fr"
    assert language_of(app.get("/sign-in", headers=GERMAN)) == "de"


def with_a_negotiator(config: Configurator) -> None:
    config.set_locale_negotiator(lambda request: "fr")
    config.add_route("locale", "/locale")
    config.add_view(lambda request: Response(request.locale_name), route_name="locale")


def test_otherwise_it_follows_our_choice(migrated_url, db):
    site = make_app(migrated_url, pyramid__includes=f"{__name__}.with_a_view")
    app = webtest.TestApp(site, extra_environ=HOST)

    answer = app.get("/locale", headers=GERMAN)

    assert answer.text == "de"
    assert answer.headers["Content-Language"] == "fr"  # As the view has said.


def with_a_view(config: Configurator) -> None:
    config.add_route("locale", "/locale")
    config.add_view(
        lambda request: Response(request.locale_name, content_language="fr"), route_name="locale"
    )


def test_a_language_is_understood_by_who_asks_for_another_region(migrated_url, db, tmp_path):
    write_catalogue(tmp_path, "pt-BR", {"Sign in": "Entrar"})
    site = make_app(migrated_url, language__offered="en pt-BR", language__catalogues=str(tmp_path))
    app = webtest.TestApp(site, extra_environ=HOST)

    for header in ("pt-BR", "pt", "pt-PT", "pt-PT, en;q=0.8"):
        assert language_of(app.get("/sign-in", headers={"Accept-Language": header})) == "pt-BR"
    assert language_of(app.get("/sign-in", headers={"Accept-Language": "ptx"})) == "en"
