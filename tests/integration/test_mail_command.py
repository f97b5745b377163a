"""`authapp mail`, as cron and operators call it."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from authapp.cli.main import main
from authapp.domain.mail import Letter, LetterKind
from authapp.repositories.connections import OwnConnections
from authapp.repositories.outbox import SqlOutbox
from tests.smtp import MailServer, free_port, serving

RUN = "from authapp.cli import main; main()"
NOTHING = {"sent": 0, "dropped": 0, "postponed": 0, "given_up": 0}


@pytest.fixture
def server():
    return MailServer(free_port())


@pytest.fixture
def mail_ini(server, migrated_url, db, tmp_path):
    """Only what the command needs: cron need not know the secret of the sessions."""
    path = tmp_path / "app.ini"
    path.write_text(
        "[app:main]\nuse = egg:authapp\n"
        f"sqlalchemy.url = {migrated_url.replace('%', '%%')}\n"
        "site.url = https://accounts.example.com\n"
        f"mail.url = smtp://127.0.0.1:{server.port}\n"
        "mail.sender = accounts@example.com\n"
    )
    return path


@pytest.fixture
def authapp(mail_ini):
    def run(*arguments, code=0):
        result = CliRunner().invoke(main, ["-c", str(mail_ini), *arguments])
        assert result.exit_code == code, result.output
        return result.stdout

    return run


@pytest.fixture
def put(engine, db):
    outbox = SqlOutbox(OwnConnections(engine))

    def put(*recipients):
        for recipient in recipients:
            outbox.put(Letter(LetterKind.PASSWORD_CHANGED, recipient))

    return put


def test_all_that_is_due_is_delivered(authapp, server, put):
    put("ada@example.com", "bo@example.com")

    with serving(server):
        answer = json.loads(authapp("--json", "mail", "deliver"))

        assert answer == NOTHING | {"sent": 2}
        assert json.loads(authapp("--json", "mail", "deliver")) == NOTHING
    assert len(server.received) == 2
    assert json.loads(authapp("--json", "mail", "status")) == {"waiting": 0, "failed": 0}


def test_what_could_not_be_sent_is_a_failure_of_the_command(authapp, put):
    put("ada@example.com")

    answer = json.loads(authapp("--json", "mail", "deliver", code=1))

    assert answer == NOTHING | {"postponed": 1}
    assert json.loads(authapp("--json", "mail", "status")) == {"waiting": 1, "failed": 0}


def test_what_was_given_up_is_sent_once_somebody_has_it_retried(authapp, server, put):
    server.refusals["ada@example.com"] = "550 no such mailbox"
    put("ada@example.com")
    with serving(server):
        assert json.loads(authapp("--json", "mail", "deliver", code=1))["given_up"] == 1
        assert "given up: 1" in authapp("mail", "status")
        assert "0 " not in authapp("mail", "retry")

        server.refusals.clear()
        assert "sent: 1" in authapp("mail", "deliver")

    assert json.loads(authapp("--json", "mail", "retry")) == {"retried": 0}


def test_several_processes_at_once_send_nothing_twice(mail_ini, server, put, db):
    names = [f"n{number:02}@example.com" for number in range(60)]
    put(*names)
    command = [sys.executable, "-c", RUN, "-c", str(mail_ini), "--json", "mail", "deliver"]

    with serving(server):
        processes = [
            subprocess.Popen(
                command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": ""}
            )
            for _ in range(3)
        ]
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(answer["sent"] for answer in answers) == len(names)
    assert sorted(received.recipients[0] for received in server.received) == names
    assert db.execute(text("SELECT count(*) FROM outbox")).scalar_one() == 0


def test_wrong_settings_are_named(mail_ini):
    mail_ini.write_text(mail_ini.read_text().replace("mail.sender", "mail.sendr"))

    result = CliRunner().invoke(main, ["-c", str(mail_ini), "mail", "deliver"])

    assert result.exit_code == 1
    assert "mail.sendr: there is no such setting" in result.stderr
