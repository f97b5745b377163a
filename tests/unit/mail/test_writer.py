import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from bs4 import BeautifulSoup

from authapp.domain.mail import Letter, LetterKind, PostedLetter
from authapp.domain.tokens import LIFETIMES, Purpose, Token, token_hash
from authapp.languages import Language, Languages
from authapp.mail.writer import BrokenLetter, LetterWriter, is_fit_for_a_greeting
from authapp.settings import Contact
from tests.fakes import InMemoryUserRepository
from tests.fakes_accounts import InMemoryTokens, RecordingAnnouncer
from tests.mailing import is_token_link, link_in, site_of

SITE = site_of("https://accounts.example.com", "Example & Sons")
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
ENGLISH = Language("en")
MOMENT = " ".join(ENGLISH.moment(datetime(2026, 11, 23, 14, 5, tzinfo=UTC)).split())


class BracketedLanguage(Language):
    """Every message stands between brackets; what it was asked for is kept."""

    def __init__(self, tag="ar"):
        super().__init__(tag)
        self.messages = set()

    def gettext(self, message, /, **params):
        self.messages.add(message)
        return f"⟦{message}⟧"

    def moment(self, time):
        return "⟦moment⟧"

    def duration(self, duration):
        return "⟦duration⟧"


class OneMoreLanguage(Languages):
    """English, and one that there is no catalogue for."""

    def __init__(self, language):
        super().__init__(["en"])
        self._languages[language.tag] = language


class World:
    """An account, a letter about it, and a writer."""

    def __init__(self) -> None:
        self.bracketed = BracketedLanguage()
        self.users = cast(Any, InMemoryUserRepository())
        self.tokens = InMemoryTokens()
        self.announcer = RecordingAnnouncer()
        self.writer = self.writer_for()
        self.ada = self.users.add("Ada <b>x</b>", EMAIL, "hash")

    def writer_for(self, *folders, **site):
        return LetterWriter(
            replace(SITE, **site),
            OneMoreLanguage(self.bracketed),
            self.users,
            self.tokens,
            self.announcer,
            folders,
        )

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


def words(text):
    """What is said: without spaces, line breaks and the addresses of links."""
    return re.sub(r"https?://\S+|\s+", "", text)


def outside_brackets(text):
    """What no message has in it, those in others included."""
    count = 1
    while count:
        text, count = re.subn("⟦[^⟦⟧]*⟧", "", text)
    return text


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

    def test_says_the_same_in_both_parts(self, world, kind):
        message = world.write(kind, recipient_for(kind))

        html: Any = BeautifulSoup(message.html, "html.parser").body
        # What only the look of a letter takes.
        for part in html.select(".preheader, .masthead, h1, .instead"):
            part.decompose()
        assert words(html.get_text()) == words(message.text.replace("\n-- \n", "\n"))

    def test_says_in_the_preview_what_happened(self, world, kind):
        message = world.write(kind, recipient_for(kind))

        html: Any = BeautifulSoup(message.html, "html.parser").body
        preview = html.select_one(".preheader").get_text()
        assert words(preview) == words(message.text.split("\n\n")[1])

    def test_links_to_the_same_in_both_parts(self, world, kind):
        message = world.write(kind, recipient_for(kind))

        html = BeautifulSoup(message.html, "html.parser")
        addresses = {str(a["href"]) for a in html.find_all("a")}
        assert addresses == set(re.findall(r"^ *(https://\S+)$", message.text, re.MULTILINE))

    def test_has_no_markup_in_the_text(self, world, kind):
        plain = {"name": "Ada & Co", "address": "192.0.2.7", "new_email": "ada@example.org"}
        world.alter(name=plain["name"])

        text = world.write(kind, recipient_for(kind), **plain).text

        assert "Example & Sons" in text
        assert not re.search(r"[<>{}%]|&\w+;|&#", text)

    def test_has_nothing_that_cannot_be_translated(self, world, kind):
        message = world.write(kind, recipient_for(kind), language="ar", by="administrator")

        html: Any = BeautifulSoup(message.html, "html.parser")
        assert outside_brackets(message.subject) == ""
        for form in (message.text, html.get_text("\n")):
            lines = {line.strip() for line in outside_brackets(form).splitlines()}
            lines = {line for line in lines if not line.startswith("https://")}
            # What the letter is told, and the site's signature.
            told = {PARAMS["address"], "Firefox 133 on Windows", SITE.name, "--", ""}
            assert lines <= told

    def test_asks_translators_for_words_and_not_for_markup(self, world, kind):
        world.write(kind, recipient_for(kind), language="ar", by="administrator")

        assert len(world.bracketed.messages) > 3
        for message in world.bracketed.messages:
            assert not re.search(r"[<>&\n]|  |%(?!\(\w+\)s)", message)

    def test_says_in_which_language_it_is(self, world, kind):
        for tag, direction in (("en", "ltr"), ("ar", "rtl"), ("tlh", "ltr")):
            html: Any = BeautifulSoup(
                world.write(kind, recipient_for(kind), language=tag).html, "html.parser"
            )
            spoken = "en" if tag == "tlh" else tag
            # Some mail programs leave nothing of the page but what is in its body.
            for element in (html.html, html.body.table):
                assert (element["lang"], element["dir"]) == (spoken, direction)

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
        world.writer = world.writer_for(name="Example\r\nBcc: y")

        message = world.write(kind, recipient_for(kind), **broken)

        assert "\n" not in message.subject
        assert not re.search(r"^Bcc", message.text, re.MULTILINE)

    def test_has_lines_that_fit_a_terminal_but_for_links(self, world, kind):
        lines = world.write(kind, recipient_for(kind)).text.splitlines()

        assert [line for line in lines if len(line) > 78 and "https://" not in line] == []


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
            assert MOMENT in part
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
            assert MOMENT in part
            assert re.search(r"^\s*By:\s+an administrator$", part, re.MULTILINE)
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
            assert MOMENT in part
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
        assert ENGLISH.duration(LIFETIMES[Purpose.VERIFY_EMAIL]) in message.text

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


class TestContact:
    """Whom those are told to turn to who did not expect what an administrator has done."""

    ASKING = (
        LetterKind.ROLE_CHANGED,
        LetterKind.ACCOUNT_DISABLED,
        LetterKind.ACCOUNT_ENABLED,
        LetterKind.SESSIONS_ENDED,
        LetterKind.SECOND_FACTOR_DISABLED,
        LetterKind.SECOND_FACTOR_ENABLED,
        LetterKind.EMAIL_CHANGED,
    )

    @pytest.mark.parametrize("kind", ASKING)
    @pytest.mark.parametrize(
        ("contact", "text", "href"),
        [
            (None, SITE.url, SITE.url),
            (
                Contact("help@example.com", "mailto:help@example.com"),
                "help@example.com",
                "mailto:help@example.com",
            ),
            (
                Contact("https://example.com/help", "https://example.com/help"),
                "https://example.com/help",
                "https://example.com/help",
            ),
        ],
        ids=["nobody in particular", "an address", "a page"],
    )
    def test_is_named_where_the_letter_says_to_ask(self, world, kind, contact, text, href):
        world.writer = world.writer_for(support=contact)

        message = world.write(kind, by="administrator")

        assert f":\n\n    {text}\n\n" in message.text
        html = BeautifulSoup(message.html, "html.parser")
        assert text in [a.get_text() for a in html.select(f'.surface a[href="{href}"]')]


class TestLanguage:
    def test_is_the_one_that_the_letter_was_asked_for_in(self, world):
        message = world.write(LetterKind.PASSWORD_CHANGED, language="ar")

        assert message.subject == "⟦Your password at Example & Sons has been changed⟧"
        assert "⟦moment⟧" in message.text

    @pytest.mark.parametrize(
        "kind", [LetterKind.RESET_PASSWORD, LetterKind.VERIFY_EMAIL, LetterKind.CHANGE_EMAIL]
    )
    def test_is_the_one_that_the_account_has_chosen_rather_than_the_pages(self, world, kind):
        assert "⟦" in world.write(kind, recipient_for(kind), language="ar").subject

        world.users.choose_language(world.ada.id, "en")

        assert "⟦" not in world.write(kind, recipient_for(kind), language="ar").subject

    def test_is_the_sites_where_it_was_asked_for_in_none_or_in_an_unknown_one(self, world):
        subjects = {
            world.write(LetterKind.PASSWORD_CHANGED, **params).subject
            for params in ({}, {"language": ""}, {"language": "xx"})
        }

        assert subjects == {"Your password at Example & Sons has been changed"}


class TestText:
    def test_addresses_stand_whole_beneath_the_words(self, world):
        text = (
            world.writer_for(url=f"https://{'a-b.' * 30}example.com")
            .write(world.posted(LetterKind.NEW_SIGN_IN))
            .text
        )

        paragraph, address = text.split("\n\n")[3:5]
        assert paragraph.endswith("That signs you out everywhere.")
        assert address == f"    https://{'a-b.' * 30}example.com/forgot-password"

    def test_facts_stand_in_a_column(self, world):
        text = world.write(LetterKind.PASSWORD_CHANGED, address="192.0.2.7").text

        assert (
            f"\n\n    When:    {MOMENT}\n"
            "    From:    192.0.2.7\n"
            "    Browser: Firefox 133 on Windows\n\n"
        ) in text

    def test_is_plain_enough_to_travel_as_it_is(self, world):
        """Links stay whole in what is kept in a folder."""
        message = world.write(LetterKind.RESET_PASSWORD)

        assert message.text.isascii()
        assert message.html.isascii()

    def test_signature_is_one_that_mail_programs_know(self, world):
        text = world.write(LetterKind.PASSWORD_CHANGED).text

        assert text.endswith("\n\n-- \nExample & Sons\nhttps://accounts.example.com")


def test_letters_of_the_applications_own_come_first(world, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (second / "html").mkdir(parents=True)
    first.mkdir()
    letter = (
        "{% extends '_layout.jinja2' %}{% block subject %}{{ site_name }} NUMBER{% endblock %}"
        "{% block lead %}Dear {{ email }}{% endblock %}{% block body %}{% endblock %}"
    )
    (first / "password_changed.jinja2").write_text(letter.replace("NUMBER", "1"))
    (second / "password_changed.jinja2").write_text(letter.replace("NUMBER", "2"))
    (second / "html" / "_layout.jinja2").write_text("<p>{{ self.lead() }}</p>")

    writer = world.writer_for(first, second)

    message = writer.write(world.posted(LetterKind.PASSWORD_CHANGED, **PARAMS))
    assert message.subject == "Example & Sons 2"
    assert message.html == f"<p>Dear {EMAIL}</p>"
    assert f"Dear {EMAIL}" in message.text
    others = writer.write(world.posted(LetterKind.ACCOUNT_ENABLED, **PARAMS))
    assert others.text == world.write(LetterKind.ACCOUNT_ENABLED, **PARAMS).text


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("reset_password.jinja2", "{% block", "reset_password.jinja2: unexpected"),
        ("reset-password.jinja2", "", "reset-password.jinja2 has the name of no letter"),
        ("html/letter.jinja2", "", "html/letter.jinja2 has the name of no letter"),
    ],
)
def test_letters_that_cannot_be_used_are_noticed_at_once(world, tmp_path, name, text, reason):
    (tmp_path / "html").mkdir()
    (tmp_path / name).write_text(text)
    (tmp_path / "_ours.jinja2").write_text("")

    with pytest.raises(BrokenLetter, match=re.escape(reason)):
        world.writer_for(tmp_path)
