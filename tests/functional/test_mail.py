"""Letters leave if and only if the request's transaction commits, and no request waits for them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import webtest
from pyramid.scripting import prepare
from sqlalchemy import text

from authapp.domain.mail import Letter, LetterKind, Message
from authapp.domain.tokens import token_hash
from authapp.mail.transports import SMTP_TIMEOUT
from authapp.repositories import ENGINE
from authapp.repositories.connections import BoundConnections, OwnConnections
from authapp.repositories.outbox import SqlOutbox
from authapp.repositories.tokens import SqlTokenRepository
from authapp.services.delivery import LEASE, Deliveries
from authapp.settings import Settings
from authapp.wiring.mail import COURIER, delivery_over
from tests.conftest import make_app
from tests.contracts.waiting import wait_until_blocked
from tests.functional.conftest import HOST
from tests.functional.lab import Note
from tests.functional.support import (
    EMAIL,
    NAME,
    PASSWORD,
    another,
    count,
    sign_in,
    sign_up,
    statements_on,
)
from tests.mailing import KeptTransport, deliver, link_in
from tests.smtp import MailServer, free_port, serving


@pytest.fixture
def server():
    return MailServer(free_port())


@pytest.fixture
def with_courier(migrated_url, server, db):
    """A browser before an application that delivers by itself, to the mail server."""
    wsgi_app = make_app(
        migrated_url,
        mail__background="true",
        mail__interval="1h",
        mail__url=f"smtp://127.0.0.1:{server.port}",
        pyramid__includes="tests.functional.lab",
    )
    yield webtest.TestApp(wsgi_app, extra_environ=HOST)
    courier = wsgi_app.registry[COURIER]
    courier.stop()
    courier.join(30)
    assert not courier.is_alive()
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def by_command(migrated_url, server, db):
    """A browser before an application that leaves the delivery to others."""
    wsgi_app = make_app(migrated_url, mail__url=f"smtp://127.0.0.1:{server.port}")
    yield webtest.TestApp(wsgi_app, extra_environ=HOST)
    wsgi_app.registry[ENGINE].dispose()


@pytest.fixture
def outbox(engine, db):
    return SqlOutbox(OwnConnections(engine))


def put(outbox, *recipients):
    for recipient in recipients:
        outbox.put(Letter(LetterKind.PASSWORD_CHANGED, recipient, None, {"email": recipient}))


def let_time_pass(db, seconds):
    """Makes all that waits due so much earlier."""
    db.execute(
        text("UPDATE outbox SET due_at = due_at - make_interval(secs => :s)"), {"s": seconds}
    )


def over(app, transport=None):
    """The delivery of an application, by another transport or by its own."""
    registry = app.app.registry
    settings: Settings = registry[Settings]
    return delivery_over(
        registry[ENGINE], settings.mail, settings.site, settings.language, transport
    )


class TestRequest:
    def test_sign_up_sends_a_link_that_stands_in_no_table(self, app, db):
        sign_up(app)

        [message] = deliver(app)

        assert message.recipient == EMAIL
        token = link_in(message).rpartition("/")[2]
        [row] = db.execute(text("SELECT * FROM tokens")).all()
        assert bytes(row.token_hash) == token_hash(token)
        assert (row.purpose, row.email) == ("verify_email", EMAIL)
        for table in ("outbox", "tokens", "security_events", "users", "sessions"):
            rows = db.execute(text(f"SELECT t::text FROM {table} t")).scalars()  # noqa: S608
            assert not any(token in row for row in rows)
        assert deliver(app) == []

    def test_commit_that_fails_sends_nothing(self, lab_app, db, view):
        def act(request):
            request.services._letters.put(Letter(LetterKind.ACCOUNT_DELETED, EMAIL))
            request.dbsession.flush()
            request.dbsession.add_all([Note(text="same"), Note(text="same")])
            return {}

        lab_app.get(view(act), status=500)

        assert count(db, "outbox") == 0
        assert deliver(lab_app) == []

    def test_new_device_is_told_with_browser_and_address_in_words(self, app):
        sign_up(app)
        deliver(app)
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"

        sign_in(another(app, HTTP_USER_AGENT=agent, REMOTE_ADDR="192.0.2.7"))

        [message] = deliver(app)
        assert f"Hello {NAME}," in message.text
        assert "Firefox 133 on Linux" in message.text
        assert "192.0.2.7" in message.text

    def test_link_is_built_from_the_setting_whatever_host_was_asked_for(self, app):
        sign_up(another(app, HTTP_HOST="127.0.0.1:7001"))

        [message] = deliver(app)

        assert "http://localhost:6543/verify-email/" in message.text
        assert "7001" not in message.text

    def test_deleted_account_takes_its_letters_with_it(self, app, db):
        sign_up(app)
        db.execute(text("DELETE FROM users"))

        assert deliver(app) == []


class TestCourier:
    def test_message_leaves_as_soon_as_the_request_has_committed(self, with_courier, server, db):
        with serving(server):
            sign_up(with_courier)
            [received] = server.wait_for(1)

        assert received.recipients == [EMAIL]
        assert "/verify-email/" in received.mail.get_body(["plain"]).get_content()
        wait_until_empty(db)

    def test_rolled_back_request_sends_nothing_and_wakes_nobody(
        self, with_courier, server, db, view, monkeypatch
    ):
        woken = threading.Event()
        monkeypatch.setattr(with_courier.app.registry[COURIER], "wake", woken.set)

        def act(request):
            request.services._letters.put(Letter(LetterKind.ACCOUNT_DELETED, EMAIL))
            request.tm.doom()
            return {}

        with serving(server):
            with_courier.get(view(act))
            assert not woken.wait(0.1)

        assert count(db, "outbox") == 0
        assert server.received == []

    def test_slow_mail_server_slows_no_request(self, with_courier, server, db):
        server.delay = 2

        with serving(server):
            begun_at = time.monotonic()
            sign_up(with_courier)
            took = time.monotonic() - begun_at
            assert server.received == []
            server.wait_for(1)

        assert took < 1
        wait_until_empty(db)

    def test_burst_leaves_nothing_behind(self, with_courier, server, db):
        """There is no next round for an hour."""
        names = [f"n{number}@example.com" for number in range(24)]

        with serving(server), ThreadPoolExecutor(4) as threads:
            for answer in threads.map(lambda e: sign_up(another(with_courier), email=e), names):
                assert answer.status_int == 303
            server.wait_for(len(names))

        assert sorted(r.recipients[0] for r in server.received) == sorted(names)
        wait_until_empty(db)

    def test_what_serves_no_request_delivers_nothing(self, with_courier, server, db, outbox):
        """As `proutes` and `pshell`, which only make the application."""
        put(outbox, EMAIL)
        courier = with_courier.app.registry[COURIER]

        with serving(server):
            with prepare(registry=with_courier.app.registry):
                assert courier.ident is None
            assert server.received == []

            with_courier.get("/")
            server.wait_for(1)

        assert courier.is_alive()
        wait_until_empty(db)

    def test_no_thread_where_none_is_wanted(self, app):
        assert COURIER not in app.app.registry


def wait_until_empty(db):
    deadline = time.monotonic() + 10
    while count(db, "outbox"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


WAITING = text("SELECT attempts, error, extract(epoch FROM due_at - now()) AS pause FROM outbox")


class TestServerDown:
    def test_nothing_is_lost_and_the_pauses_are_kept_in_the_table(self, by_command, server, db):
        names = [f"n{number}@example.com" for number in range(3)]
        for name in names:
            sign_up(another(by_command), email=name)
        delivery = over(by_command)
        for attempt, pause in enumerate((30, 60, 120), start=1):
            assert delivery.deliver().postponed == 3
            rows = db.execute(WAITING).all()
            assert [row.attempts for row in rows] == [attempt] * 3
            assert all("refused" in row.error for row in rows)
            assert all(pause - 10 < row.pause <= pause for row in rows)
            let_time_pass(db, pause)

        with serving(server):
            assert delivery.deliver().sent == 3

        assert sorted(received.recipients[0] for received in server.received) == names
        assert count(db, "outbox") == 0

    def test_recipient_who_is_refused_for_good_is_kept_for_the_operator(
        self, by_command, server, db, outbox
    ):
        server.refusals["bo@example.com"] = "550 5.1.1 no such mailbox"
        put(outbox, "ada@example.com", "bo@example.com", "cy@example.com")

        with serving(server):
            deliveries = over(by_command).deliver()

        assert (deliveries.sent, deliveries.given_up) == (2, 1)
        [row] = db.execute(text("SELECT * FROM outbox")).all()
        assert row.recipient == "bo@example.com"
        assert row.due_at is None
        assert "550 5.1.1 no such mailbox" in row.error


class CrashingTransport(KeptTransport):
    def send(self, message: Message) -> None:
        super().send(message)
        raise KeyboardInterrupt


class TestDelivery:
    def test_several_at_once_send_each_letter_exactly_once(self, app, outbox):
        names = [f"n{number:03}@example.com" for number in range(120)]
        put(outbox, *names)
        transports = [KeptTransport() for _ in range(4)]
        barrier = threading.Barrier(len(transports))

        def work(transport):
            barrier.wait()
            return over(app, transport).deliver().sent

        with ThreadPoolExecutor(len(transports)) as threads:
            sent = list(threads.map(work, transports))

        recipients = [m.recipient for transport in transports for m in transport.messages]
        assert sorted(recipients) == names
        assert sum(sent) == len(names)
        assert sum(number > 0 for number in sent) > 1
        assert outbox.counts().waiting == 0

    def test_crash_between_sending_and_forgetting_sends_the_same_message_id_again(
        self, app, outbox, db, server
    ):
        sign_up(app)
        crashing, working = CrashingTransport(), KeptTransport()
        with pytest.raises(KeyboardInterrupt):
            over(app, crashing).deliver()

        assert over(app, working).deliver().sent == 0
        let_time_pass(db, LEASE.total_seconds())
        assert over(app, working).deliver().sent == 1

        assert crashing.messages[0].id == working.messages[0].id
        # Both links are good: nobody knows which of the two will be opened.
        assert count(db, "tokens") == 2

    def test_letter_of_a_kind_from_a_newer_version_is_left_to_that(self, app, outbox, db):
        db.execute(text("INSERT INTO outbox (kind, recipient) VALUES ('pigeon', 'a@b')"))
        put(outbox, "ada@example.com")

        assert [message.recipient for message in deliver(app)] == ["ada@example.com"]
        assert outbox.counts().waiting == 1

    def test_change_of_the_password_under_way_withdraws_the_letter_that_is_being_written(
        self, app, engine, db, outbox
    ):
        """Whoever wants the account's address changed must not have a link that outlives it."""
        sign_up(app)
        deliver(app)
        user_id = db.execute(text("SELECT id FROM users")).scalar_one()
        outbox.put(Letter(LetterKind.CHANGE_EMAIL, "thief@example.com", user_id))
        [posted] = outbox.claim(1, LEASE)
        transport = KeptTransport()

        with engine.connect() as change, ThreadPoolExecutor(1) as thread:
            SqlOutbox(BoundConnections(change)).withdraw(user_id, LetterKind.CHANGE_EMAIL)
            sending = thread.submit(over(app, transport)._deliver, posted, Deliveries())
            wait_until_blocked(db)
            # By now it has its token, which therefore is made void in time.
            assert count(db, "tokens") == 2
            SqlTokenRepository(BoundConnections(change)).revoke(user_id)
            change.commit()
            sending.result(10)

        assert transport.messages == []
        assert count(db, "tokens") == 0

    def test_change_of_the_password_withdraws_letters_before_it_voids_tokens(self, app, wsgi_app):
        """The other way round, the test before this one would be of no use."""
        sign_up(app)
        fields = {"current_password": PASSWORD, "new_password": "quite another password"}

        with statements_on(wsgi_app.registry[ENGINE]) as statements:
            app.post_json("/account/password", fields, status=204)

        deleted = [s.split()[2] for s in statements if s.startswith("DELETE")]
        assert deleted.index("outbox") < deleted.index("tokens")


def test_lease_is_longer_than_a_conversation_with_a_server_can_take():
    # Connecting, the greeting, EHLO, STARTTLS, TLS, EHLO, AUTH twice, MAIL, RCPT, DATA, the text,
    # its answer, QUIT.
    assert timedelta(seconds=14 * SMTP_TIMEOUT) < LEASE
