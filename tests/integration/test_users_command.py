"""`authapp users`, on a real database."""

import json
import logging
import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from authapp.cli.main import main
from authapp.security.passwords import BcryptHasher
from tests.functional.support import failing_commits

PASSWORD = "correct horse battery staple"
EMAIL = "ada@example.com"


@pytest.fixture
def run(ini, migrated_url, db):
    """Runs `authapp users …`; gives the result, whose exit status was the one expected."""

    def run(*args, stdin="", status=0, as_json=False):
        flags = ["--json"] if as_json else []
        command = ["-c", str(ini), *flags, "users", *args]
        result = CliRunner().invoke(main, command, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert result.exit_code == status, result.output
        assert PASSWORD not in result.output
        return result

    return run


@pytest.fixture
def create(run):
    def create(email=EMAIL, name="Ada", *options):
        args = ["create", email, "--name", name, *options]
        return json.loads(run(*args, stdin=PASSWORD + "\n", as_json=True).stdout)["user"]

    return create


def row(db, email=EMAIL):
    statement = text("SELECT * FROM users WHERE email = :email")
    return db.execute(statement, {"email": email}).one()


def add_session(db, email=EMAIL):
    statement = text(
        "INSERT INTO sessions (token_hash, user_id, expires_at) "
        "SELECT sha256(gen_random_uuid()::text::bytea), id, now() + interval '1 day' "
        "FROM users WHERE email = :email"
    )
    db.execute(statement, {"email": email})


def add_second_factor(db, email=EMAIL):
    statement = text(
        "WITH changed AS (UPDATE users SET second_factor_at = now() WHERE email = :email "
        "RETURNING id) INSERT INTO second_factors (user_id, sealed_secret) "
        "SELECT id, 'sealed' FROM changed"
    )
    db.execute(statement, {"email": email})


def sessions(db):
    return db.execute(text("SELECT count(*) FROM sessions")).scalar_one()


def events(db):
    return db.execute(text("SELECT kind FROM security_events ORDER BY id")).scalars().all()


def letters(db):
    return db.execute(text("SELECT kind FROM outbox ORDER BY created_at")).scalars().all()


# Making accounts.


def test_account_is_made(run, db):
    said = run("create", EMAIL, "--name", "Ada", stdin=PASSWORD + "\n").stdout

    ada = row(db)
    assert said == f"made the account {ada.id} of {EMAIL}\n"
    assert (ada.name, ada.role, ada.status, ada.email_verified_at) == (
        *("Ada", "member", "active"),
        None,
    )
    assert BcryptHasher(4).verify(PASSWORD, ada.password_hash)
    assert events(db) == ["signed_up"]
    assert letters(db) == ["verify_email"]


def test_administrator_is_made_whose_address_is_known(create, db):
    user = create(EMAIL, "Ada", "--role", "admin", "--verified")

    assert user["role"] == row(db).role == "admin"
    assert row(db).email_verified_at is not None
    assert events(db) == ["signed_up", "role_changed"]
    assert letters(db) == ["role_changed"]


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        (EMAIL, "short", "password: Use at least 8 characters."),
        (EMAIL, "", "password: This field is required."),
        (EMAIL, "password1", "password: This password is one of those that are guessed first."),
        ("ada", PASSWORD, "email: This is not an email address."),
        ("BO@example.com", PASSWORD, "email: There is already an account with this email"),
        ("\udcff@example.com", PASSWORD, "email: This contains characters that cannot be used"),
        (EMAIL, b"\xff\xff\xff\xff\xff\xff\xff\xff", "the password on standard input is not UTF-8"),
    ],
)
def test_what_the_rules_refuse_is_refused_in_words(run, create, db, email, password, said):
    create("bo@example.com", "Bo")

    result = run("create", email, "--name", "Ada", stdin=password, status=1)

    assert result.stderr.startswith(f"Error: {said}")
    assert db.execute(text("SELECT name FROM users")).scalars().all() == ["Bo"]


@pytest.mark.parametrize(
    "args",
    [
        ["create", EMAIL],
        ["create", EMAIL, "--name", "Ada", "--role", "king"],
        ["create", EMAIL, PASSWORD, "--name", "Ada"],
        ["create", EMAIL, "--name", "Ada", "--password", PASSWORD],
        ["set-role", EMAIL, "king"],
        ["list", "--limit", "0"],
        ["disable"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(ini, migrated_url, db, args):
    result = CliRunner().invoke(main, ["-c", str(ini), "users", *args], input=PASSWORD)

    assert result.exit_code == 2
    assert "Usage: " in result.stderr


# Looking at them.


def test_accounts_are_listed_in_pages(run, create, db):
    for name in ("cy", "Bo", "ada"):
        create(f"{name}@example.com", name)
    run("disable", "bo@example.com")

    first = run("list", "--limit", "2").stdout.splitlines()
    assert [line.split()[1:4] for line in first[:2]] == [
        ["ada@example.com", "member", "active"],
        ["Bo@example.com", "member", "disabled"],
    ]
    assert first[2:] == ["there are more: --after Bo@example.com"]

    found = json.loads(run("list", "--after", "Bo@example.com", as_json=True).stdout)
    assert [user["email"] for user in found["users"]] == ["cy@example.com"]
    assert found["next_after"] is None
    assert "password_hash" not in found["users"][0]
    assert run("list", "--status", "disabled").stdout.split()[1] == "Bo@example.com"
    assert run("list", "--search", "CY").stdout.split()[1] == "cy@example.com"
    assert run("list", "--role", "admin").stdout == "no such users\n"


def test_account_is_shown_by_id_or_address(run, create, db):
    user = create()
    add_session(db)

    by_id, by_email = run("show", user["id"]), run("show", EMAIL.upper())

    assert by_id.stdout == by_email.stdout
    assert "live sessions: 1" in by_id.stdout
    assert "signed_up" in by_id.stdout
    shown = json.loads(run("show", EMAIL, as_json=True).stdout)
    assert shown["user"]["id"] == user["id"]
    assert len(shown["sessions"]) == 1
    assert [event["kind"] for event in shown["events"]] == ["signed_up"]


# Changing them.


def test_new_password_ends_all_sessions(run, create, db):
    create()
    add_session(db)

    before = row(db)

    run("set-password", EMAIL, stdin="quite another one\r\n")

    assert row(db).password_changed_at > before.password_changed_at
    assert BcryptHasher(4).verify("quite another one", row(db).password_hash)
    assert sessions(db) == 0
    assert events(db)[1:] == ["password_changed", "sessions_revoked"]


def test_new_password_is_held_to_the_policy(run, create, db):
    create()
    add_session(db)
    before = row(db)

    result = run("set-password", EMAIL, stdin="short\n", status=1)

    assert result.stderr == "Error: password: Use at least 8 characters.\n"
    assert row(db) == before
    assert sessions(db) == 1


def test_account_is_disabled_and_enabled(run, create, db):
    user = create()
    add_session(db)

    disabled = json.loads(run("disable", user["id"], as_json=True).stdout)
    assert disabled["user"]["status"] == row(db).status == "disabled"
    assert sessions(db) == 0
    run("disable", EMAIL)
    run("enable", EMAIL)
    assert row(db).status == "active"
    assert events(db) == ["signed_up", "disabled", "sessions_revoked", "enabled"]


def test_second_factor_is_reset(run, create, db):
    create()
    add_second_factor(db)
    add_session(db)

    said = run("reset-second-factor", EMAIL).stdout

    assert said == f"{EMAIL} has no second factor; all sessions have ended\n"
    assert row(db).second_factor_at is None
    assert db.execute(text("SELECT count(*) FROM second_factors")).scalar_one() == 0
    assert sessions(db) == 0
    assert events(db) == ["signed_up", "second_factor_disabled", "sessions_revoked"]
    assert letters(db)[1:] == ["second_factor_disabled"]


def test_second_factor_that_there_is_not_is_no_event_and_ends_no_session(run, create, db):
    user = create()
    add_session(db)

    answer = json.loads(run("reset-second-factor", user["id"], as_json=True).stdout)
    said = run("reset-second-factor", EMAIL).stdout

    assert answer["user"]["second_factor_at"] is None
    assert said == f"{EMAIL} has no second factor\n"
    assert sessions(db) == 1
    assert events(db) == ["signed_up"]


def test_role_is_set(run, create, db):
    create()
    add_session(db)

    run("set-role", EMAIL, "admin")

    assert row(db).role == "admin"
    assert sessions(db) == 0
    details = text("SELECT details FROM security_events WHERE kind = 'role_changed'")
    assert db.execute(details).scalar_one() == {"old_role": "member", "new_role": "admin"}


def test_account_is_deleted_once_that_is_confirmed(run, create, db):
    create()
    create("bo@example.com", "Bo")

    run("delete", EMAIL, stdin="n\n", status=1)
    run("delete", EMAIL, stdin="", status=1)
    assert row(db).email == EMAIL

    run("delete", EMAIL, stdin="y\n")
    deleted = json.loads(run("delete", "bo@example.com", "--yes", as_json=True).stdout)
    assert deleted["user"]["name"] == "Bo"
    assert db.execute(text("SELECT count(*) FROM users")).scalar_one() == 0
    assert letters(db) == ["account_deleted"] * 2


@pytest.mark.parametrize(
    "args", [["disable", EMAIL], ["set-role", EMAIL, "member"], ["delete", EMAIL, "--yes"]]
)
def test_last_administrator_stays_one(run, create, db, args):
    create(EMAIL, "Ada", "--role", "admin")
    before = row(db)

    result = run(*args, status=1)

    assert result.stderr.startswith("Error: There would be no active administrator left")
    assert row(db) == before


@pytest.mark.parametrize(
    ("args", "stdin", "code", "fields"),
    [
        (["create", EMAIL, "--name", "Bo"], PASSWORD, "invalid_input", ["email"]),
        (["create", "bo", "--name", "Bo"], "short", "invalid_input", ["email", "password"]),
        (["disable", EMAIL], "", "last_admin", []),
        (["show", "nobody"], "", "not_found", []),
        (["create", "bo@example.com", "--name", "Bo"], b"\xff", "invalid_input", []),
    ],
    ids=["taken", "two fields", "last admin", "nobody", "not UTF-8"],
)
def test_programs_are_refused_in_json(run, create, args, stdin, code, fields):
    create(EMAIL, "Ada", "--role", "admin")

    result = run(*args, stdin=stdin, status=1, as_json=True)

    error = json.loads(result.stdout)["error"]
    assert error["code"] == code
    assert error["message"]
    assert sorted(error["fields"]) == fields
    assert result.stderr == ""


def test_times_are_written_as_over_http(create, run):
    created_at = create()["created_at"]

    at = datetime.fromisoformat(created_at)
    assert created_at == at.isoformat()
    assert at.utcoffset() == timedelta()
    [event] = json.loads(run("show", EMAIL, as_json=True).stdout)["events"]
    assert datetime.fromisoformat(event["created_at"]) == at


@contextmanager
def losing(db, times):
    """Each transaction that changes a user is told that it lost a deadlock, the first so often."""
    db.execute(text("CREATE SEQUENCE losses"))
    db.execute(
        text(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('losses') <= {times} THEN RAISE EXCEPTION 'deadlock detected' "
            "USING ERRCODE = 'deadlock_detected'; END IF; RETURN NULL; END $$"
        )
    )
    db.execute(
        text("CREATE TRIGGER lose AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION lose()")
    )
    try:
        yield
    finally:
        db.execute(text("DROP FUNCTION lose CASCADE"))
        db.execute(text("DROP SEQUENCE losses"))


def test_what_lost_against_another_transaction_is_done_again(run, create, db, caplog):
    caplog.set_level(logging.INFO, "authapp.security.events")
    create()
    caplog.clear()

    with losing(db, times=2):
        said = run("disable", EMAIL).stdout

    assert said == f"{EMAIL} is disabled; all sessions have ended\n"
    assert row(db).status == "disabled"
    assert events(db) == ["signed_up", "disabled"]
    assert letters(db) == ["verify_email", "account_disabled"]
    assert len(caplog.messages) == 1


def test_and_where_it_loses_each_time_the_message_says_so(run, create, db):
    create()

    with losing(db, times=6):
        said = run("disable", EMAIL, status=1).stderr
        refused = run("disable", EMAIL, status=1, as_json=True).stdout

    message = "lost against another transaction; try again: deadlock detected"
    assert said.startswith(f"Error: {message}")
    assert "cannot be reached" not in said
    error = json.loads(refused)["error"]
    assert error["code"] == "unavailable"
    assert error["message"].startswith(message)
    assert row(db).status == "active"
    assert events(db) == ["signed_up"]


@pytest.mark.parametrize("user", [EMAIL, str(UUID(int=1)), "nobody", "", "\udcff"])
@pytest.mark.parametrize(
    "args",
    [
        *(["show"], ["set-password"], ["disable"], ["enable"], ["set-role", "admin"]),
        *(["reset-second-factor"], ["delete"]),
    ],
    ids=lambda args: args[0],
)
def test_nobody_can_be_named(run, args, user):
    command, *others = args
    others += ["--yes"] if command == "delete" else []

    result = run(command, user, *others, stdin=PASSWORD, status=1)

    assert result.stderr.startswith("Error: there is no user ")


def test_neither_the_log_nor_the_table_tells_of_what_was_not_committed(
    run, create, ini, db, caplog
):
    caplog.set_level(logging.INFO, "authapp.security.events")
    create()
    caplog.clear()
    before = row(db)

    with failing_commits(db, "users"):
        result = CliRunner().invoke(main, ["-c", str(ini), "users", "disable", EMAIL])

    assert "late" in str(result.exception)
    assert caplog.messages == []
    assert row(db) == before
    assert events(db) == ["signed_up"]

    run("disable", EMAIL)

    [line] = caplog.messages
    assert '"event": "disabled"' in line


# As it is called in fact.


def test_program_reads_the_password_from_standard_input(ini, migrated_url, db):
    command = [*authapp(ini), "create", EMAIL, "--name", "Ada"]

    done = subprocess.run(command, input=f"{PASSWORD}\n", capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert BcryptHasher(4).verify(PASSWORD, row(db).password_hash)


def test_person_is_asked_twice_and_sees_no_password(ini, migrated_url, db):
    command = [*authapp(ini), "create", EMAIL, "--name", "Ada"]
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        command, stdin=other_end, stdout=other_end, stderr=other_end, start_new_session=True
    ) as process:
        os.close(other_end)
        said = answer(terminal, b"Password: ", PASSWORD)
        said += answer(terminal, b"The same again: ", PASSWORD)
        said += read_until(terminal, b"made the account")
        read_until(terminal, b"\n")
        os.close(terminal)
        assert process.wait(30) == 0

    assert PASSWORD.encode() not in said
    assert BcryptHasher(4).verify(PASSWORD, row(db).password_hash)


def authapp(ini):
    return [str(Path(sys.executable).with_name("authapp")), "-c", str(ini), "users"]


def answer(terminal, question, text):
    said = read_until(terminal, question)
    os.write(terminal, text.encode() + b"\n")
    return said


def read_until(terminal, awaited):
    said = b""
    while awaited not in said:
        said += os.read(terminal, 1)
    return said
