import random
from collections.abc import Callable
from typing import Any

import pytest
import webtest
from sqlalchemy import text

from authapp.repositories import ENGINE
from authapp.sessions.cookie import Ticket, TicketSigner
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.support import (
    JSON,
    NAME,
    SECRET,
    another,
    cookies_set,
    count,
    greeting,
    is_cleared,
    session_cookie,
    sign_in,
    sign_out,
    sign_up,
    signed,
    statements_on,
    the_session,
    ticket_in,
    unchecked,
    with_cookie,
)

HTTPS = {"wsgi.url_scheme": "https"}


@pytest.fixture
def configured(migrated_url, db):
    """Makes browsers before applications with other settings."""
    made = []

    def make(**settings: str) -> webtest.TestApp:
        made.append(make_app(migrated_url, **settings))
        return webtest.TestApp(made[-1], extra_environ=HOST)

    yield make
    for wsgi_app in made:
        wsgi_app.registry[ENGINE].dispose()


Configured = Callable[..., Any]

# Flags.


def test_cookie_over_http(app):
    for cookie in (session_cookie(app.get("/sign-in")), session_cookie(sign_up(app))):
        assert cookie.key == "session"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "Lax"
        assert cookie["secure"] == ""


def test_cookie_over_https(app):
    app = another(app, **HTTPS)

    for answer in (app.get("/sign-in"), sign_up(app), sign_out(app)):
        cookie = session_cookie(answer)
        assert cookie.key == "__Host-session"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "Lax"
        assert cookie["secure"] is True


def test_visitors_cookie_ends_with_the_browser(app):
    cookie = session_cookie(app.get("/sign-in"))

    assert cookie["max-age"] == ""
    assert cookie["expires"] == ""


def test_cookie_fits_into_a_browser(app):
    cookie = session_cookie(sign_up(app))

    assert len(cookie.key + cookie.value) < 200


def test_cookie_is_not_sent_again_with_every_page(app):
    sign_up(app)

    for path in ("/", "/account", "/healthz", "/nowhere"):
        assert cookies_set(app.get(path, status="*")) == [], path


def test_front_page_gives_visitors_no_cookie(app):
    for path in ("/", "/healthz", "/readyz", "/nowhere", "/account", "/static/authapp/site.css"):
        assert cookies_set(app.get(path, status="*")) == [], path


@pytest.mark.parametrize(
    ("settings", "https", "expected"),
    [
        ({"session__cookie_secure": "true"}, False, ("__Host-session", True)),
        ({"session__cookie_secure": "false"}, True, ("session", "")),
        ({"session__cookie_name": "sid"}, True, ("sid", True)),
        ({"session__cookie_name": "sid"}, False, ("sid", "")),
        ({"session__cookie_domain": "localhost"}, True, ("session", True)),
    ],
)
def test_name_and_secure_are_settings(configured: Configured, settings, https, expected):
    app = configured(**settings)

    cookie = session_cookie(app.get("/sign-in", extra_environ=HTTPS if https else {}))

    assert (cookie.key, cookie["secure"]) == expected


def test_path_domain_and_samesite_are_settings_and_hold_for_clearing_too(configured: Configured):
    app = configured(
        session__cookie_path="/app",
        session__cookie_domain="example.com",
        session__cookie_samesite="Strict",
    )
    fields = {"name": NAME, "email": "ada@example.com", "password": "correct horse battery"}

    cookie = session_cookie(app.post_json("/sign-up", fields))
    headers = with_cookie(cookie.value)
    cleared = session_cookie(app.post_json("/sign-out", {}, headers=headers))

    assert is_cleared(cleared)
    for each in (cookie, cleared):
        assert each["path"] == "/app"
        assert each["domain"] == "example.com"
        assert each["samesite"] == "Strict"


def test_lifetime_is_a_setting(configured: Configured, db):
    app = configured(session__lifetime="2h", session__idle_timeout="1h")

    assert session_cookie(sign_up(app))["max-age"] == "7200"
    row = the_session(db)
    assert (row.expires_at - row.created_at).total_seconds() == 7200


def test_old_secret_still_verifies_and_the_new_one_signs(configured: Configured, app):
    new = "another secret, which the tests know as well"
    cookie = session_cookie(sign_up(app)).value

    rotated = configured(session__secret=f"{new}\n{SECRET}")
    assert rotated.get("/", headers={**JSON, **with_cookie(cookie)}).json["user"]
    fresh = session_cookie(sign_in(rotated)).value
    assert TicketSigner([new]).loads(fresh)
    assert TicketSigner([SECRET]).loads(fresh) is None

    replaced = configured(session__secret=new)
    assert replaced.get("/", headers={**JSON, **with_cookie(cookie)}).json == {"user": None}
    assert replaced.get("/", headers={**JSON, **with_cookie(fresh)}).json["user"]


# Deadlines.


def test_session_that_was_not_used_for_too_long_has_ended(app, db):
    sign_up(app)
    db.execute(text("UPDATE sessions SET last_seen_at = now() - interval '13 days 23 hours'"))
    assert greeting(app) == NAME

    db.execute(text("UPDATE sessions SET last_seen_at = now() - interval '14 days 1 second'"))
    answer = app.get("/account", status=303)

    assert is_cleared(session_cookie(answer))
    assert greeting(app) is None
    assert sign_in(app).status_int == 303


def test_session_ends_after_its_lifetime_whatever_its_use(app, db):
    sign_up(app)
    db.execute(text("UPDATE sessions SET expires_at = now() + interval '1 minute'"))
    assert greeting(app) == NAME

    db.execute(text("UPDATE sessions SET expires_at = now() - interval '1 second'"))
    answer = app.get("/account", status=303)

    assert is_cleared(session_cookie(answer))
    assert greeting(app) is None


def test_use_does_not_move_the_deadline(app, db):
    sign_up(app)
    db.execute(
        text(
            "UPDATE sessions SET expires_at = now() + interval '1 hour', "
            "last_seen_at = now() - interval '1 hour'"
        )
    )
    before = the_session(db)

    app.get("/account", status=200)

    after = the_session(db)
    assert after.expires_at == before.expires_at
    assert after.last_seen_at > before.last_seen_at


def test_use_is_written_down_once_an_interval(app, db):
    sign_up(app)
    engine = app.app.registry[ENGINE]
    app.get("/account")
    before = the_session(db)
    app.get("/account")
    assert the_session(db) == before

    db.execute(text("UPDATE sessions SET last_seen_at = now() - interval '6 minutes'"))
    with statements_on(engine) as first:
        app.get("/account")
    with statements_on(engine) as second:
        app.get("/account")

    assert [s.split()[0] for s in first] == ["SELECT", "UPDATE"]
    assert [s.split()[0] for s in second] == ["SELECT"]


def test_ended_session_is_not_revived_by_signing_in(app, db):
    sign_up(app)
    before = the_session(db)
    db.execute(text("UPDATE sessions SET expires_at = now() - interval '1 second'"))

    sign_in(app)

    rows = db.execute(text("SELECT id FROM sessions WHERE expires_at > now()")).scalars().all()
    assert len(rows) == 1
    assert rows != [before.id]


# Cookies that are not ours, or not whole.


def test_every_change_of_a_character_makes_a_visitor(app):
    cookie = session_cookie(sign_up(app)).value
    signed_out = {"user": None}

    for position, character in enumerate(cookie):
        for other in {"A", "B", "v", "s", ".", "-", "\xe9"} - {character}:
            changed = cookie[:position] + other + cookie[position + 1 :]
            headers = {**JSON, **with_cookie(changed)}
            answer = unchecked(another(app)).get("/", headers=headers, status=200)
            assert answer.json == signed_out, changed


@pytest.mark.parametrize("change", ["{}x", "x{}", "{}{}", "{}.", " . {}", "{}=", "%{}", "s{}"])
def test_cookie_must_be_whole(app, change):
    cookie = session_cookie(sign_up(app)).value

    headers = {**JSON, **with_cookie(change.format(cookie, cookie))}

    assert another(app).get("/", headers=headers).json == {"user": None}


def test_what_the_database_holds_is_no_cookie(app, db):
    sign_up(app)
    token_hash = bytes(the_session(db).token_hash)
    stolen = [
        token_hash.hex(),
        signed(Ticket(token_hash, stored=True))[:44],
        TicketSigner(["a guess at the secret" * 2]).dumps(Ticket(token_hash, stored=True)),
        # Even somebody who has the secret cannot make a cookie of it.
        signed(Ticket(token_hash, stored=True)),
    ]
    for value in stolen:
        answer = another(app).get("/", headers={**JSON, **with_cookie(value)})
        assert answer.json == {"user": None}


def test_visitors_kind_of_cookie_never_stands_for_a_session(app, db):
    ticket = ticket_in(session_cookie(sign_up(app)).value)
    headers = {**JSON, **with_cookie(signed(Ticket(ticket.token, stored=False)))}

    assert another(app).get("/", headers=headers).json == {"user": None}


def test_token_counts_in_the_cookie_only(app):
    cookie = session_cookie(sign_up(app)).value
    name = "session"

    for answer in (
        another(app).get(f"/?{name}={cookie}", headers=JSON),
        another(app).get("/", headers={**JSON, "Authorization": f"Bearer {cookie}"}),
        another(app).get("/", headers={**JSON, "X-Session": cookie, name: cookie}),
    ):
        assert answer.json == {"user": None}


def test_cookie_works_among_others_and_beside_a_planted_one(app):
    cookie = session_cookie(sign_up(app)).value

    for header in (
        f"a=1; session={cookie}; b=2",
        f"session=planted; session={cookie}",
        f"session={cookie}; session=planted",
        f'session="{cookie}"',
        f"a=\\222; session={cookie}",
        f"a=\xff\xfe; session={cookie}",
        f"=; ; ;; session={cookie};",
    ):
        answer = unchecked(another(app)).get("/", headers={**JSON, "Cookie": header})
        assert answer.json["user"], header


GARBAGE = [
    "session",
    "session=",
    "session=;",
    "=",
    ";;;;",
    "session=\\222",
    'session="\\222"',
    'id="\\222"',
    "session=\xff\xfe\xfd",
    "session=\x01\x02",
    "session=" + "x" * 8000,
    "session=v." + "A" * 43,
    "session=s" + "A" * 43 + "." + "A" * 43,
    "session=s" + "\N{ARABIC-INDIC DIGIT ONE}".encode().decode("latin-1") * 43 + "." + "A" * 43,
    "session=%00",
    'session="; session="',
    "; ".join(f"c{number}=v" for number in range(500)),
    "session=" + "'" * 100,
]


@pytest.mark.parametrize("header", GARBAGE, ids=lambda header: repr(header[:20]))
def test_garbage_in_cookies_makes_a_visitor_without_asking_the_database(app, db, header):
    with statements_on(app.app.registry[ENGINE]) as statements:
        for path in ("/", "/sign-in", "/account", "/nowhere", "/sign-out"):
            answer = unchecked(app).get(path, headers={"Cookie": header}, status="*")
            assert answer.status_int < 500, path

    assert statements == []
    assert count(db, "sessions") == 0


def test_random_cookies_are_never_an_error_and_never_a_row(app, db):
    choice = random.Random(7)  # noqa: S311
    alphabet = "".join(map(chr, range(1, 256))) + 'session="\\;=,. ' * 20
    browser = unchecked(app)

    with statements_on(app.app.registry[ENGINE]) as statements:
        for _ in range(1000):
            header = "session=" * choice.randint(0, 1)
            header += "".join(choice.choices(alphabet, k=choice.randint(0, 120)))
            answer = browser.get("/sign-in", headers={"Cookie": header}, status="*")
            assert answer.status_int == 200, header

    assert statements == []
    assert count(db, "sessions") == 0


def test_cookie_that_names_no_session_is_cleared(app, db):
    cookie = signed(Ticket.new(stored=True))

    answer = another(app).get("/", headers=with_cookie(cookie), status=200)

    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0


# What something else has written into a session's row.


@pytest.mark.parametrize(
    "data",
    [
        "[]",
        "7",
        '"text"',
        "null",
        "true",
        '{"": 1}',
        '{"a": {"$date": "no date"}}',
        '{"a": {"$decimal": "x"}}',
        '{"a": {"$uuid": []}}',
        '{"a": {"$bytes": "\\u00e9"}}',
        '{"a": {"$datetime": 7}}',
        '{"a": {"$unknown": "x"}}',
        '{"a": {"$dict": 7}}',
        '{"a": 1e400}',
        '{"_f_success": {"$date": "no date"}}',
        '{"_f_success": []}',
        '{"a": ' + "[" * 2000 + "]" * 2000 + "}",
        '{"a": 1e5000}',
        '{"_f_success": 7}',
        '{"_f_success": null}',
    ],
    ids=lambda data: data[:30],
)
def test_corrupt_data_are_never_an_error(app, db, data):
    sign_up(app)
    db.execute(text("UPDATE sessions SET data = cast(:data AS jsonb)"), {"data": data})

    for path in ("/", "/account"):
        assert app.get(path, status="*").status_int < 500
    app.post_json("/sign-out", {}, status=204)
    assert greeting(app) is None
    assert sign_in(app).status_int == 303
