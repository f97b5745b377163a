"""The `authapp` command when its database is not as it should be."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, make_url, text

from authapp.cli.main import main
from tests.functional.wire import Wire

COMMANDS = [
    ["sessions", "stats"],
    ["sessions", "purge"],
    ["sessions", "list", "81b091cd-b9cd-4cad-8eda-ee0e258f5978"],
    ["sessions", "revoke", "81b091cd-b9cd-4cad-8eda-ee0e258f5978"],
    ["mail", "status"],
    ["mail", "retry"],
]


@pytest.fixture(scope="module")
def empty_url(database_url: str) -> Iterator[str]:
    """The URL of a database without tables."""
    name = f"authapp_test_{secrets.token_hex(4)}"
    server = create_engine(make_url(database_url), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def complaint(tmp_path):
    """Runs a command that must fail, on the database of the URL given; gives what it says."""

    def run(url: str, command: list[str]) -> str:
        ini = tmp_path / "app.ini"
        ini.write_text(
            f"[app:main]\nuse = egg:authapp\nsqlalchemy.url = {url.replace('%', '%%')}\n"
            "session.secret = vT9-qXw2Lr_8mKzYb4NcJd7HsPfGa3Ue\n"
        )
        result = CliRunner().invoke(main, ["-c", str(ini), *command])
        assert isinstance(result.exception, SystemExit), result.exc_info
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        for word in ("Traceback", "SELECT", "DELETE", "[SQL", "sqlalche.me"):
            assert word not in result.stderr
        return result.stderr

    return run


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[1])
def test_a_database_without_the_tables_has_to_be_migrated(complaint, empty_url, command):
    said = complaint(empty_url, command)

    assert "the database is not migrated" in said
    table = "outbox" if command[0] == "mail" else "sessions"
    assert f'relation "{table}" does not exist' in said
    assert "upgrade head" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[1])
def test_a_database_that_is_down_cannot_be_reached(complaint, database_url, command):
    wire = Wire(database_url)
    wire.cut()

    assert "the database cannot be reached: " in complaint(wire.url, command)


def test_an_embedded_server_that_cannot_be_used_says_why(complaint, tmp_path):
    somebody_elses = tmp_path / "data"
    somebody_elses.mkdir()
    Path(somebody_elses, "letter.txt").write_text("Dear Ada")

    said = complaint(f"embedded:{somebody_elses}", ["sessions", "stats"])

    assert str(somebody_elses) in said
