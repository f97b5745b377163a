"""The session and the application's own rows are kept together or lost together."""

from uuid import uuid4

import pytest
import webtest
from pyramid.httpexceptions import exception_response
from pyramid.response import Response
from sqlalchemy import insert, text
from transaction.interfaces import TransientError

from authapp.sessions import SessionLost
from tests.functional.conftest import HOST
from tests.functional.lab import VIEWS, LabError, Note
from tests.functional.support import (
    JSON,
    NAME,
    another,
    cookies_set,
    count,
    greeting,
    is_cleared,
    path_of,
    session_cookie,
    sign_in,
    sign_up,
    the_session,
    ticket_in,
)

VETO = {"tm__commit_veto": "pyramid_tm.default_commit_veto"}


@pytest.fixture(params=[{}, VETO], ids=["no veto", "default veto"])
def settings(request):
    return request.param


@pytest.fixture
def browser(make_lab, settings, db):
    db.execute(text("DELETE FROM lab_notes"))
    return webtest.TestApp(make_lab(**settings), extra_environ=HOST)


def write(request, note="written"):
    request.session["note"] = note
    request.dbsession.add(Note(text=note))


def content(request):
    return dict(request.session)


def kept(db):
    """Whether the session and the row were kept: both, or neither."""
    noted = text("SELECT data->>'note' FROM sessions WHERE data->>'note' IS NOT NULL")
    sessions = db.execute(noted).scalars().all()
    notes = db.execute(text("SELECT text FROM lab_notes")).scalars().all()
    assert sessions == notes
    return bool(notes)


@pytest.mark.parametrize("how", ["return", "raise"])
@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 500])
def test_session_and_row_are_kept_both_or_neither(browser, db, view, settings, how, status):
    def act(request):
        write(request)
        response = exception_response(status, **({"location": "/"} if status == 302 else {}))
        if how == "raise":
            raise response
        return response

    is_lost = how == "raise" and not settings
    if is_lost and status == 302:
        # It would look as if all had been well.
        with pytest.raises(SessionLost, match="return the redirect"):
            browser.get(view(act), status="*")
        assert not kept(db)
        return

    answer = browser.get(view(act), headers=JSON, status="*")

    expected = 401 if how == "raise" and status == 403 else status
    assert answer.status_int == expected
    is_vetoed = settings == VETO and status >= 400
    assert kept(db) is not (is_lost or is_vetoed)
    assert len(cookies_set(answer)) == count(db, "sessions")


@pytest.mark.parametrize("how", ["return", "raise"])
@pytest.mark.parametrize("status", [200, 403, 500])
def test_change_of_a_stored_session_is_kept_or_lost_with_the_row(
    browser, db, view, settings, how, status
):
    sign_up(browser)
    before = the_session(db)

    def act(request):
        write(request)
        request.session.rotate()
        response = exception_response(status)
        if how == "raise":
            raise response
        return response

    answer = browser.get(view(act), status=status)

    is_kept = how == "return" if not settings else status < 400
    after = the_session(db)
    assert kept(db) is is_kept
    assert (after.token_hash != before.token_hash) is is_kept
    assert len(cookies_set(answer)) == int(is_kept)
    assert after.id == before.id
    assert greeting(browser) == NAME


def test_doomed_transaction_keeps_nothing(browser, db, view):
    def act(request):
        write(request)
        request.tm.doom()
        return {}

    answer = browser.get(view(act), status=200)

    assert not kept(db)
    assert cookies_set(answer) == []


def test_commit_that_fails_keeps_nothing_and_is_no_success(browser, db, view, caplog):
    def act(request):
        write(request)
        request.dbsession.add(Note(text="written"))  # A second of the name, which fails at COMMIT.
        return {"success": True}

    answer = browser.get(view(act), status=500)

    assert not kept(db)
    assert cookies_set(answer) == []
    assert "success" not in answer
    assert "IntegrityError" in caplog.text
    browser.get(view(lambda request: write(request) or {}), status=200)
    assert kept(db)


def test_commit_that_fails_leaves_a_stored_session_as_it_was(browser, db, view):
    sign_up(browser)
    before = the_session(db)

    def act(request):
        request.session["note"] = "new"
        request.session.rotate()
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    answer = browser.get(view(act), status=500)

    assert cookies_set(answer) == []
    assert the_session(db) == before
    assert greeting(browser) == NAME


def test_sign_in_whose_commit_fails_signs_nobody_in(lab_app, db, view):
    sign_up(another(lab_app))
    user_id = db.execute(text("SELECT id FROM users")).scalar_one()
    db.execute(text("DELETE FROM sessions"))

    def act(request):
        request.session.sign_in(user_id)
        request.dbsession.add_all([Note(text="same"), Note(text="same")])
        return {}

    answer = lab_app.get(view(act), status=500)

    assert cookies_set(answer) == []
    assert count(db, "sessions") == 0
    assert greeting(lab_app) is None


def test_sign_out_whose_transaction_is_rolled_back_leaves_the_person_signed_in(lab_app, db, view):
    sign_up(lab_app)

    def act(request):
        request.session.invalidate()
        raise RuntimeError("too late")

    answer = lab_app.get(view(act), status=500)

    assert cookies_set(answer) == []
    assert count(db, "sessions") == 1
    assert greeting(lab_app) == NAME


def test_error_keeps_nothing(browser, db, view):
    def act(request):
        write(request)
        request.dbsession.flush()
        raise RuntimeError("broken")

    answer = browser.get(view(act), status=500)

    assert not kept(db)
    assert cookies_set(answer) == []


def test_exception_view_keeps_nothing(lab_app, db, view):
    def act(request):
        write(request)
        raise LabError

    answer = lab_app.get(view(act), status=200)

    assert answer.text == "caught"
    assert not kept(db)
    assert cookies_set(answer) == []


def test_what_an_exception_view_writes_is_lost_with_the_rest(lab_app, db, view):
    def act(request):
        raise LabError

    VIEWS["caught"] = lambda request: write(request, "too late")

    answer = lab_app.get(view(act), status=200)

    assert answer.text == "caught"
    assert not kept(db)
    assert cookies_set(answer) == []


def test_exception_view_that_flashes_and_redirects_fails_loudly(lab_app, db, view):
    """The person would never see the message, and nobody would know why."""

    def act(request):
        raise LabError

    def ask_to_sign_in(request):
        request.session.flash("Please sign in.")
        return exception_response(302, location="/")

    VIEWS["caught"] = ask_to_sign_in

    with pytest.raises(SessionLost, match="LabError was raised"):
        lab_app.get(view(act))
    assert count(db, "sessions") == 0


def test_what_a_view_that_refuses_has_changed_is_lost_quietly(lab_app, db, view):
    """Although a visitor is then sent to the sign-in page: it is the error that discards it."""

    def act(request):
        request.session["note"] = "too late"
        raise exception_response(403)

    answer = lab_app.get(view(act), status=303)

    assert path_of(answer).startswith("/sign-in")
    assert count(db, "sessions") == 0


def test_exception_view_may_save_what_it_flashes(lab_app, view):
    def act(request):
        raise LabError

    def ask_to_sign_in(request):
        request.session.flash("Please sign in.")
        request.session.save_now()
        return exception_response(302, location="/")

    VIEWS["caught"] = ask_to_sign_in

    lab_app.get(view(act), status=302)

    shown = lab_app.get(view(lambda request: request.session.pop_flash()))
    assert shown.json == ["Please sign in."]


def test_rows_written_by_statements_are_kept_with_the_session(lab_app, db, view):
    def act(request):
        request.session["note"] = "written"
        request.dbsession.execute(insert(Note).values(text="written"))
        return {}

    lab_app.get(view(act), status=200)

    assert kept(db)


def test_session_alone_is_kept(lab_app, db, view):
    def act(request):
        request.session["note"] = "written"
        return {}

    answer = lab_app.get(view(act), status=200)

    assert the_session(db).data == {"note": "written"}
    cookie = session_cookie(answer)
    assert ticket_in(cookie.value).token_hash == bytes(the_session(db).token_hash)
    assert lab_app.get(view(content)).json == {"note": "written"}


def test_row_alone_makes_no_session(lab_app, db, view):
    def act(request):
        request.dbsession.add(Note(text="written"))
        return {}

    answer = lab_app.get(view(act), status=200)

    assert count(db, "lab_notes") == 1
    assert count(db, "sessions") == 0
    assert cookies_set(answer) == []


# Requests that are run again.


def test_request_that_is_run_again_starts_afresh(lab_app, db, view):
    attempts = []

    def act(request):
        attempts.append(dict(request.session))
        request.session["note"] = f"attempt {len(attempts)}"
        request.dbsession.add(Note(text=f"attempt {len(attempts)}"))
        if len(attempts) < 3:
            raise TransientError
        return {}

    answer = lab_app.get(view(act), status=200)

    assert attempts == [{}, {}, {}]
    assert the_session(db).data == {"note": "attempt 3"}
    assert db.execute(text("SELECT text FROM lab_notes")).scalars().all() == ["attempt 3"]
    token = ticket_in(session_cookie(answer).value)
    assert token.token_hash == bytes(the_session(db).token_hash)


def test_request_that_is_run_again_reads_what_was_committed_meanwhile(lab_app, db, view):
    sign_up(lab_app)
    seen = []

    def act(request):
        seen.append(request.session.get("note"))
        if len(seen) == 1:
            db.execute(text("""UPDATE sessions SET data = '{"note": "meanwhile"}'"""))
        request.session["note"] = f"{seen[-1]}, and mine"
        return {}

    lab_app.get(view(act), status=200)

    assert seen == [None, "meanwhile"]
    assert the_session(db).data == {"note": "meanwhile, and mine"}


def test_form_is_still_there_when_a_request_is_run_again(lab_app, view):
    seen = []

    def act(request):
        seen.append((request.POST["field"], request.method))
        if len(seen) < 2:
            raise TransientError
        return {}

    lab_app.post(view(act), {"field": "value"}, status=200)

    assert seen == [("value", "POST")] * 2


def test_request_that_can_never_succeed_is_a_503(lab_app, db, view, caplog):
    attempts = []

    def act(request):
        attempts.append(1)
        write(request)
        raise TransientError

    page = lab_app.get(view(act), status=503)

    assert len(attempts) == 3
    assert int(page.headers["Retry-After"]) > 0
    assert page.html.h1
    assert not kept(db)
    assert cookies_set(page) == []
    answer = lab_app.get(view(act), headers=JSON, status=503)
    assert answer.json["error"]["code"] == "unavailable"


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
@pytest.mark.parametrize("at_commit", [False, True])
def test_request_that_lost_against_another_is_run_again(lab_app, db, view, sqlstate, at_commit):
    fail = f"RAISE EXCEPTION 'lost' USING ERRCODE = '{sqlstate}'"
    db.execute(
        text(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF NEW.text = 'first' THEN {fail}; END IF; RETURN NEW; END $$"
        )
    )
    when = "DEFERRABLE INITIALLY DEFERRED" if at_commit else ""
    db.execute(
        text(
            f"CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON lab_notes {when} "
            "FOR EACH ROW EXECUTE FUNCTION lose()"
        )
    )
    attempts = []

    def act(request):
        attempts.append(1)
        write(request, "first" if len(attempts) == 1 else "second")
        return {}

    try:
        lab_app.get(view(act), status=200)
    finally:
        db.execute(text("DROP FUNCTION lose CASCADE"))

    assert len(attempts) == 2
    assert db.execute(text("SELECT text FROM lab_notes")).scalars().all() == ["second"]
    assert kept(db)


# What must not be left behind.


def test_no_connection_stays_in_a_transaction_whatever_happened(lab_app, db, view):
    def failing_commit(request):
        write(request)
        request.dbsession.add(Note(text="written"))
        return {}

    def too_large(request):
        request.session["note"] = "x" * 70_000
        request.dbsession.add(Note(text="large"))
        return {}

    def nested_unserializable(request):
        request.session["note"] = {}
        request.session["note"]["deep"] = object()
        request.dbsession.add(Note(text="odd"))
        return {}

    def transient(request):
        write(request)
        raise TransientError

    def no_such_user(request):
        request.session.sign_in(uuid4())
        request.dbsession.add(Note(text="nobody's"))
        return {}

    for act in (failing_commit, too_large, nested_unserializable, transient, no_such_user):
        answer = lab_app.get(view(act), status="*")
        assert answer.status_int in {500, 503}, act
        assert cookies_set(answer) == [], act

    in_transaction = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state LIKE 'idle in transaction%'"
    )
    assert db.execute(in_transaction).scalar_one() == 0
    assert count(db, "lab_notes") == 0
    assert count(db, "sessions") == 0


def test_session_that_ended_meanwhile_is_not_revived(lab_app, db, view):
    sign_up(lab_app)

    def act(request):
        request.session["note"] = "written"
        request.dbsession.add(Note(text="written"))
        db.execute(text("DELETE FROM sessions"))
        return Response("done")

    answer = lab_app.get(view(act), status=200)

    assert answer.text == "done"
    assert is_cleared(session_cookie(answer))
    assert count(db, "sessions") == 0
    assert count(db, "lab_notes") == 1


def test_sign_in_stands_though_the_visitors_session_ended_meanwhile(lab_app, db, view):
    sign_up(another(lab_app))
    user_id = db.execute(text("SELECT id FROM users")).scalar_one()
    lab_app.get(view(lambda request: write(request) or {}))

    def act(request):
        assert request.session["note"]
        db.execute(text("DELETE FROM sessions"))
        request.session.sign_in(user_id)
        return {}

    lab_app.get(view(act), status=200)

    assert greeting(lab_app) == NAME
    assert the_session(db).data == {}


def test_sessions_work_with_the_default_veto_too(make_lab, db):
    app = webtest.TestApp(make_lab(**VETO), extra_environ=HOST)

    assert sign_up(app).status_int == 303
    assert greeting(app) == NAME
    assert sign_in(another(app)).status_int == 303
    assert sign_in(another(app), password="wrong password").status_int == 401
    app.post_json("/sign-out", {}, status=204)
    assert greeting(app) is None
