"""The pages of administration, before every kind of visitor."""

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode
from uuid import UUID

import pytest
import webtest
from sqlalchemy import text

from authapp.domain.users import Role
from authapp.domain.visitors import Visitor
from authapp.repositories import ENGINE
from authapp.security.recent import CONFIRMED_AT
from authapp.testing import sign_in_as
from tests.conftest import make_app
from tests.functional.conftest import HOST
from tests.functional.lab import Note
from tests.functional.second_factor import turn_on
from tests.functional.support import (
    JSON,
    PASSWORD,
    alert,
    another,
    cookies_set,
    count,
    fill_in,
    forget_the_past,
    form_to,
    greeting,
    is_cleared,
    letters,
    path_of,
    session_cookie,
    sign_in,
    sign_up,
)
from tests.functional.waiting import wait_until_blocked

LIST = "/admin/users"
GARBAGE = ["x", "0", "%00", "%F0%9F%92%A9", "-" * 36, "'; --", str(UUID(int=1))]
ACTIONS = ["disable", "enable", "end-sessions", "role", "reset-second-factor"]


@pytest.fixture
def admin(app, db):
    """The browser of Ada, the only administrator."""
    browser = another(app)
    sign_up(browser)
    db.execute(text("UPDATE users SET role = 'admin'"))
    return browser


@pytest.fixture
def bo(app, admin):
    """The browser of a member."""
    browser = another(app)
    sign_up(browser, email="bo@example.com", name="Bo")
    return browser


@pytest.fixture
def second_admin(app, admin, db):
    browser = another(app)
    sign_up(browser, email="cy@example.com", name="Cy")
    db.execute(text("UPDATE users SET role = 'admin' WHERE name = 'Cy'"))
    return browser


def id_of(db, name):
    statement = text("SELECT id FROM users WHERE name = :name")
    return db.execute(statement, {"name": name}).scalar_one()


def state_of(db, name):
    statement = text("SELECT role, status FROM users WHERE name = :name")
    return tuple(db.execute(statement, {"name": name}).one())


def rows(db, table):
    return db.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).all()  # noqa: S608


def let_sign_ins_grow_old(db):
    """None of them is recent any more."""
    db.execute(text("UPDATE sessions SET data = data - :key"), {"key": CONFIRMED_AT})


def page_of(db, name):
    return f"{LIST}/{id_of(db, name)}"


def events(db):
    """Which events there are of the kinds that administration has, with who did them."""
    statement = text(
        "SELECT e.kind, u.name, a.name FROM security_events e "
        "LEFT JOIN users u ON u.id = e.user_id LEFT JOIN users a ON a.id = e.by_id "
        "WHERE e.kind IN ('disabled', 'enabled', 'role_changed', 'sessions_revoked', "
        "'second_factor_disabled') "
        "ORDER BY e.id"
    )
    return [tuple(row) for row in db.execute(statement)]


def act(browser, db, name, action, **fields):
    address = page_of(db, name)
    return fill_in(browser.get(address), f"{address}/{action}", **fields)


def listed(browser, query=""):
    return [user["name"] for user in browser.get(LIST + query, headers=JSON).json["users"]]


# Who may.


@pytest.mark.parametrize("address", ["/admin", LIST, f"{LIST}/{UUID(int=1)}"])
def test_pages_are_for_administrators_only(app, admin, bo, address):
    assert admin.get(address, status="*").status_int in {200, 303, 404}
    assert bo.get(address, status=403).html.h1.get_text() == "You may not see this"
    assert bo.get(address, headers=JSON, status=403).json["error"]["code"] == "forbidden"
    visitor = another(app)
    assert path_of(visitor.get(address, status=303)).startswith("/sign-in?next=%2Fadmin")
    visitor.get(address, headers=JSON, status=401)


@pytest.mark.parametrize("action", ACTIONS)
def test_nobody_else_changes_anything(app, db, admin, bo, action):
    address = f"{page_of(db, 'Ada Lovelace')}/{action}"
    before = db.execute(text("SELECT * FROM users ORDER BY id")).all()

    for body in ({}, {"role": "admin"}):
        assert bo.post_json(address, body, status=403).json["error"]["code"] == "forbidden"
        another(app).post_json(address, body, status=401)
        admin.post(address, body, status=400)  # Without the form's token.

    assert db.execute(text("SELECT * FROM users ORDER BY id")).all() == before
    assert greeting(admin) is not None
    assert events(db) == []


def test_administrator_who_was_disabled_is_a_visitor(admin, second_admin, db):
    act(admin, db, "Cy", "disable")

    assert path_of(second_admin.get(LIST, status=303)).startswith("/sign-in")


def test_navigation_shows_administration_to_administrators_only(app, admin, bo):
    def links(browser):
        return [a["href"] for a in browser.get("/").html.find("nav").find_all("a")]

    assert LIST in links(admin)
    assert LIST not in links(bo)
    assert LIST not in links(another(app))


def test_administration_begins_with_the_list(admin):
    assert path_of(admin.get("/admin", status=303)) == LIST


@pytest.mark.parametrize("action", sorted(set(ACTIONS) - {"enable"}))
def test_administrator_whose_sign_in_is_not_recent_confirms_and_is_back_at_the_user(
    admin, bo, db, action
):
    turn_on(bo)
    page = admin.get(page_of(db, "Bo"))
    let_sign_ins_grow_old(db)
    form = form_to(page, f"{page_of(db, 'Bo')}/{action}")
    before = rows(db, "users")

    answer = form.submit(headers={"Referer": page.request.url}, status=303)

    assert path_of(answer) == f"/account/confirm?{urlencode({'next': page_of(db, 'Bo')})}"
    answer = fill_in(answer.follow(), "/account/confirm", current_password=PASSWORD)
    assert path_of(answer) == page_of(db, "Bo")
    assert rows(db, "users") == before
    assert greeting(bo) == "Bo"
    assert path_of(fill_in(answer.follow(), f"{page_of(db, 'Bo')}/{action}")) == page_of(db, "Bo")


@pytest.mark.parametrize("action", ACTIONS)
def test_programs_of_administrators_have_to_confirm_as_well(admin, bo, db, action):
    let_sign_ins_grow_old(db)

    answer = admin.post_json(f"{page_of(db, 'Bo')}/{action}", {"role": "admin"}, status=403)

    assert answer.json["error"]["code"] == "confirmation_required"
    assert events(db) == []
    admin.get(page_of(db, "Bo"), headers=JSON, status=200)


# The list.


def test_users_are_listed_by_their_addresses(admin, bo, second_admin, db):
    db.execute(text("UPDATE users SET email = 'ZOE@example.com' WHERE name = 'Bo'"))

    page = admin.get(LIST)

    rows = page.html.main.find("tbody").find_all("tr")
    assert [row.get_text(" ", strip=True).rsplit(" ", 3)[0] for row in rows] == [
        "ada@example.com Ada Lovelace Administrator Active Off",
        "cy@example.com Cy Administrator Active Off",
        "ZOE@example.com Bo Member Active Off",
    ]
    # On a phone, where the columns stand below each other, each cell says what it tells.
    headings = [th.get_text() for th in page.html.main.find("thead").find_all("th")]
    assert [td["data-label"] for td in rows[0].find_all("td")] == headings[1:]
    body = admin.get(LIST, headers=JSON).json
    assert [user["email"] for user in body["users"]] == [
        "ada@example.com",
        "cy@example.com",
        "ZOE@example.com",
    ]
    assert body["next"] is None
    assert set(body["users"][0]) == {
        *("id", "name", "email", "role", "status", "created_at"),
        *("email_verified_at", "second_factor_at"),
    }


def test_users_are_found(admin, bo, second_admin, db):
    db.execute(text("UPDATE users SET status = 'disabled' WHERE name = 'Bo'"))

    assert listed(admin, "?q=BO@") == ["Bo"]
    assert listed(admin, "?q=example") == []
    assert listed(admin, "?q=%25") == listed(admin, "?q=_") == listed(admin, "?q=%5C") == []
    assert listed(admin, f"?q={id_of(db, 'Cy')}") == ["Cy"]
    assert listed(admin, f"?q={id_of(db, 'Cy')}&role=member") == []
    assert listed(admin, f"?q={UUID(int=1)}") == []
    assert listed(admin, "?role=admin") == ["Ada Lovelace", "Cy"]
    assert listed(admin, "?status=disabled") == ["Bo"]
    assert listed(admin, "?role=admin&status=disabled") == []
    assert listed(admin, "?role=&status=&q=") == ["Ada Lovelace", "Bo", "Cy"]
    assert "There is nobody like that." in admin.get(f"{LIST}?q=nobody")


def test_form_finds_them_and_keeps_what_was_asked_for(admin, bo):
    form = form_to(admin.get(LIST), LIST)
    form["q"], form["role"] = "b", "member"

    page = form.submit()

    assert [a.get_text() for a in page.html.main.find("tbody").find_all("a")] == ["bo@example.com"]
    again = form_to(page, LIST)
    assert (again["q"].value, again["role"].value, again["status"].value) == ("b", "member", "")


def test_long_lists_come_in_pages(admin, db):
    db.execute(
        text(
            "INSERT INTO users (name, email, password_hash) SELECT 'U' || n, "
            "'u' || lpad(n::text, 3, '0') || '+a&b@example.com', 'x' "
            "FROM generate_series(1, 120) n"
        )
    )
    seen = []
    page = admin.get(f"{LIST}?q=u&role=member")
    for _ in range(3):
        seen += [a.get_text() for a in page.html.main.find("tbody").find_all("a")]
        assert ("First page" in page) == (len(seen) > 50)
        if "Next page" in page:
            page = page.click("Next page")

    assert seen == [f"u{n:03}+a&b@example.com" for n in range(1, 121)]
    assert "Next page" not in page
    first = page.click("First page")
    assert [a.get_text() for a in first.html.main.find("tbody").find_all("a")] == seen[:50]

    body = admin.get(f"{LIST}?q=u", headers=JSON).json
    assert len(body["users"]) == 50
    assert len(admin.get(body["next"], headers=JSON).json["users"]) == 50


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("role=king", "role"),
        ("status=%00", "status"),
        ("q=%00", "q"),
        ("q=" + "x" * 255, "q"),
        ("q=a&q=b", "q"),
        ("after=%00", "after"),
    ],
)
def test_questions_that_make_no_sense_are_refused_beside_their_field(admin, query, field):
    page = admin.get(f"{LIST}?{query}", status=400)

    assert alert(page)
    answer = admin.get(f"{LIST}?{query}", headers=JSON, status=400)
    assert list(answer.json["error"]["fields"]) == [field]


# One user.


def test_page_of_a_user_shows_state_sessions_and_events(admin, bo, db):
    phone = another(bo, HTTP_USER_AGENT="curl/8", REMOTE_ADDR="192.0.2.7")
    sign_in(phone, email="bo@example.com")

    page = admin.get(page_of(db, "Bo"))

    facts = {dt.get_text(): dt.find_next("dd").get_text() for dt in page.html.find_all("dt")}
    assert facts.pop("Member since")
    assert facts == {
        "State": "Active",
        "Role": "Member",
        "Email verified": "No",
        "Two-factor authentication": "Off",
        "Id": str(id_of(db, "Bo")),
    }
    assert "192.0.2.7" in page
    assert page.text.count("Last used") == 2
    assert "Signed in" in page
    assert "The account was made" in page
    body = admin.get(page_of(db, "Bo"), headers=JSON).json
    assert body["user"]["email"] == "bo@example.com"
    assert {session["address"] for session in body["sessions"]} >= {"192.0.2.7"}
    assert [event["kind"] for event in body["events"]] == ["signed_in", "signed_up"]


def test_no_page_shows_a_secret(admin, bo, db):
    secrets = db.execute(text("SELECT password_hash FROM users")).scalars().all()
    secrets += [h.hex() for h in db.execute(text("SELECT token_hash FROM sessions")).scalars()]

    for headers in ({}, JSON):
        for address in (LIST, page_of(db, "Bo")):
            answer = admin.get(address, headers=headers)
            assert not [secret for secret in secrets if secret in answer.text]


@pytest.mark.parametrize("name", GARBAGE)
def test_there_is_no_page_of_nobody_and_nothing_to_do_to_them(admin, bo, db, name):
    page = admin.get(f"{LIST}/{name}", status=404)

    assert page.html.h1.get_text() == "There is no such user"
    for action in ACTIONS:
        body = {"role": "admin"}
        answer = admin.post_json(f"{LIST}/{name}/{action}", body, status=404)
        assert answer.json["error"]["code"] == "not_found"
    assert events(db) == []


# Disabling and enabling.


def test_disabled_user_is_out_at_the_next_request_and_cannot_sign_in(admin, bo, db):
    phone = another(bo)
    sign_in(phone, email="bo@example.com")

    answer = act(admin, db, "Bo", "disable")

    assert path_of(answer) == page_of(db, "Bo")
    page = answer.follow()
    assert "The account is disabled" in page
    assert "By an administrator" in page.html.main.get_text(" ", strip=True).replace("  ", " ")
    assert greeting(bo) is greeting(phone) is None
    assert sign_in(another(bo), email="bo@example.com").status_int == 401
    told = [("disabled", "Bo", "Ada Lovelace"), ("sessions_revoked", "Bo", "Ada Lovelace")]
    assert events(db) == told

    page = act(admin, db, "Bo", "enable").follow()

    assert "The account is enabled" in page
    assert greeting(bo) is None
    assert sign_in(another(bo), email="bo@example.com").status_int == 303
    assert events(db)[2:] == [("enabled", "Bo", "Ada Lovelace")]


def test_other_processes_see_it_at_their_next_request(admin, bo, db, migrated_url):
    other_process = make_app(migrated_url)
    elsewhere = webtest.TestApp(other_process, extra_environ=HOST, cookiejar=bo.cookiejar)
    try:
        assert greeting(elsewhere) == "Bo"
        act(admin, db, "Bo", "disable")
        assert greeting(elsewhere) is None
    finally:
        other_process.registry[ENGINE].dispose()


def test_programs_do_the_same(admin, bo, db):
    address = page_of(db, "Bo")

    answer = admin.post_json(f"{address}/disable", {})
    assert answer.json["user"]["status"] == "disabled"
    assert admin.post_json(f"{address}/enable", {}).json["user"]["status"] == "active"
    sign_in(bo, email="bo@example.com")
    assert admin.post_json(f"{address}/end-sessions", {}).json == {"ended": 1}
    answer = admin.post_json(f"{address}/role", {"role": "admin"})
    assert answer.json["user"]["role"] == "admin"


def test_what_is_so_already_is_not_done_again(admin, bo, db):
    for action in ("disable", "enable"):
        for _ in range(2):
            admin.post_json(f"{page_of(db, 'Bo')}/{action}", {}, status=200)
    admin.post_json(f"{page_of(db, 'Bo')}/role", {"role": "member"}, status=200)
    admin.post_json(f"{page_of(db, 'Bo')}/end-sessions", {}, status=200)

    assert [kind for kind, _, _ in events(db)] == ["disabled", "sessions_revoked", "enabled"]


def test_links_in_mail_die_with_a_disabled_account(admin, bo, db):
    for table, rows in {
        "tokens": "(token_hash, purpose, user_id, email, expires_at) "
        "SELECT 'x', 'reset_password', id, email, now() + interval '1 hour'",
        "outbox": "(kind, recipient, user_id) SELECT 'change_email', 'bo@new.example.com', id",
    }.items():
        db.execute(text(f"INSERT INTO {table} {rows} FROM users WHERE name = 'Bo'"))

    act(admin, db, "Bo", "disable")

    assert count(db, "tokens") == 0
    waiting = db.execute(text("SELECT kind FROM outbox")).scalars().all()
    assert "change_email" not in waiting


def test_all_sessions_of_a_user_are_ended(admin, bo, db):
    sign_in(another(bo), email="bo@example.com")

    page = act(admin, db, "Bo", "end-sessions").follow()

    assert "This person is signed in nowhere." in page
    assert greeting(bo) is None
    assert events(db) == [("sessions_revoked", "Bo", "Ada Lovelace")]
    assert sign_in(bo, email="bo@example.com").status_int == 303


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("disable", "account_disabled"),
        ("end-sessions", "sessions_ended"),
        ("role", "role_changed"),
    ],
)
def test_owner_has_one_letter_of_what_an_administrator_did(admin, bo, db, action, kind):
    db.execute(text("DELETE FROM outbox"))

    act(admin, db, "Bo", action, **({"role": "admin"} if action == "role" else {}))

    assert letters(db) == [(kind, "bo@example.com")]
    params = db.execute(text("SELECT params FROM outbox")).scalar_one()
    assert (params["by"], params["address"], params["user_agent"]) == ("administrator", "", "")


def test_owner_of_an_account_that_was_enabled_has_a_letter(admin, bo, db):
    act(admin, db, "Bo", "disable")
    db.execute(text("DELETE FROM outbox"))

    act(admin, db, "Bo", "enable")

    assert letters(db) == [("account_enabled", "bo@example.com")]


# Roles.


def test_new_role_ends_all_sessions_and_holds_from_the_next_sign_in_on(admin, bo, db):
    page = act(admin, db, "Bo", "role", role="admin").follow()

    assert "The role has been changed." in page
    assert greeting(bo) is None
    assert events(db) == [
        ("role_changed", "Bo", "Ada Lovelace"),
        ("sessions_revoked", "Bo", "Ada Lovelace"),
    ]
    assert ("role_changed", "bo@example.com") in letters(db)
    sign_in(bo, email="bo@example.com")
    bo.get(LIST, status=200)


@pytest.mark.parametrize("role", ["", "king", "\x00"])
def test_roles_that_there_are_not_are_refused_beside_the_field(admin, bo, db, role):
    form = form_to(admin.get(page_of(db, "Bo")), f"{page_of(db, 'Bo')}/role")
    form["role"].force_value(role)

    page = form.submit(status=400)

    field = page.html.find("select", attrs={"aria-invalid": "true"})
    assert field["name"] == "role"
    assert page.html.find(id=field["aria-describedby"]).get_text(strip=True)
    answer = admin.post_json(f"{page_of(db, 'Bo')}/role", {"role": role}, status=400)
    assert list(answer.json["error"]["fields"]) == ["role"]
    assert state_of(db, "Bo") == ("member", "active")


# Second factors.


def test_second_factor_that_was_lost_is_reset(admin, bo, db):
    turn_on(bo)

    answer = act(admin, db, "Bo", "reset-second-factor")

    assert path_of(answer) == page_of(db, "Bo")
    page = answer.follow()
    assert "The password is the only factor now, and all sessions have ended." in page
    assert greeting(bo) is None
    assert path_of(sign_in(another(bo), email="bo@example.com")) == "/account"
    for table in ("second_factors", "recovery_codes"):
        assert count(db, table) == 0
    assert events(db) == [
        ("second_factor_disabled", "Bo", "Ada Lovelace"),
        ("sessions_revoked", "Bo", "Ada Lovelace"),
    ]


def test_owner_of_a_second_factor_that_was_reset_has_a_letter_without_the_administrators_browser(
    admin, bo, db
):
    turn_on(bo)
    forget_the_past(db)

    act(admin, db, "Bo", "reset-second-factor")

    assert letters(db) == [("second_factor_disabled", "bo@example.com")]
    params = db.execute(text("SELECT params FROM outbox")).scalar_one()
    assert (params["by"], params["address"], params["user_agent"]) == ("administrator", "", "")


def test_form_for_it_stands_only_where_there_is_a_second_factor(admin, bo, db):
    address = f"{page_of(db, 'Bo')}/reset-second-factor"
    assert address not in admin.get(page_of(db, "Bo"))

    turn_on(bo)

    assert address in admin.get(page_of(db, "Bo"))
    act(admin, db, "Bo", "reset-second-factor")
    assert address not in admin.get(page_of(db, "Bo"))


def test_programs_reset_a_second_factor(admin, bo, db):
    turn_on(bo)

    answer = admin.post_json(f"{page_of(db, 'Bo')}/reset-second-factor", {}, status=200)

    assert answer.json["user"]["name"] == "Bo"
    assert answer.json["user"]["second_factor_at"] is None
    assert greeting(bo) is None


def test_where_there_is_no_second_factor_nothing_is_reset(admin, bo, db):
    answer = admin.post_json(f"{page_of(db, 'Bo')}/reset-second-factor", {}, status=200)
    assert answer.json["user"]["name"] == "Bo"

    assert greeting(bo) == "Bo"
    assert greeting(admin) == "Ada Lovelace"
    assert events(db) == []


def test_own_second_factor_is_turned_off_in_ones_own_account_only(admin, db):
    """There it takes more than a session."""
    turn_on(admin)
    address = page_of(db, "Ada Lovelace")

    assert "reset-second-factor" not in admin.get(address)
    answer = admin.post_json(f"{address}/reset-second-factor", {}, status=409)

    assert answer.json["error"]["code"] == "own_account"
    assert greeting(admin) == "Ada Lovelace"
    assert count(db, "second_factors") == 1


# Oneself, and the last administrator.


@pytest.mark.parametrize(
    ("action", "fields"), [("disable", {}), ("role", {"role": "member"})], ids=["disable", "role"]
)
def test_last_administrator_stays_one(admin, bo, db, action, fields):
    page = act(admin, db, "Ada Lovelace", action, confirm=True, **fields)

    assert page.status_int == 409
    assert page.html.h1.get_text() == "This is the last administrator"
    address = f"{page_of(db, 'Ada Lovelace')}/{action}"
    answer = admin.post_json(address, {"confirm": True, **fields}, status=409)
    assert answer.json["error"]["code"] == "last_admin"
    assert state_of(db, "Ada Lovelace") == ("admin", "active")
    admin.get(LIST, status=200)
    assert events(db) == []


def test_last_administrator_cannot_delete_their_account(admin, bo, db):
    # One who is disabled could not administer anything.
    db.execute(text("UPDATE users SET role = 'admin', status = 'disabled' WHERE name = 'Bo'"))

    page = fill_in(admin.get("/account/delete"), "/account/delete", current_password=PASSWORD)

    assert page.status_int == 409
    assert "Make somebody else an administrator first." in page
    assert state_of(db, "Ada Lovelace") == ("admin", "active")
    admin.get(LIST, status=200)


def test_administrator_who_is_not_the_last_may_leave(admin, second_admin, db):
    answer = fill_in(admin.get("/account/delete"), "/account/delete", current_password=PASSWORD)

    assert answer.status_int == 303
    assert listed(second_admin) == ["Cy"]


@pytest.mark.parametrize(
    ("action", "fields"), [("disable", {}), ("role", {"role": "member"})], ids=["disable", "role"]
)
def test_what_is_done_to_oneself_has_to_be_confirmed(admin, second_admin, db, action, fields):
    page = act(admin, db, "Ada Lovelace", action, **fields)

    assert page.status_int == 400
    box = page.html.find(id="confirm")
    assert box["aria-invalid"] == "true"
    assert "own access" in page.html.find(id=box["aria-describedby"]).get_text()
    assert "This is your own account." in page
    assert state_of(db, "Ada Lovelace") == ("admin", "active")

    answer = act(admin, db, "Ada Lovelace", action, confirm=True, **fields)

    assert path_of(answer) == "/"
    assert is_cleared(session_cookie(answer))
    assert state_of(db, "Ada Lovelace") != ("admin", "active")
    assert greeting(admin) is None


def test_role_that_one_has_already_needs_no_new_sign_in(admin, db):
    answer = act(admin, db, "Ada Lovelace", "role", role="admin", confirm=True)

    assert path_of(answer) == page_of(db, "Ada Lovelace")
    assert greeting(admin) is not None


def test_own_sessions_end_with_this_one(admin, db):
    other = another(admin)
    sign_in(other)

    answer = act(admin, db, "Ada Lovelace", "end-sessions")

    assert path_of(answer) == "/"
    assert greeting(admin) is greeting(other) is None
    assert count(db, "sessions") == 0


# At once.


def test_two_administrators_who_demote_each_other_cannot_both_succeed(
    admin, second_admin, db, engine
):
    pages = [(admin, "Cy"), (second_admin, "Ada Lovelace")]
    forms = [
        form_to(browser.get(page_of(db, name)), f"{page_of(db, name)}/role")
        for browser, name in pages
    ]
    for form in forms:
        form["role"] = "member"

    with ThreadPoolExecutor(2) as threads, engine.connect() as holder:
        # Both requests have begun, with both of them administrators, before either goes on.
        holder.execute(text("SELECT id FROM users FOR UPDATE"))
        answers = [threads.submit(form.submit, status="*") for form in forms]
        wait_until_blocked(db, 2)
        holder.rollback()
        statuses = sorted(answer.result().status_int for answer in answers)

    assert statuses == [303, 403]
    roles = db.execute(text("SELECT role FROM users ORDER BY role")).scalars().all()
    assert roles == ["admin", "member"]


def test_two_administrators_who_leave_at_once_cannot_both_do_so(admin, second_admin, db, engine):
    forms = [
        form_to(browser.get("/account/delete"), "/account/delete")
        for browser in (admin, second_admin)
    ]
    for form in forms:
        form["current_password"] = PASSWORD

    with ThreadPoolExecutor(2) as threads, engine.connect() as holder:
        holder.execute(text("SELECT id FROM users FOR UPDATE"))
        answers = [threads.submit(form.submit, status="*") for form in forms]
        wait_until_blocked(db, 2)
        holder.rollback()
        statuses = sorted(answer.result().status_int for answer in answers)

    assert statuses == [303, 409]
    assert count(db, "users") == 1


def test_sign_in_under_way_does_not_slip_past_being_disabled(lab_app, db, view):
    """It was verified before, and commits after it."""
    admin, bo = another(lab_app), another(lab_app)
    sign_up(admin)
    db.execute(text("UPDATE users SET role = 'admin'"))
    sign_up(another(lab_app), email="bo@example.com", name="Bo")
    verified, disabled = threading.Event(), threading.Event()

    def slow_sign_in(request):
        visitor = Visitor("192.0.2.1")
        found = request.services.passwords.authenticate("bo@example.com", PASSWORD, visitor)
        verified.set()
        disabled.wait(2)
        request.session.sign_in(found.user.id)
        return {}

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(bo.get, view(slow_sign_in), status="*")
        assert verified.wait(10)
        disabling = threads.submit(act, admin, db, "Bo", "disable")
        wait_until_blocked(db)
        disabled.set()
        assert slow.result().status_int == 200
        assert disabling.result().status_int == 303

    assert greeting(bo) is None


# All or nothing.


@pytest.mark.parametrize(
    "change",
    [
        lambda administration, user: administration.disable(user.id),
        lambda administration, user: administration.set_role(user.id, Role.ADMIN),
        lambda administration, user: administration.end_sessions(user.id),
        lambda administration, user: administration.delete(user.id),
        lambda administration, user: administration.set_password(user.id, "quite another one"),
        lambda administration, user: administration.reset_second_factor(user.id),
    ],
    ids=["disable", "set_role", "end_sessions", "delete", "set_password", "reset_second_factor"],
)
def test_commit_that_fails_leaves_the_account_and_its_sessions_as_they_were(
    lab_app, db, view, change
):
    bo = another(lab_app)
    sign_up(bo, email="bo@example.com", name="Bo")
    turn_on(bo)
    kept = ("users", "second_factors", "recovery_codes", "security_events", "outbox")
    before = {table: rows(db, table) for table in kept}

    def act(request):
        change(
            request.services.administration, request.services.administration.named("bo@example.com")
        )
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    answer = lab_app.get(view(act), status=500)

    assert cookies_set(answer) == []
    assert {table: rows(db, table) for table in kept} == before
    assert greeting(bo) == "Bo"


def test_pages_work_for_whoever_was_made_an_administrator_in_the_database(app, db):
    sign_up(app)
    db.execute(text("UPDATE users SET role = 'admin'"))
    browser = another(app)
    sign_in_as(browser, id_of(db, "Ada Lovelace"))

    browser.get(LIST, status=200)
