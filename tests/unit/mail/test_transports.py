"""How messages are composed, and the transports of development."""

import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import pytest

from authapp.domain.mail import Message, TransportError
from authapp.mail.transports import Composer, transport_for
from authapp.settings import MailSettings
from tests.mailing import site_of

SITE = site_of("http://localhost:6543", "Example")
LINK = "http://localhost:6543/reset-password/" + "q" * 43


def message(recipient="ada@example.com", subject="Your password", text=f"Hello,\n\n    {LINK}\n"):
    return Message(uuid4(), recipient, subject, text, f'<a href="{LINK}">Hello</a>')


def transport(url):
    mail = MailSettings(
        url, "Ærø <accounts@localhost>", background=False, interval=timedelta(1), templates=()
    )
    return transport_for(mail, SITE)


class TestComposer:
    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
    @pytest.mark.parametrize("name", ["subject", "recipient"])
    def test_no_header_can_be_slipped_in(self, name, end):
        value = f"ada{end}Bcc: eve@example.com"

        with pytest.raises(ValueError, match=r"CR|LF|linefeed|newline"):
            Composer("accounts@example.com", "localhost")(message(**{name: value}))

    @pytest.mark.parametrize(
        ("host", "end"), [("accounts.example.com", "@accounts.example.com>"), ("::1", "@[::1]>")]
    )
    def test_message_id_is_of_the_letter_and_the_site(self, host, end):
        compose, letter = Composer("accounts@example.com", host), message()

        ids = {compose(letter)["Message-ID"] for _ in range(2)}

        assert ids == {f"<{letter.id}{end}"}

    @pytest.mark.parametrize(
        "recipient", ["a..b@example.com", ".ada@example.com", "a/b@example.com", "a!%#'`{|}~@b"]
    )
    def test_odd_addresses_are_no_obstacle(self, recipient):
        mail = Composer("accounts@example.com", "localhost")(message(recipient))

        assert recipient.rpartition("@")[2] in mail.as_bytes().decode()


class TestConsole:
    def test_it_shows_who_what_and_the_link_whole(self, capsys):
        transport("console:").send(message())

        shown = capsys.readouterr()
        assert shown.out == ""
        lines = shown.err.splitlines()
        assert "From: Ærø <accounts@localhost>" in lines
        assert "To: ada@example.com" in lines
        assert "Subject: Your password" in lines
        assert f"    {LINK}" in lines
        assert "href" not in shown.err

    def test_it_tells_the_terminal_nothing(self, capsys):
        transport("console:").send(message(text="\x1b[2J\x07 hello\n"))

        shown = capsys.readouterr().err
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "hello" in shown

    def test_the_log_has_nothing_of_it(self, caplog, capsys):
        with caplog.at_level(0):
            transport("console:").send(message())

        assert LINK not in caplog.text


class TestDirectory:
    def test_each_message_is_a_file_that_mail_programs_open(self, tmp_path):
        folder = tmp_path / "new" / "mail"
        sent = message("adæ/../../x@example.com")

        transport(f"directory:{folder}").send(sent)

        [path] = folder.iterdir()
        assert re.fullmatch(
            r"\d{8}-\d{6}-ad-.*x@example\.com-Your-password-[0-9a-f]{8}\.eml", path.name
        )
        # There are links in it that are as good as a password.
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        content = path.read_bytes()
        mail = message_from_bytes(content, policy=policy.SMTP)
        assert mail["Subject"] == "Your password"
        assert LINK.encode() in content

    def test_whoever_looks_meanwhile_sees_whole_messages_only(self, tmp_path):
        send = transport(f"directory:{tmp_path}").send
        done = threading.Event()

        def look():
            seen = 0
            while not done.is_set():
                for path in tmp_path.glob("*.eml"):
                    assert path.read_bytes().rstrip().endswith(b"--")
                    seen += 1
            return seen

        with ThreadPoolExecutor(1) as thread:
            looking = thread.submit(look)
            for _ in range(100):
                send(message(text="x\n" * 5000))
            done.set()
            assert looking.result(10)
        assert len(list(tmp_path.glob("*.eml"))) == len(list(tmp_path.iterdir())) == 100

    def test_folder_that_cannot_be_used_is_a_failure_to_be_tried_again(self, tmp_path):
        taken = tmp_path / "file"
        taken.touch()

        with pytest.raises(TransportError, match="file") as error:
            transport(f"directory:{taken / 'mail'}").send(message())

        assert not error.value.permanent

    def test_home_is_the_users(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))

        transport("directory:~/mail").send(message())

        assert len(list(Path(tmp_path, "mail").iterdir())) == 1
