import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from authapp.languages import Language
from authapp.repositories import ENGINE
from authapp.security.recent import CONFIRMED_AT
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    another,
    cookies_set,
    count,
    csrf_token,
    form_to,
    greeting,
    is_cleared,
    path_of,
    session_cookie,
    sign_in,
    sign_out,
    sign_up,
    statements_on,
    ticket_in,
)
from tests.functional.waiting import wait_until_blocked

PAGE = "/account/sessions"
OTHERS = "/account/sessions/revoke-others"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
)
GARBAGE = ["x", "revoke", "0", "%00", "%2e%2e", "%F0%9F%92%A9", "-" * 36, "f" * 500, "'; --"]


@pytest.fixture
def laptop(app):
    """Somebody's browser, who has just signed up in it."""
    browser = another(app, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.1")
    sign_up(browser)
    return browser


@pytest.fixture
def phone(laptop):
    """The same person's, signed in after that."""
    browser = another(laptop, HTTP_USER_AGENT=IPHONE, REMOTE_ADDR="2001:db8::1")
    sign_in(browser)
    return browser


@pytest.fixture
def stranger(app, laptop):
    browser = another(app)
    sign_up(browser, email="eve@example.com", name="Eve")
    return browser


def listed(browser):
    return browser.get(PAGE, headers=JSON, status=200).json["sessions"]


def own_id(browser):
    [session_id] = [session["id"] for session in listed(browser) if session["current"]]
    return session_id


def revoke_path(session_id):
    return f"{PAGE}/{session_id}/revoke"


def all_rows(db):
    return db.execute(text("SELECT * FROM sessions ORDER BY id")).all()


def parts(page):
    """What each entry of the list says, line by line."""
    return [
        [" ".join(p.get_text().split()) for p in entry.find_all("p")]
        for entry in page.html.main.find_all("li")
    ]


def shown_time(time):
    return Language("en").moment(time)


# The list.


def test_every_session_is_listed_in_words_this_one_first(laptop, phone, db):
    db.execute(text("UPDATE sessions SET created_at = '2026-02-03 04:05:06+01'"))
    db.execute(
        text(
            "UPDATE sessions SET last_seen_at = date_trunc('hour', now()) - interval '1 day' "
            "WHERE address = '192.0.2.1'"
        )
    )
    seen = db.execute(text("SELECT last_seen_at FROM sessions WHERE address = '192.0.2.1'"))
    day_ago = seen.scalar_one()

    page = phone.get(PAGE, status=200)

    current, other = parts(page)
    assert current[:3] == [
        "Safari on iPhone This session",
        "2001:db8::1",
        "Signed in February 3, 2026, 3:05 AM UTC",
    ]
    assert current[3] == "Last used 1 minute ago"
    assert other == [
        "Firefox 133 on Windows",
        "192.0.2.1",
        "Signed in February 3, 2026, 3:05 AM UTC",
        "Last used 1 day ago",
    ]
    assert page.html.main.find_all("time")[-1]["title"] == shown_time(day_ago)
    times = [time["datetime"] for time in page.html.main.find_all("time")]
    assert times[0] == "2026-02-03T03:05:06+00:00"
    assert all(datetime.fromisoformat(time).utcoffset() == timedelta(0) for time in times)


def test_program_gets_the_same_list(laptop, phone, db):
    rows = {row.address: row for row in all_rows(db)}

    assert listed(phone) == [
        {
            "id": str(rows[address].id),
            "current": address == "2001:db8::1",
            "user_agent": user_agent,
            "address": address,
            "created_at": rows[address].created_at.isoformat(),
            "last_seen_at": rows[address].last_seen_at.isoformat(),
            "expires_at": rows[address].expires_at.isoformat(),
        }
        for address, user_agent in [("2001:db8::1", IPHONE), ("192.0.2.1", FIREFOX)]
    ]


def test_whoever_asks_is_marked(laptop, phone):
    assert own_id(laptop) != own_id(phone)
    for browser in (laptop, phone):
        assert [session["current"] for session in listed(browser)] == [True, False]


def test_session_keeps_its_id_through_another_sign_in(laptop):
    before = own_id(laptop)

    laptop.post_json("/sign-in", {"email": EMAIL, "password": "correct horse battery staple"})

    assert own_id(laptop) == before
    assert UUID(before).version == 4


def test_only_ones_own_live_sessions_are_listed(laptop, phone, stranger, db):
    another(laptop).get("/sign-in")
    db.execute(
        text("UPDATE sessions SET last_seen_at = now() - interval '15 days' WHERE address = :a"),
        {"a": "2001:db8::1"},
    )

    assert [session["address"] for session in listed(laptop)] == ["192.0.2.1"]


def test_alone_there_is_nothing_to_end(laptop):
    page = laptop.get(PAGE, status=200)

    assert len(parts(page)) == 1
    assert "You are signed in nowhere else." in page
    assert PAGE not in {form.action[: len(PAGE)] for form in page.forms.values()}


def test_what_a_browser_says_of_itself_is_only_text(laptop, phone):
    script = another(laptop, HTTP_USER_AGENT="<script>alert(1)</script>bot/1 \x1b[31m")
    sign_in(script)

    page = laptop.get(PAGE, status=200)

    assert "<script>alert" not in page
    assert "\x1b" not in page


def test_session_without_a_user_agent_or_an_address_is_listed(laptop, phone, db):
    db.execute(text("UPDATE sessions SET user_agent = NULL, address = NULL"))

    assert {tuple(lines[1:2]) for lines in parts(laptop.get(PAGE))} == {("Unknown address",)}
    assert {(s["user_agent"], s["address"]) for s in listed(laptop)} == {(None, None)}


def test_neither_tokens_nor_hashes_are_shown(laptop, phone):
    tickets = [ticket_in(browser.cookies["session"]) for browser in (laptop, phone)]
    cookies = [browser.cookies["session"] for browser in (laptop, phone)]

    for answer in (laptop.get(PAGE), laptop.get(PAGE, headers=JSON)):
        for ticket in tickets:
            for secret in (ticket.token.hex(), ticket.token_hash.hex(), str(ticket.token_hash)):
                assert secret not in answer.text
        for cookie in cookies:
            assert cookie[1:44] not in answer.text
        # The page's own is in its forms; that of the other browser is nowhere.
        assert tickets[1].csrf_token not in answer.text


def test_page_belongs_to_the_account_section(laptop):
    assert laptop.get(PAGE).html.nav.find("a", href="/account")["aria-current"] == "true"


# Ending one.


def test_other_browser_is_out_at_its_next_click(laptop, phone):
    phone_id = own_id(phone)

    answer = form_to(laptop.get(PAGE), revoke_path(phone_id)).submit(status=303)

    assert path_of(answer) == PAGE
    page = answer.follow()
    status = page.html.find(attrs={"role": "status"}).get_text()
    assert status == "That session has been signed out."
    assert len(parts(page)) == 1
    answer = phone.get("/account", status=303)
    assert path_of(answer) == "/sign-in?next=%2Faccount"
    assert is_cleared(session_cookie(answer))
    assert greeting(laptop) == NAME


def test_program_ends_a_session(laptop, phone, db):
    answer = laptop.post_json(revoke_path(own_id(phone)), {}, status=204)

    assert answer.body == b""
    assert cookies_set(answer) == []
    assert greeting(phone) is None
    assert [session["current"] for session in listed(laptop)] == [True]
    assert list(all_rows(db)[0].data) == [CONFIRMED_AT]


def test_each_button_ends_its_own_session(laptop, phone):
    tablet = another(laptop)
    sign_in(tablet)
    page = laptop.get(PAGE)

    buttons = page.html.main.find_all("button", string="Sign out")
    assert len(buttons) == 2
    for button in buttons:
        session_id = button.parent["action"].split("/")[-2]
        named = [page.html.find(id=name) for name in button["aria-labelledby"].split()]
        entry = button.find_parent("li")
        assert named[0] is button
        assert all(element.find_parent("li") is entry for element in named)
        assert session_id in button["id"]
    form_to(page, revoke_path(own_id(tablet))).submit(status=303)
    assert greeting(tablet) is None
    assert greeting(phone) == NAME


def test_ending_this_one_is_signing_out(laptop, phone, db):
    token = csrf_token(laptop.get(PAGE))

    answer = laptop.post(revoke_path(own_id(laptop)), {"csrf_token": token}, status=303)

    assert path_of(answer) == "/"
    assert is_cleared(session_cookie(answer))
    assert greeting(laptop) is None
    assert greeting(phone) == NAME
    assert count(db, "sessions") == 1


def test_program_that_ends_its_own_session_is_signed_out(laptop, db):
    answer = laptop.post_json(revoke_path(own_id(laptop)), {}, status=204)

    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0


def test_ending_somebody_elses_is_not_found_and_changes_nothing(laptop, stranger, db):
    victim = own_id(laptop)
    token = csrf_token(stranger.get(PAGE))
    before = all_rows(db)

    page = stranger.post(revoke_path(victim), {"csrf_token": token}, status=404)
    answer = stranger.post_json(revoke_path(victim), {}, status=404)

    assert page.html.h1.get_text() == "You have no such session"
    assert page.html.find("a", href=PAGE)
    assert answer.json["error"]["code"] == "not_found"
    assert answer.json["error"]["fields"] == {}
    assert all_rows(db) == before
    assert greeting(laptop) == NAME


def test_somebody_elses_is_answered_as_one_that_does_not_exist(laptop, stranger):
    foreign = stranger.post_json(revoke_path(own_id(laptop)), {}, status=404)
    unknown = stranger.post_json(revoke_path(uuid4()), {}, status=404)

    assert foreign.body == unknown.body
    assert foreign.headerlist == unknown.headerlist


@pytest.mark.parametrize("session_id", GARBAGE)
def test_what_is_no_id_is_not_found_and_changes_nothing(laptop, db, session_id):
    token = csrf_token(laptop.get(PAGE))
    before = all_rows(db)

    laptop.post(revoke_path(session_id), {"csrf_token": token}, status=404)
    laptop.post_json(revoke_path(session_id), {}, status=404)

    assert all_rows(db) == before


def test_ending_it_once_more_is_not_found(laptop, phone):
    page = laptop.get(PAGE)
    phone_id = own_id(phone)

    form_to(page, revoke_path(phone_id)).submit(status=303)
    form_to(page, revoke_path(phone_id)).submit(status=404)


def test_visitors_session_cannot_be_ended_by_its_id(laptop, db):
    db.execute(text("INSERT INTO sessions (token_hash, expires_at) VALUES ('x', 'infinity')"))
    visitor = db.execute(text("SELECT id FROM sessions WHERE user_id IS NULL")).scalar_one()

    laptop.post_json(revoke_path(visitor), {}, status=404)

    assert count(db, "sessions") == 2


# Ending all others.


def test_all_others_are_ended_and_this_one_stays(laptop, phone, stranger, db):
    tablet = another(laptop)
    sign_in(tablet)
    cookie = laptop.cookies["session"]

    answer = form_to(laptop.get(PAGE), OTHERS).submit(status=303)

    assert path_of(answer) == PAGE
    page = answer.follow()
    status = page.html.find(attrs={"role": "status"}).get_text()
    assert status == "All other sessions have been signed out."
    assert len(parts(page)) == 1
    assert laptop.cookies["session"] == cookie
    assert [greeting(b) for b in (laptop, phone, tablet, stranger)] == [NAME, None, None, "Eve"]


def test_program_ends_all_others(laptop, phone):
    assert laptop.post_json(OTHERS, {}, status=204).body == b""

    assert greeting(phone) is None
    assert len(listed(laptop)) == 1


def test_ending_all_others_where_there_are_none_is_no_error(laptop):
    laptop.post_json(OTHERS, {}, status=204)
    laptop.post(OTHERS, {"csrf_token": csrf_token(laptop.get(PAGE))}, status=303)

    assert greeting(laptop) == NAME


# Who may, and how.


@pytest.mark.parametrize("path", [revoke_path(UUID(int=1)), revoke_path("x"), OTHERS])
def test_visitor_is_sent_to_sign_in(app, path):
    answer = app.get(PAGE, status=303)
    assert path_of(answer) == "/sign-in?next=%2Faccount%2Fsessions"
    token = csrf_token(answer.follow())

    assert path_of(app.post(path, {"csrf_token": token}, status=303)).startswith("/sign-in")
    assert app.get(PAGE, headers=JSON, status=401).json["error"]["code"] == "unauthenticated"
    assert app.post_json(path, {}, status=401).json["error"]["code"] == "unauthenticated"


def test_forms_without_their_token_end_nothing(laptop, phone, db):
    before = all_rows(db)

    for path in (revoke_path(own_id(phone)), revoke_path(own_id(laptop)), OTHERS):
        laptop.post(path, {}, status=400)
        laptop.post(path, {"csrf_token": csrf_token(phone.get(PAGE))}, status=400)
        elsewhere = {"Origin": "https://evil.example"}
        laptop.post_json(path, {}, headers=elsewhere, status=400)

    assert all_rows(db) == before


def test_sessions_are_ended_by_post_only(laptop, phone, db):
    for path in (revoke_path(own_id(phone)), OTHERS):
        assert laptop.get(path, status=405).headers["Allow"] == "POST"
        laptop.head(path, status=405)
    assert "GET" in laptop.post_json(PAGE, {}, status=405).headers["Allow"]
    assert count(db, "sessions") == 2


def test_disabled_user_sees_and_ends_nothing(laptop, phone, db):
    phone_id = own_id(phone)
    db.execute(text("UPDATE users SET status = 'disabled'"))

    laptop.get(PAGE, headers=JSON, status=401)
    laptop.post_json(revoke_path(phone_id), {}, status=401)
    laptop.post_json(OTHERS, {}, status=401)

    assert count(db, "sessions") == 2


def test_person_who_signed_out_sees_and_ends_nothing(laptop, phone):
    phone_id = own_id(phone)
    sign_out(laptop)

    laptop.post_json(revoke_path(phone_id), {}, status=401)

    assert greeting(phone) == NAME


# One commit, and races.


@pytest.mark.parametrize("which", ["one", "this one", "all others"])
def test_nothing_has_ended_when_the_commit_fails(lab_app, db, which):
    sign_up(lab_app)
    other = another(lab_app)
    sign_in(other)
    paths = {"one": revoke_path(own_id(other)), "this one": revoke_path(own_id(lab_app))}
    path = paths.get(which, OTHERS)
    token = csrf_token(lab_app.get(PAGE))
    before = all_rows(db)
    db.execute(text("INSERT INTO lab_notes (text) VALUES ('same')"))
    # Each end of a session writes a note of the same text, which the database refuses at COMMIT.
    db.execute(
        text(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO lab_notes (text) VALUES ('same'); RETURN OLD; END $$"
        )
    )
    db.execute(
        text("CREATE TRIGGER note AFTER DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION note()")
    )

    try:
        answers = [
            lab_app.post(path, {"csrf_token": token}, status=500),
            lab_app.post_json(path, {}, status=500),
        ]
    finally:
        db.execute(text("DROP FUNCTION note CASCADE"))

    assert [cookies_set(answer) for answer in answers] == [[], []]
    assert all_rows(db) == before
    assert count(db, Note.__tablename__) == 1
    assert [greeting(lab_app), greeting(other)] == [NAME, NAME]


def test_session_that_becomes_somebody_elses_meanwhile_is_not_ended(laptop, stranger, db, engine):
    """It cannot, by the pages; a look at the owner before the end would be too early all the
    same."""
    own, foreign = own_id(laptop), own_id(stranger)
    owner = text("SELECT user_id FROM sessions WHERE id = :id")
    eve = db.execute(owner, {"id": foreign}).scalar_one()
    tablet = another(laptop)
    sign_in(tablet)

    with engine.connect() as giving, ThreadPoolExecutor(1) as pool:
        giving.execute(text("UPDATE sessions SET user_id = :u WHERE id = :i"), {"u": eve, "i": own})
        ending = pool.submit(tablet.post_json, revoke_path(own), {}, status="*")
        wait_until_blocked(db)
        giving.commit()
        answer = ending.result(timeout=10)

    assert answer.status_int == 404
    assert db.execute(owner, {"id": own}).scalar_one() == eve


def test_two_browsers_that_end_each_other_at_once_get_no_error(laptop, phone):
    pages = [(laptop, laptop.get(PAGE), own_id(phone)), (phone, phone.get(PAGE), own_id(laptop))]

    def end(browser, page, session_id):
        fields = {"csrf_token": csrf_token(page)}
        return browser.post(revoke_path(session_id), fields, status="*").status_int

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(end, *zip(*pages, strict=True)))

    # The one that comes second is no longer signed in, and its form has expired with the session.
    assert set(answers) <= {303, 400}
    assert sorted([greeting(laptop) or "", greeting(phone) or ""])[0] == ""


# What it costs.


@pytest.mark.parametrize("headers", [{}, JSON], ids=["html", "json"])
def test_page_costs_one_select_besides_that_of_the_session(wired_app, wire, headers):
    wired_app.get("/readyz", status=200)
    sign_up(wired_app)
    for _ in range(3):
        sign_in(another(wired_app))
    engine = wired_app.app.registry[ENGINE]

    with statements_on(engine) as statements, wire.counted() as wired:
        wired_app.get(PAGE, headers=headers, status=200)

    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]
    sent = [message.split()[0].rstrip(";") for message in wired]
    assert sent == ["SELECT", "SELECT"]


def test_ending_one_costs_one_delete_and_the_event(wired_app, wire):
    sign_up(wired_app)
    other = another(wired_app)
    sign_in(other)
    path = revoke_path(own_id(other))

    with wire.counted() as wired:
        wired_app.post_json(path, {}, status=204)

    sent = [message.split()[0].rstrip(";") for message in wired]
    assert sent == ["SELECT", "BEGIN", "DELETE", "INSERT", "COMMIT"]


def test_hundred_sessions_fit_on_a_page(laptop, db):
    db.execute(
        text(
            "INSERT INTO sessions (token_hash, user_id, expires_at, user_agent) SELECT "
            "sha256(i::text::bytea), (SELECT id FROM users), now() + interval '1 day', "
            "'Mozilla/5.0 (X11; Linux x86_64; rv:' || i || '.0) Gecko/20100101 Firefox/' || i || "
            "'.0' FROM generate_series(1, 100) AS i"
        )
    )

    page = laptop.get(PAGE, status=200)

    assert len(parts(page)) == 101
    assert len(json.dumps(listed(laptop))) > 101 * 100
