"""Transports, and the delivery over them, against a real SMTP server on this machine."""

import time
from datetime import timedelta
from uuid import uuid4

import pytest

from authapp.domain.mail import Message, TransportError
from authapp.mail import transports
from authapp.mail.transports import transport_for
from authapp.settings import MailSettings
from tests.mailing import site_of
from tests.smtp import (
    PASSWORD,
    URL_PASSWORD,
    URL_USER,
    USER,
    MailServer,
    free_port,
    make_certificate,
    server_context,
    serving,
)

SITE = site_of("https://accounts.example.com", "Example")
TOKEN = "q" * 43
MESSAGE = Message(
    id=uuid4(),
    recipient="ada@example.com",
    subject="Your password",
    text=f"Hello Ada,\n\n    https://accounts.example.com/reset-password/{TOKEN}\n",
    html="<p>Hello Ada</p>",
)


@pytest.fixture
def server():
    return MailServer(free_port())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def far_away(monkeypatch):
    """To the transport, the server is on another machine."""
    monkeypatch.setattr(transports, "_is_this_machine", lambda host: False)


def smtp(server, scheme="smtp", userinfo="", sender="Accounts <accounts@example.com>"):
    url = f"{scheme}://{userinfo}127.0.0.1:{server.port}"
    settings = MailSettings(url, sender, background=False, interval=timedelta(1), templates=())
    return transport_for(settings, SITE)


def altered(**changes):
    fields = {name: getattr(MESSAGE, name) for name in Message.__slots__}
    return Message(**fields | changes)


def content(part):
    return part.get_content().replace("\r\n", "\n")


class TestMessage:
    def test_arrives_with_its_headers_and_both_of_its_parts(self, server):
        with serving(server):
            smtp(server).send(MESSAGE)

        [received] = server.received
        assert received.sender == "accounts@example.com"
        assert received.recipients == ["ada@example.com"]
        mail = received.mail
        assert mail["From"] == "Accounts <accounts@example.com>"
        assert mail["To"] == "ada@example.com"
        assert mail["Subject"] == "Your password"
        assert mail["Message-ID"] == f"<{MESSAGE.id}@accounts.example.com>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert abs(mail["Date"].datetime.timestamp() - time.time()) < 60
        assert mail.get_content_type() == "multipart/alternative"
        text, html = mail.iter_parts()
        assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
        assert content(text) == MESSAGE.text
        assert content(html).strip() == MESSAGE.html
        # The link is whole even in the source.
        assert TOKEN.encode() in received.raw

    def test_letters_of_all_scripts_arrive(self, server):
        message = altered(
            subject="Ærø: 王小明 " * 12, text="Grüße, 王小明\n", html="<p>Grüße, 王小明</p>"
        )

        with serving(server):
            smtp(server, sender='"Ærø, Øl & Co" <accounts@example.com>').send(message)

        [received] = server.received
        assert received.raw.isascii()
        mail = received.mail
        [sender] = mail["From"].addresses
        assert sender.display_name == "Ærø, Øl & Co"
        assert sender.addr_spec == "accounts@example.com"
        assert mail["Subject"].split() == message.subject.split()
        text, html = mail.iter_parts()
        assert content(text) == message.text
        assert "王小明" in html.get_content()

    def test_address_beyond_ascii_arrives_as_it_is(self, server):
        with serving(server):
            smtp(server).send(altered(recipient="adæ@bücher.example"))

        [received] = server.received
        assert received.recipients == ["adæ@bücher.example"]
        assert "To: adæ@bücher.example".encode() in received.raw

    def test_address_beyond_ascii_waits_where_the_server_knows_none(self, server):
        with serving(server, utf8=False), pytest.raises(TransportError, match="SMTPUTF8") as error:
            smtp(server).send(altered(recipient="adæ@example.com"))

        assert not error.value.permanent

    def test_long_lines_are_broken_for_the_way(self, server):
        html = "<p>" + "x" * 5000 + "</p>"

        with serving(server):
            smtp(server).send(altered(html=html))

        [received] = server.received
        assert max(map(len, received.raw.splitlines())) <= 998
        assert received.mail.get_body(["html"]).get_content().strip() == html

    def test_line_that_begins_with_a_dot_stays_one(self, server):
        with serving(server):
            smtp(server).send(altered(text="..\n.\nFrom here\n"))

        assert content(server.received[0].mail.get_body(["plain"])) == "..\n.\nFrom here\n"


class TestRefusals:
    def error(self, server, message=MESSAGE, **options):
        with serving(server, **options), pytest.raises(TransportError) as refused:
            smtp(server).send(message)
        assert server.received == []
        return refused.value

    def test_unknown_recipient_is_permanent(self, server):
        server.refusals["ada@example.com"] = "550 5.1.1 no such mailbox"

        error = self.error(server)

        assert error.permanent
        assert "550 5.1.1 no such mailbox" in str(error)

    def test_busy_mailbox_is_not(self, server):
        server.refusals["ada@example.com"] = "450 4.2.1 try later"

        error = self.error(server)

        assert not error.permanent
        assert "450 4.2.1 try later" in str(error)

    @pytest.mark.parametrize(("answer", "permanent"), [("552 too big", True), ("452 full", False)])
    def test_refused_content(self, server, answer, permanent):
        server.data_answer = answer

        error = self.error(server)

        assert error.permanent is permanent
        assert answer in str(error)

    def test_reason_quotes_no_token(self, server):
        server.data_answer = f"554 spam: https://accounts.example.com/reset-password/{TOKEN}"

        error = self.error(server)

        assert "554 spam" in str(error)
        assert TOKEN not in str(error)

    def test_reason_is_one_line_of_bounded_length(self, server):
        server.data_answer = "554-" + "a\x1b[1m " * 60 + "\r\n554 " + "b " * 200

        reason = str(self.error(server))

        assert reason.isprintable()
        assert len(reason) <= 300

    def test_server_that_is_down(self, server):
        with pytest.raises(TransportError, match="refused") as error:
            smtp(server).send(MESSAGE)

        assert not error.value.permanent

    def test_server_that_does_not_answer(self, server, monkeypatch):
        monkeypatch.setattr(transports, "SMTP_TIMEOUT", 0.1)
        server.delay = 0.5

        with serving(server), pytest.raises(TransportError) as error:
            smtp(server).send(MESSAGE)

        assert not error.value.permanent

    def test_server_that_ends_the_conversation_after_accepting_has_the_message(self, server):
        async def handle_QUIT(_server, session, envelope):
            return "500 I do not say farewell"

        server.handle_QUIT = handle_QUIT

        with serving(server):
            smtp(server).send(MESSAGE)

        assert len(server.received) == 1


class TestEncryption:
    USER = f"{URL_USER}:{URL_PASSWORD}@"

    @pytest.fixture
    def starttls(self, certificate):
        return {"tls_context": server_context(certificate), "auth_require_tls": True}

    def test_starttls_is_used_where_it_is_offered(self, server, starttls):
        with serving(server, **starttls):
            smtp(server).send(MESSAGE)

        assert server.received[0].is_encrypted

    def test_user_and_password_are_decoded_and_sent_encrypted(self, server, starttls):
        with serving(server, auth_required=True, **starttls):
            smtp(server, userinfo=self.USER).send(MESSAGE)

        [received] = server.received
        assert received.is_encrypted
        assert received.user == USER

    def test_wrong_password_is_for_the_operator_to_put_right(self, server, starttls):
        with serving(server, **starttls), pytest.raises(TransportError, match="535") as error:
            smtp(server, userinfo=f"{URL_USER}:wrong@").send(MESSAGE)

        assert not error.value.permanent
        assert PASSWORD not in str(error.value)

    def test_password_is_not_sent_unencrypted_to_another_machine(self, server, far_away):
        with (
            serving(server, auth_require_tls=False),
            pytest.raises(TransportError, match="STARTTLS") as error,
        ):
            smtp(server, userinfo=self.USER).send(MESSAGE)

        assert not error.value.permanent
        assert server.received == []

    def test_to_this_machine_it_is(self, server):
        with serving(server, auth_require_tls=False):
            smtp(server, userinfo=self.USER).send(MESSAGE)

        assert server.received[0].user == USER

    @pytest.mark.parametrize("scheme", ["smtp", "smtps"])
    def test_another_machine_has_to_have_a_certificate_that_can_be_verified(
        self, server, certificate, far_away, monkeypatch, scheme
    ):
        context = server_context(certificate)
        options = {"tls_context": context} if scheme == "smtp" else {"ssl_context": context}
        with serving(server, **options):
            with pytest.raises(TransportError, match="certificate verify failed") as error:
                smtp(server, scheme).send(MESSAGE)
            assert not error.value.permanent
            assert server.received == []

            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            smtp(server, scheme).send(MESSAGE)

        assert server.received[0].is_encrypted

    def test_smtps_to_this_machine_takes_any_certificate(self, server, certificate):
        with serving(server, ssl_context=server_context(certificate)):
            smtp(server, "smtps").send(MESSAGE)

        assert server.received[0].is_encrypted


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://mail.example.com", 25),
        ("smtp://user:pw@mail.example.com", 587),
        ("smtps://user:pw@mail.example.com", 465),
        ("smtp://user:pw@mail.example.com:2525", 2525),
    ],
)
def test_ports(url, port, monkeypatch):
    asked = []

    def refuse(address, *others, **named):
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refuse)
    settings = MailSettings(
        url, "a@example.com", background=False, interval=timedelta(1), templates=()
    )

    with pytest.raises(TransportError):
        transport_for(settings, SITE).send(MESSAGE)

    assert asked == [("mail.example.com", port)]
