import json

import pytest
from sqlalchemy import text

from authapp.domain.events import AccountEvent
from authapp.repositories import ENGINE
from authapp.views.activity_words import SENTENCES
from tests.functional.support import (
    EMAIL,
    JSON,
    NAME,
    PASSWORD,
    another,
    csrf_token,
    fill_in,
    form_to,
    path_of,
    sign_in,
    sign_out,
    sign_up,
    statements_on,
)

PAGE = "/account/activity"
NOTIFY = "/account/activity/notify"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"


@pytest.fixture
def ada(app):
    browser = another(app, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.1")
    sign_up(browser)
    return browser


def listed(app, **query):
    return app.get(PAGE, query, headers=JSON, status=200).json["events"]


def parts(page):
    """The cells of each row of the table, without its heading."""
    return [
        [" ".join(cell.get_text(" ").split()) for cell in row.find_all(["th", "td"])]
        for row in page.html.main.find("tbody").find_all("tr")
    ]


def insert(db, kind="signed_in", number=1, email=EMAIL, details=None, by=None, **columns):
    db.execute(
        text(
            "INSERT INTO security_events (kind, user_id, by_id, address, user_agent, details) "
            "SELECT :kind, (SELECT id FROM users WHERE email = :email), :by, :address, "
            ":user_agent, cast(:details AS jsonb) FROM generate_series(1, :number)"
        ),
        {
            "kind": kind,
            "email": email,
            "number": number,
            "by": by,
            "details": json.dumps(details or {}),
            "address": columns.get("address"),
            "user_agent": columns.get("user_agent"),
        },
    )


# What it shows.


def test_events_are_shown_in_words_the_newest_first(ada, db):
    sign_in(another(ada, REMOTE_ADDR="2001:db8::1"), password="wrong password")
    db.execute(text("UPDATE security_events SET created_at = '2026-02-03 04:05:06+01'"))

    page = ada.get(PAGE, status=200)

    assert parts(page) == [
        [
            "A sign-in was refused Refused",
            "Firefox 133 on Windows 2001:db8::1",
            "February 3, 2026, 3:05 AM UTC",
        ],
        [
            "The account was made",
            "Firefox 133 on Windows 192.0.2.1",
            "February 3, 2026, 3:05 AM UTC",
        ],
    ]
    assert page.html.time["datetime"] == "2026-02-03T03:05:06+00:00"


def test_program_gets_them_in_utc(ada, db):
    ada.post_json("/account/delete", {"current_password": "wrong"}, status=400)
    db.execute(text("UPDATE security_events SET created_at = '2026-02-03 04:05:06+01'"))

    events = listed(ada)

    assert [event.pop("id") for event in events] == sorted(
        db.execute(text("SELECT id FROM security_events")).scalars(), reverse=True
    )
    where = {
        "created_at": "2026-02-03T03:05:06+00:00",
        "address": "192.0.2.1",
        "user_agent": FIREFOX,
        "by_administrator": False,
        "details": {},
    }
    assert events == [{"kind": "wrong_password", **where}, {"kind": "signed_up", **where}]


def test_details_are_told(ada, db):
    sign_out(ada)
    sign_in(ada)
    sign_in(another(ada))

    assert [(e["kind"], e["details"]) for e in listed(ada)][:3] == [
        ("signed_in", {"new_device": True, "second_factor": False}),
        ("signed_in", {"new_device": False, "second_factor": False}),
        ("signed_out", {}),
    ]
    assert [entry[0] for entry in parts(ada.get(PAGE))] == [
        "Signed in with a new browser",
        "Signed in",
        "Signed out",
        "The account was made",
    ]


def test_other_people_s_events_never_appear(app, ada, db):
    eve = another(app)
    sign_up(eve, email="eve@example.com", name="Eve")
    sign_in(another(app), email="nobody@example.com")
    sign_in(another(app), email=EMAIL, password="wrong password")

    assert [event["kind"] for event in listed(ada)] == ["sign_in_failed", "signed_up"]
    assert [event["kind"] for event in listed(eve)] == ["signed_up"]
    every = db.execute(text("SELECT max(id) + 1 FROM security_events")).scalar_one()
    assert [event["kind"] for event in listed(eve, before=every)] == ["signed_up"]


def test_of_what_an_administrator_did_neither_address_nor_browser_is_shown(ada, db):
    insert(db, "disabled", by="81b091cd-b9cd-4cad-8eda-ee0e258f5978", address="198.51.100.9")

    event = listed(ada)[0]
    page = ada.get(PAGE)

    assert (event["address"], event["user_agent"]) == (None, None)
    assert event["by_administrator"] is True
    assert parts(page)[0][:2] == ["The account was disabled", "By an administrator"]
    assert "198.51.100.9" not in page
    assert "81b091cd" not in page.text + json.dumps(event)


def test_markup_in_what_browsers_and_events_say_stays_text(ada, db):
    insert(
        db, "email_change_requested", details={"new_email": "<b>x</b>@y"}, user_agent="<i>z</i>/1"
    )

    page = ada.get(PAGE)

    assert page.html.main.find("b") is None
    assert page.html.main.find("i") is None
    assert "<b>x</b>@y" in parts(page)[0][0]


def test_every_event_there_is_has_words():
    own = [e for e in AccountEvent.__subclasses__() if e.__module__ == AccountEvent.__module__]

    kinds = {event.kind for event in own}
    assert kinds == set(SENTENCES)


@pytest.mark.parametrize(
    ("kind", "details", "words"),
    [
        ("sessions_revoked", {"count": 1}, "One session was signed out"),
        ("sessions_revoked", {"count": 3}, "3 sessions were signed out"),
        ("sessions_revoked", {}, "Sessions were signed out"),
        ("sign_in_failed", {"second_factor": True}, "A sign-in failed: the code was wrong Refused"),
        ("recovery_code_used", {"left": 0}, "A recovery code was used; 0 are left"),
        ("role_changed", {"new_role": "admin"}, "The account became an administrator's"),
        ("role_changed", {"new_role": "member"}, "The account is no longer an administrator's"),
        ("email_changed", {}, "The email address was changed; it was …"),
        ("order_placed", {}, "Order placed"),
        ("{0} {x.y}", {}, "{0} {x.y}"),
    ],
)
def test_words_fit_what_happened(ada, db, kind, details, words):
    insert(db, kind, details=details)

    assert parts(ada.get(PAGE))[0][0] == words


def test_page_is_linked_from_the_account_and_belongs_to_it(ada):
    assert ada.get("/account").html.main.find("a", href=PAGE)
    assert ada.get(PAGE).html.nav.find("a", href="/account")["aria-current"] == "true"


# Going back in time.


def test_fifty_are_on_a_page_and_a_link_leads_to_the_older_ones(ada, db):
    insert(db, number=120)

    seen, page = [], ada.get(PAGE)
    while True:
        assert len(parts(page)) <= 50
        seen += parts(page)
        link = page.html.main.find("a", rel="next")
        if link is None:
            break
        assert link.get_text() == "Older"
        page = ada.get(link["href"])

    assert len(seen) == 121
    assert seen[-1][0] == "The account was made"


def test_no_link_leads_to_an_empty_page(ada, db):
    insert(db, number=49)

    page = ada.get(PAGE)

    assert len(parts(page)) == 50
    assert page.html.main.find("a", rel="next") is None


def test_program_pages_by_the_last_id(ada, db):
    insert(db, number=60)
    first = listed(ada)
    second = listed(ada, before=first[-1]["id"])

    assert [len(first), len(second)] == [50, 11]
    assert first[-1]["id"] > second[0]["id"]
    assert listed(ada, before=second[-1]["id"]) == []
    assert "There is nothing more." in ada.get(PAGE, {"before": second[-1]["id"]})


@pytest.mark.parametrize("before", ["x", "-1", "1.5", "9" * 19, "٣", "1 OR 1=1", "\0"])
def test_what_is_no_id_is_refused(ada, before):
    ada.get(PAGE, {"before": before}, status=400)
    answer = ada.get(PAGE, {"before": before}, headers=JSON, status=400)
    assert answer.json["error"]["code"] == "bad_request"


@pytest.mark.parametrize("query", ["before=1&before=2", "before=1&before=1", "before=&before="])
def test_more_than_one_id_is_refused(ada, query):
    ada.get(f"{PAGE}?{query}", status=400)
    answer = ada.get(f"{PAGE}?{query}", headers=JSON, status=400)
    assert answer.json["error"]["code"] == "bad_request"


def test_it_costs_one_select_besides_that_of_the_session(ada, db):
    insert(db, number=60)

    for headers in ({}, JSON):
        with statements_on(ada.app.registry[ENGINE]) as statements:
            ada.get(PAGE, headers=headers)
        assert [s.split()[0] for s in statements] == ["SELECT", "SELECT"]


# Mail about sign-ins.


def notify(db):
    return db.execute(text("SELECT notify_sign_in FROM users")).scalar_one()


def test_mail_about_sign_ins_is_switched_off_and_on(ada, db):
    assert form_to(ada.get(PAGE), NOTIFY)["notify"].checked

    answer = fill_in(ada.get(PAGE), NOTIFY, notify=False)
    assert answer.status_int == 303
    assert path_of(answer) == PAGE
    page = answer.follow()
    words = page.html.find(attrs={"role": "status"}).get_text()
    assert words == "You no longer get emails about sign-ins with new browsers."
    assert not form_to(page, NOTIFY)["notify"].checked
    assert notify(db) is False

    page = fill_in(page, NOTIFY, notify=True).follow()
    words = page.html.find(attrs={"role": "status"}).get_text()
    assert words == "You get an email about sign-ins with new browsers."
    assert notify(db) is True
    assert [entry[0] for entry in parts(page)][:2] == [
        "Email about sign-ins with new browsers was turned on",
        "Email about sign-ins with new browsers was turned off",
    ]


def test_program_switches_it(ada, db):
    ada.post_json(NOTIFY, {"notify": False}, status=204)
    assert notify(db) is False
    ada.post_json(NOTIFY, {"notify": True}, status=204)
    assert notify(db) is True


def test_what_is_no_choice_is_refused_and_changes_nothing(ada, db):
    answer = ada.post_json(NOTIFY, {"notify": ["x"]}, status=400)
    assert answer.json["error"]["fields"] == {"notify": ["This must be text."]}
    token = csrf_token(ada.get(PAGE))
    fields = [("notify", "1"), ("notify", "1"), ("csrf_token", token)]

    page = ada.post(NOTIFY, fields, status=400)

    assert "This field was sent more than once." in page
    assert notify(db) is True
    ada.post(NOTIFY, {"notify": ""}, status=400)  # Without the form's token.
    assert notify(db) is True


# Who may.


def test_visitor_is_sent_to_sign_in(app):
    assert path_of(app.get(PAGE, status=303)) == "/sign-in?next=%2Faccount%2Factivity"
    assert app.get(PAGE, headers=JSON, status=401).json["error"]["code"] == "unauthenticated"
    assert app.post_json(NOTIFY, {}, status=401).json["error"]["code"] == "unauthenticated"


def test_owner_sees_what_others_tried_and_none_of_what_they_typed(app, ada):
    sign_in(another(app), password="a password for something else")
    sign_in(another(app), email=PASSWORD)

    page, events = ada.get(PAGE), listed(ada)

    assert NAME not in json.dumps(events)
    assert "a password for something else" not in page.text + json.dumps(events)
    assert [event["kind"] for event in events] == ["sign_in_failed", "signed_up"]
