import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from bs4 import BeautifulSoup

from authapp.domain.mail import Letter, LetterKind, PostedLetter
from authapp.domain.tokens import LIFETIMES, Purpose, Token, token_hash
from authapp.mail.writer import LetterWriter, in_words, is_fit_for_a_greeting
from authapp.settings import SiteSettings
from tests.fakes import InMemoryUserRepository
from tests.fakes_accounts import InMemoryTokens, RecordingAnnouncer
from tests.mailing import is_token_link, link_in

SITE = SiteSettings(url="https://accounts.example.com", name="Example & Sons")
EMAIL = "ada@example.com"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"
PARAMS = {
    "name": "Ada <b>x</b>",
    "email": EMAIL,
    "at": "2026-11-23T14:05:06+00:00",
    "address": "2001:db8::1<i>",
    "user_agent": FIREFOX,
    "new_email": "<u>@example.org",
}


class World:
    """An account, a letter about it, and a writer."""

    def __init__(self) -> None:
        self.users = cast(Any, InMemoryUserRepository())
        self.tokens = InMemoryTokens()
        self.announcer = RecordingAnnouncer()
        self.writer = LetterWriter(SITE, self.users, self.tokens, self.announcer)
        self.ada = self.users.add("Ada <b>x</b>", EMAIL, "hash")

    def posted(self, kind, recipient=EMAIL, attempt=1, **params):
        is_about_her = kind is not LetterKind.RESET_PASSWORD
        letter = Letter(kind, recipient, self.ada.id if is_about_her else None, PARAMS | params)
        return PostedLetter(uuid4(), letter, attempt, datetime.now(UTC))

    def write(self, kind, *arguments, **named):
        return self.writer.write(self.posted(kind, *arguments, **named))

    def alter(self, **changes):
        self.users._alter(self.ada.id, **changes)


@pytest.fixture
def world():
    return World()


def recipient_for(kind):
    return "ada@new.example.com" if kind is LetterKind.CHANGE_EMAIL else EMAIL


class TestEveryKind:
    @pytest.fixture(params=LetterKind)
    def kind(self, request):
        return request.param

    def test_says_what_happened_in_both_parts(self, world, kind):
        message = world.write(kind, recipient_for(kind))

        assert message.recipient == recipient_for(kind)
        assert message.subject
        assert "\n" not in message.subject
        assert "Example & Sons" in message.subject
        assert message.text.startswith("Hello")
        html: Any = BeautifulSoup(message.html, "html.parser")
        assert html.h1.get_text() == html.title.get_text() == message.subject
        # The same in either form, but for how the links look.
        spoken = " ".join(html.body.get_text().split())
        first_sentence = " ".join(message.text.split("\n\n")[1].split()).partition(". ")[0]
        assert first_sentence.rstrip(".:") in spoken

    def test_has_what_it_is_told_escaped(self, world, kind):
        html = world.write(kind, recipient_for(kind)).html

        assert BeautifulSoup(html, "html.parser").find(["b", "i", "u"]) is None
        for part in ("<b>x", "<i>", "<u>@"):
            assert part not in html

    def test_fetches_nothing_and_links_to_this_site_only(self, world, kind):
        message = world.write(kind, recipient_for(kind))

        html = BeautifulSoup(message.html, "html.parser")
        assert html.find(["img", "script", "link", "iframe", "form"]) is None
        assert "url(" not in message.html
        assert "@import" not in message.html
        addresses = [a["href"] for a in html.find_all("a")]
        addresses += re.findall(r"https?://\S+", message.text)
        assert {address[: len(SITE.url)] for address in addresses} == {SITE.url}

    def test_needs_no_circumstances(self, world, kind):
        unknown = dict.fromkeys(PARAMS, "")
        message = world.write(kind, recipient_for(kind), **unknown)

        for part in (message.text, message.html):
            assert "None" not in part
            assert "Browser" not in part
            assert "When:" not in part
        assert "\n\n\n" not in message.text
        assert "\n    \n" not in message.text

    def test_cannot_be_given_other_lines_by_what_it_is_told(self, world, kind):
        broken = {key: f"x\r\nBcc: y{value}" for key, value in PARAMS.items() if key != "at"}
        world.writer = LetterWriter(
            replace(SITE, name="Example\r\nBcc: y"), world.users, world.tokens, world.announcer
        )

        message = world.write(kind, recipient_for(kind), **broken)

        assert "\n" not in message.subject
        assert not re.search(r"^Bcc", message.text, re.MULTILINE)

    def test_has_lines_that_fit_a_terminal_but_for_links(self, world, kind):
        lines = world.write(kind, recipient_for(kind)).text.splitlines()

        assert [line for line in lines if len(line) > 80 and "https://" not in line] == []


NOTICES = [
    LetterKind.EMAIL_CHANGE_REQUESTED,
    LetterKind.EMAIL_CHANGED,
    LetterKind.PASSWORD_CHANGED,
    LetterKind.NEW_SIGN_IN,
    LetterKind.SECOND_FACTOR_ENABLED,
    LetterKind.SECOND_FACTOR_DISABLED,
    LetterKind.RECOVERY_CODE_USED,
    LetterKind.SECOND_FACTOR_FAILED,
    LetterKind.ACCOUNT_DELETED,
]
ADMINISTERED = [
    LetterKind.ROLE_CHANGED,
    LetterKind.ACCOUNT_DISABLED,
    LetterKind.ACCOUNT_ENABLED,
    LetterKind.SESSIONS_ENDED,
]


class TestNotices:
    @pytest.mark.parametrize("kind", NOTICES)
    def test_say_when_from_where_and_with_what_it_was(self, world, kind):
        message = world.write(kind)

        text = BeautifulSoup(message.html, "html.parser").get_text()
        for part in (message.text, text):
            assert "Ada <b>x</b>" in part
            assert EMAIL in part
            assert "23 November 2026, 14:05 UTC" in part
            assert "2001:db8::1<i>" in part
            assert "Firefox 133 on Windows" in part
            assert "Mozilla" not in part

    @pytest.mark.parametrize("kind", NOTICES)
    def test_say_what_to_do_if_it_was_not_you(self, world, kind):
        message = world.write(kind)

        assert "If it was not you" in message.text
        assert "If it was not you" in message.html

    @pytest.mark.parametrize(
        "kind", sorted(set(NOTICES) - {LetterKind.EMAIL_CHANGED, LetterKind.ACCOUNT_DELETED})
    )
    def test_link_to_a_new_password(self, world, kind):
        message = world.write(kind)

        assert f"{SITE.url}/forgot-password" in message.text
        assert f'href="{SITE.url}/forgot-password"' in message.html

    @pytest.mark.parametrize("kind", NOTICES)
    def test_say_that_an_administrator_did_it_and_nothing_of_where_from(self, world, kind):
        by_admin = {"by": "administrator", "address": "", "user_agent": ""}
        message = world.write(kind, **by_admin)

        for part in (message.text, BeautifulSoup(message.html, "html.parser").get_text("\n")):
            assert "23 November 2026, 14:05 UTC" in part
            assert re.search(r"^\s*By: +an administrator$", part, re.MULTILINE)
            assert "From:" not in part
            assert "Browser:" not in part
        for part in (world.write(kind).text, world.write(kind).html):
            assert "administrator" not in part

    @pytest.mark.parametrize("kind", ADMINISTERED)
    def test_of_what_only_administrators_do_say_so_and_whom_to_ask(self, world, kind):
        message = world.write(kind, by="administrator", address="", user_agent="")

        for part in (message.text, message.html):
            part = " ".join(part.split())
            assert "An administrator has" in part
            assert EMAIL in part
            assert "23 November 2026, 14:05 UTC" in part
            assert "If you did not expect it, ask those who run" in part
            assert "From:" not in part
            assert "/forgot-password" not in part

    def test_who_lost_a_second_factor_to_an_administrator_is_not_told_of_an_intruder(self, world):
        message = world.write(LetterKind.SECOND_FACTOR_DISABLED, by="administrator")

        for part in (message.text, message.html):
            assert "If you did not ask for it" in part
            assert "If it was not you" not in part
            assert "/forgot-password" not in part

    @pytest.mark.parametrize("kind", NOTICES)
    def test_make_no_token(self, world, kind):
        message = world.write(kind)

        assert not any(map(is_token_link, message.text.split()))
        assert world.tokens.tokens == {}
        assert world.announcer.events == []


class TestResetPassword:
    def write(self, world, *arguments, **named):
        return world.write(LetterKind.RESET_PASSWORD, *arguments, **named)

    def test_link_is_good_once_for_an_hour_and_only_its_hash_is_kept(self, world):
        message = self.write(world)

        path, token = link_in(message).rsplit("/", 1)
        assert path == "/reset-password"
        assert f"{SITE.url}/reset-password/{token}" in message.text
        assert "for 1 hour" in message.text
        [kept] = world.tokens.tokens
        assert kept == token_hash(token)
        assert world.tokens.find(kept) == Token(Purpose.RESET_PASSWORD, world.ada.id, EMAIL)
        world.tokens.now += timedelta(hours=1)
        assert world.tokens.find(kept) is None

    def test_it_goes_to_the_address_of_the_account_however_it_was_typed(self, world):
        assert self.write(world, "ADA@Example.Com").recipient == EMAIL

    def test_it_is_for_nobody_where_nobody_has_the_address(self, world):
        assert self.write(world, "bo@example.com") is None
        assert world.tokens.tokens == {}
        assert world.announcer.events == []

    def test_it_is_for_nobody_where_the_account_is_disabled(self, world):
        world.users.disable(world.ada.id)

        assert self.write(world) is None
        assert world.tokens.tokens == {}

    def test_it_is_an_event_of_the_account_but_not_anew_with_each_attempt(self, world):
        self.write(world)
        self.write(world, attempt=2)

        assert world.announcer.kinds == ["password_reset_requested"]
        assert world.announcer.events[0].user == world.ada

    def test_it_is_dropped_where_the_password_was_changed_after_it_was_asked_for(self, world):
        posted = world.posted(LetterKind.RESET_PASSWORD)
        world.alter(password_changed_at=posted.created_at)
        assert world.writer.write(posted) is not None
        world.tokens.tokens.clear()
        world.announcer.events.clear()

        world.alter(password_changed_at=posted.created_at + timedelta(microseconds=1))

        assert world.writer.write(posted) is None
        assert world.tokens.tokens == {}
        assert world.announcer.events == []

    def test_it_is_dropped_where_the_password_is_being_changed_while_it_is_written(self, world):
        def add(*arguments):
            world.alter(password_changed_at=datetime.now(UTC) + timedelta(seconds=1))

        world.tokens.add = add

        assert self.write(world) is None
        assert world.announcer.events == []

    def test_link_of_an_earlier_attempt_stays_good(self, world):
        """It may have arrived, though the server did not say so."""
        links = {link_in(self.write(world, attempt=attempt)) for attempt in (1, 2)}

        tokens = [token_hash(link.rpartition("/")[2]) for link in links]
        assert len(tokens) == 2
        assert all(map(world.tokens.find, tokens))


class TestVerifyEmail:
    def write(self, world, *arguments, **named):
        return world.write(LetterKind.VERIFY_EMAIL, *arguments, **named)

    def test_link_stands_for_the_account_and_the_address(self, world):
        message = self.write(world)

        path, token = link_in(message).rsplit("/", 1)
        assert path == "/verify-email"
        kept = world.tokens.find(token_hash(token))
        assert kept == Token(Purpose.VERIFY_EMAIL, world.ada.id, EMAIL)
        assert in_words(LIFETIMES[Purpose.VERIFY_EMAIL]) in message.text

    @pytest.mark.parametrize(
        "change",
        [{"email": "other@example.com"}, {"email_verified_at": datetime.now(UTC)}],
        ids=["another address", "verified"],
    )
    def test_it_is_dropped_where_it_has_become_pointless(self, world, change):
        world.alter(**change)

        assert self.write(world) is None
        assert world.tokens.tokens == {}

    def test_it_is_dropped_where_the_account_is_gone(self, world):
        world.users.delete(world.ada.id)

        assert self.write(world) is None

    def test_it_greets_nobody_as_the_address_may_be_a_strangers(self, world):
        assert "Ada" not in self.write(world).text


class TestChangeEmail:
    NEW = "ada@new.example.com"

    def write(self, world, recipient=NEW, **named):
        return world.write(LetterKind.CHANGE_EMAIL, recipient, **named)

    def test_link_stands_for_the_account_and_the_new_address(self, world):
        message = self.write(world)

        path, token = link_in(message).rsplit("/", 1)
        assert path == "/verify-email"
        kept = world.tokens.find(token_hash(token))
        assert kept == Token(Purpose.CHANGE_EMAIL, world.ada.id, self.NEW)
        assert self.NEW in message.text
        # Whoever has it by mistake is not told whose account it is.
        for part in (message.text, message.html):
            assert EMAIL not in part
            assert "Ada" not in part

    def test_it_makes_older_links_void_but_not_those_of_its_own_attempts(self, world):
        other_purpose = world.write(LetterKind.VERIFY_EMAIL)
        old = self.write(world, "ada@old.example.com")
        new = self.write(world)
        again = self.write(world, attempt=2)

        found = [
            world.tokens.find(token_hash(link_in(message).rpartition("/")[2])) is not None
            for message in (other_purpose, old, new, again)
        ]
        assert found == [True, False, True, True]

    def test_it_is_dropped_where_the_account_is_gone_or_disabled(self, world):
        world.users.disable(world.ada.id)
        assert self.write(world) is None

        world.users.delete(world.ada.id)
        assert self.write(world) is None

    def test_it_is_dropped_where_somebody_else_has_the_address_by_now(self, world):
        world.users.add("Bo", self.NEW.upper(), "hash")

        assert self.write(world) is None
        assert world.tokens.tokens == {}

    def test_it_is_dropped_where_the_account_has_the_address_already(self, world):
        assert self.write(world, EMAIL) is None

    def test_other_letters_in_capitals_are_a_change(self, world):
        assert self.write(world, "Ada@example.com").recipient == "Ada@example.com"


@pytest.mark.parametrize(
    ("name", "is_fit"),
    [
        ("Ada Lovelace", True),
        ("J. R. R. Tolkien", True),
        ("Dr. Strange", True),
        ("O'Neill-Smith (née Ødegård)", True),
        ("王小明", True),
        ("", True),
        ("win at evil.example", False),
        ("https://evil", False),
        ("//evil", False),
        ("me@evil", False),
    ],
)
def test_nobody_is_greeted_by_what_looks_like_a_link(world, name, is_fit):
    assert is_fit_for_a_greeting(name) is is_fit
    message = world.write(LetterKind.PASSWORD_CHANGED, name=name)

    assert message.text.startswith(f"Hello {name},\n" if is_fit and name else "Hello,\n")


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_durations_in_words(duration, words):
    assert in_words(duration) == words
