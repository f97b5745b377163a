"""The migrations make what the code expects, and unmake it."""

import io
import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import webtest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

import authapp
from authapp.repositories import ENGINE, health
from authapp.repositories.schema import Base
from authapp.security.passwords import BcryptHasher
from authapp.sessions.cookie import Ticket
from authapp.settings import SettingsError
from tests.conftest import make_app
from tests.contracts.waiting import wait_until_blocked
from tests.functional.support import JSON, PASSWORD, greeting, sign_in, sign_up

HOST = {"HTTP_HOST": "localhost:6543"}
NAME = re.compile(
    r"(pk_{table}|uq_{table}_\w+|ix_{table}_\w+|ck_{table}_\w+|fk_{table}_\w+_{referred})"
)


@pytest.fixture
def empty(engine: Engine) -> Iterator[Engine]:
    """An empty database of the test's own."""
    name = f"authapp_test_{secrets.token_hex(4)}"
    server = engine.execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    own = create_engine(engine.url.set(database=name))
    yield own
    own.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def config(empty: Engine, tmp_path: Path) -> alembic.config.Config:
    """Alembic, by an ini file that names the empty database."""
    return config_for(tmp_path, url_of(empty).replace("%", "%%"))


def config_for(folder: Path, url: str) -> alembic.config.Config:
    ini = folder / "migrated.ini"
    ini.write_text(
        f"[app:main]\nuse = egg:authapp\nsqlalchemy.url = {url}\n"
        "session.secret = ${SESSION_SECRET}\n"
        "[alembic]\nscript_location = authapp:migrations\n"
    )
    return alembic.config.Config(str(ini))


@pytest.fixture
def migrated(empty: Engine, config: alembic.config.Config) -> Engine:
    alembic.command.upgrade(config, "head")
    return empty


def differences(engine: Engine) -> Any:
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)


def remains(engine: Engine) -> set[str]:
    """All that is in the database, but for Alembic's own note."""
    with engine.connect() as connection:
        return set(
            connection.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "UNION SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace "
                    "UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                )
            ).scalars()
        ) - {"alembic_version", "_alembic_version", "alembic_version_pkc"}


def test_models_and_migrations_do_not_differ(migrated):
    assert differences(migrated) == []


def test_a_difference_would_be_noticed(migrated):
    with migrated.begin() as connection:
        connection.execute(text("ALTER TABLE users ALTER COLUMN role SET DEFAULT 'admin'"))
        connection.execute(text("ALTER TABLE users ALTER COLUMN name TYPE varchar(10)"))
        connection.execute(text("DROP INDEX uq_users_email"))
        connection.execute(text("DROP INDEX ix_sessions_expires_at"))

    assert len(differences(migrated)) == 4


def test_no_account_is_there_to_begin_with(migrated):
    with migrated.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 0


def test_down_and_up_again(migrated, config):
    alembic.command.downgrade(config, "base")
    assert remains(migrated) == set()

    alembic.command.upgrade(config, "head")
    assert differences(migrated) == []


def test_each_step_goes_down_and_up(migrated, config):
    for _ in ScriptDirectory.from_config(config).walk_revisions():
        alembic.command.downgrade(config, "-1")
        alembic.command.upgrade(config, "+1")
        alembic.command.downgrade(config, "-1")

    assert remains(migrated) == set()


FILL = """
INSERT INTO users (name, email, password_hash, role) VALUES
  ('Ada', 'ada@example.com', 'a hash', 'admin'), ('Bo', 'bo@example.com', 'a hash', 'member');
INSERT INTO sessions (token_hash, user_id, data, address, expires_at)
  SELECT sha256(email::bytea), id, '{"n": 1}', '192.0.2.1', now() + interval '1 day' FROM users;
INSERT INTO sessions (token_hash, expires_at) VALUES ('a visitor', now());
"""


def rows_of_0001(engine: Engine) -> Any:
    """What the tables of the first migration hold, column by column."""
    with engine.connect() as connection:
        users = connection.execute(
            text(
                "SELECT id, name, email, password_hash, role, status, email_verified_at, "
                "created_at FROM users ORDER BY email"
            )
        ).all()
        sessions = connection.execute(
            text(
                "SELECT id, token_hash, user_id, data, persistent, created_at, last_seen_at, "
                "expires_at, address, user_agent FROM sessions ORDER BY token_hash"
            )
        ).all()
    return users, sessions


def test_database_of_the_first_version_goes_up_and_down_with_its_rows(empty, config):
    alembic.command.upgrade(config, "0001")
    with empty.begin() as connection:
        connection.execute(text(FILL))
    before = rows_of_0001(empty)
    assert [len(rows) for rows in before] == [2, 3]

    alembic.command.upgrade(config, "head")

    assert rows_of_0001(empty) == before
    assert differences(empty) == []
    with empty.connect() as connection:
        added = "SELECT DISTINCT notify_sign_in, second_factor_at FROM users"
        assert connection.execute(text(added)).all() == [(True, None)]
        changed = "SELECT password_changed_at BETWEEN created_at AND now() FROM users"
        assert connection.execute(text(changed)).scalars().all() == [True, True]

    alembic.command.downgrade(config, "0001")

    assert rows_of_0001(empty) == before


def test_people_of_the_first_version_sign_in_after_the_migration(empty, config):
    alembic.command.upgrade(config, "0001")
    with empty.begin() as connection:
        connection.execute(text(FILL))
        hashed = BcryptHasher(4).hash(PASSWORD)
        connection.execute(text("UPDATE users SET password_hash = :hashed"), {"hashed": hashed})
    alembic.command.upgrade(config, "head")
    wsgi_app = make_app(url_of(empty))
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)

    assert sign_in(app, email="ada@example.com").status_int == 303
    assert greeting(app) == "Ada"

    wsgi_app.registry[ENGINE].dispose()


def test_upgrading_twice_changes_nothing(migrated, config):
    with migrated.begin() as connection:
        insert = "INSERT INTO users (name, email, password_hash) VALUES ('a', 'a@example.com', '')"
        connection.execute(text(insert))

    alembic.command.upgrade(config, "head")

    with migrated.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 1


def test_going_down_keeps_no_data(migrated, config):
    with migrated.begin() as connection:
        insert = "INSERT INTO users (name, email, password_hash) VALUES ('a', 'a@example.com', '')"
        connection.execute(text(insert))

    alembic.command.downgrade(config, "base")
    alembic.command.upgrade(config, "head")

    with migrated.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 0


def test_history_is_one_line(config):
    scripts = ScriptDirectory.from_config(config)

    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1
    assert not [r for r in scripts.walk_revisions() if r.is_merge_point or r.is_branch_point]


def test_every_constraint_and_index_is_named_by_the_convention(migrated):
    with migrated.connect() as connection:
        constraints = connection.execute(
            text(
                "SELECT c.conname, t.relname, r.relname FROM pg_constraint c "
                "JOIN pg_class t ON t.oid = c.conrelid LEFT JOIN pg_class r ON r.oid = c.confrelid "
                "WHERE c.connamespace = 'public'::regnamespace AND c.contype <> 'n'"
            )
        ).all()
        indexes = connection.execute(
            text("SELECT indexname, tablename, NULL FROM pg_indexes WHERE schemaname = 'public'")
        ).all()

    found = [row for row in (*constraints, *indexes) if row[1] != "alembic_version"]
    assert len(found) > 10
    assert {row[1] for row in found} == set(Base.metadata.tables)
    for name, table, referred in found:
        pattern = NAME.pattern.format(table=table, referred=referred)
        assert re.fullmatch(pattern, name), (name, table)


def test_sql_for_somebody_else_to_run_makes_the_same(empty, tmp_path):
    output = io.StringIO()
    config = config_for(tmp_path, url_of(empty).replace("%", "%%"))
    config.output_buffer = output

    alembic.command.upgrade(config, "head", sql=True)
    assert remains(empty) == set()
    # One by one, as psql does.
    with empty.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in re.split(r";$", output.getvalue(), flags=re.MULTILINE):
            if statement.strip():
                connection.exec_driver_sql(statement)

    assert differences(empty) == []


def test_indexes_of_a_large_table_keep_nobody_from_signing_up(empty, config):
    alembic.command.upgrade(config, "0006")
    sign_up = text("INSERT INTO users (name, email, password_hash) VALUES ('a', :email, '')")

    at_once = empty.execution_options(isolation_level="AUTOCOMMIT")

    with ThreadPoolExecutor(1) as thread:
        with empty.begin() as other, at_once.connect() as watcher:
            other.execute(sign_up, {"email": "a@example.com"})
            upgrading = thread.submit(alembic.command.upgrade, config, "head")
            wait_until_blocked(watcher)
            # What the steps before it have done is committed, and has locked nothing any more.
            version = text("SELECT version_num FROM alembic_version")
            assert watcher.execute(version).scalar_one() == "0006"
            watcher.execute(text("SET lock_timeout = '1s'"))
            watcher.execute(sign_up, {"email": "b@example.com"})
        upgrading.result(timeout=30)

    assert differences(empty) == []


@pytest.mark.parametrize("index", ["ix_users_email_by_role", "ix_users_email_by_status"])
def test_indexes_are_made_anew_where_a_run_broke_off(empty, config, index):
    alembic.command.upgrade(config, "0006")
    with empty.begin() as connection:
        connection.execute(text(f"CREATE INDEX {index} ON users (name)"))
        broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:name AS regclass)"
        connection.execute(text(broken), {"name": index})

    alembic.command.upgrade(config, "head")

    assert differences(empty) == []
    with empty.connect() as connection:
        invalid = connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid"))
        assert invalid.scalar_one() == 0


def test_url_may_come_from_the_environment_and_nothing_else_is_needed(empty, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url_of(empty))
    monkeypatch.delenv("SESSION_SECRET", raising=False)

    alembic.command.upgrade(config_for(tmp_path, "${DATABASE_URL}"), "head")

    assert differences(empty) == []


def test_missing_url_is_named_in_the_error(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(SettingsError, match="DATABASE_URL"):
        alembic.command.upgrade(config_for(tmp_path, "${DATABASE_URL}"), "head")


@pytest.mark.parametrize("name", ["production.ini", "development.ini"])
def test_ini_files_of_the_repository_migrate(empty, monkeypatch, name):
    ini = Path(authapp.__file__).parent.parent / name
    monkeypatch.setenv("DATABASE_URL", url_of(empty))
    monkeypatch.setenv("AUTHAPP_DATABASE_URL", url_of(empty))

    alembic.command.upgrade(alembic.config.Config(str(ini)), "head")

    assert differences(empty) == []


def test_application_tells_that_it_is_not_migrated_until_it_is(empty, config):
    wsgi_app = make_app(url_of(empty))
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)

    def check_that_it_says_so():
        page = app.get("/readyz", status=503)
        answer = app.get("/readyz", headers=JSON, status=503)
        assert page.text == "not migrated\n"
        assert page.content_type == "text/plain"
        assert answer.json["error"]["code"] == "not_migrated"
        assert answer.json["error"]["message"] == "not migrated"
        app.get("/healthz", status=200)
        app.get("/", status=200)

    check_that_it_says_so()
    assert remains(empty) == set()  # Production never migrates silently.

    alembic.command.upgrade(config, "head")
    assert app.get("/readyz", status=200).text == "ok\n"
    assert sign_up(app).status_int == 303

    alembic.command.downgrade(config, "base")
    app.reset()  # Of the cookie, whose session is looked for.
    check_that_it_says_so()
    wsgi_app.registry[ENGINE].dispose()


def note_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))  # noqa: S608


def test_application_is_ready_on_the_schema_of_a_newer_version(migrated):
    """Who deploys step by step migrates first, while processes of the old version still serve."""
    wsgi_app = make_app(url_of(migrated))
    app = webtest.TestApp(wsgi_app, extra_environ=HOST)
    note_revision(migrated, "9999")

    assert app.get("/readyz", status=200).text == "ok\n"
    assert sign_up(app).status_int == 303
    wsgi_app.registry[ENGINE].dispose()


@pytest.mark.parametrize(
    ("revision", "expected"), [("0001", False), ("0002", False), ("0003", True), ("0004", True)]
)
def test_older_revisions_are_not_enough_and_newer_ones_are(
    migrated, monkeypatch, revision, expected
):
    monkeypatch.setattr(health, "expected_revisions", lambda: frozenset({"0003"}))
    monkeypatch.setattr(health, "known_revisions", lambda: frozenset({"0001", "0002", "0003"}))
    note_revision(migrated, revision)

    assert health.SqlReadiness(migrated).is_migrated() is expected


def test_every_migration_is_known():
    assert health.expected_revisions() <= health.known_revisions()
    assert "0001" in health.known_revisions()


# What the tables themselves hold to.


Refused = Callable[[str], bool]


@pytest.fixture
def refused(db: Connection) -> Refused:
    def run(statement: str, **parameters: Any) -> bool:
        try:
            db.execute(text(statement), parameters)
        except IntegrityError:
            return True
        return False

    return run


USER = "INSERT INTO users (name, email, password_hash{more}) VALUES ('a', '{email}', ''{values})"
SESSION = (
    "INSERT INTO sessions (token_hash, user_id, expires_at) VALUES (:token, {user}, now() + '1d')"
)


def test_email_is_unique_without_regard_to_case(refused):
    assert not refused(USER.format(email="Ada@Example.com", more="", values=""))
    assert refused(USER.format(email="aDA@eXAMPLE.COM", more="", values=""))
    assert not refused(USER.format(email="adä@example.com", more="", values=""))
    assert not refused(USER.format(email="adÄ@example.com", more="", values=""))


def test_role_and_status_are_those_that_there_are(refused):
    for column, good, bad in (("role", "admin", "root"), ("status", "disabled", "gone")):
        more = f", {column}"
        assert refused(USER.format(email=f"{bad}@x", more=more, values=f", '{bad}'"))
        assert not refused(USER.format(email=f"{good}@x", more=more, values=f", '{good}'"))
        assert refused(USER.format(email="null@x", more=more, values=", NULL"))


def test_session_is_of_a_user_who_exists_or_of_nobody(refused, db):
    token = Ticket.new(stored=True).token_hash
    assert refused(SESSION.format(user="gen_random_uuid()"), token=token)
    assert not refused(SESSION.format(user="NULL"), token=token)
    assert refused(SESSION.format(user="NULL"), token=token)
    db.execute(text(USER.format(email="a@x", more="", values="")))
    other = Ticket.new(stored=True).token_hash
    assert not refused(SESSION.format(user="(SELECT id FROM users)"), token=other)

    db.execute(text("DELETE FROM users"))

    assert db.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 1


OF_A_USER = {"sessions", "tokens", "outbox", "security_events", "second_factors", "recovery_codes"}


def test_what_belongs_to_a_user_goes_with_the_user(db):
    cascades = db.execute(
        text(
            "SELECT conrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND confrelid = 'users'::regclass AND confdeltype = 'c'"
        )
    ).scalars()
    having = db.execute(
        text(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name = 'user_id'"
        )
    ).scalars()
    assert set(cascades) == set(having) == OF_A_USER


def test_and_deleting_a_user_looks_through_no_table(db):
    """Each foreign key is the first column of an index."""
    indexed = db.execute(
        text(
            "SELECT i.indrelid::regclass::text FROM pg_index i JOIN pg_attribute a "
            "ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE a.attname = 'user_id'"
        )
    ).scalars()
    assert set(indexed) >= OF_A_USER


def test_times_have_a_time_zone(db):
    types = db.execute(
        text(
            "SELECT DISTINCT data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name LIKE '%\\_at'"
        )
    ).scalars()
    assert set(types) == {"timestamp with time zone"}


def test_use_of_a_session_is_written_down_without_touching_an_index(db):
    indexed = db.execute(
        text("SELECT indexdef FROM pg_indexes WHERE tablename = 'sessions'")
    ).scalars()
    assert "last_seen_at" not in " ".join(indexed)
