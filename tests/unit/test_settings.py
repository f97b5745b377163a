import base64
import hashlib
import re
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authapp import settings as reading
from authapp.domain.throttle import Rate
from authapp.settings import (
    Settings,
    SettingsError,
    expand,
    is_placeholder,
    load_database_settings,
    load_mail_settings,
    load_session_settings,
    missing_variables,
)

SECRET = "vT9-qXw2Lr_8mKzYb4NcJd7HsPfGa3Ue"
PEPPER = "salt of the earth, and enough of it"
REQUIRED = {
    "sqlalchemy.url": "postgresql+psycopg2://app:hunter2@db.example.com/accounts",
    "session.secret": SECRET,
    "site.url": "https://accounts.example.com",
}


def load(**changed):
    """Settings with the least that is required; keywords have underscores for dots."""
    return Settings.load(raw(**changed))


def raw(**changed):
    named = {key.replace("__", "."): value for key, value in changed.items()}
    return {key: value for key, value in (REQUIRED | named).items() if value is not None}


def problems(**changed):
    with pytest.raises(SettingsError) as refused:
        load(**changed)
    assert all(problem in str(refused.value) for problem in refused.value.problems)
    return list(refused.value.problems)


class TestDefaults:
    """Those of the contract."""

    def test_of_sessions(self):
        session = load().session

        assert session.secret == (SECRET,)
        assert session.cookie_name is None
        assert session.cookie_secure == "auto"
        assert session.cookie_samesite == "Lax"
        assert session.cookie_domain is None
        assert session.cookie_path == "/"
        assert session.idle_timeout == timedelta(days=14)
        assert session.lifetime == timedelta(days=30)
        assert session.touch_interval == timedelta(minutes=5)
        assert session.max_size == 64 * 1024

    def test_of_passwords(self):
        password = load().password

        assert password.min_length == 8
        assert password.bcrypt_rounds == 12
        assert password.pepper == ()

    def test_of_everything_else(self):
        settings = load()

        assert settings.mode.development is False
        assert settings.throttle.account == Rate(10, timedelta(minutes=15))
        assert settings.throttle.address == Rate(100, timedelta(minutes=15))
        assert settings.sign_in.recent == timedelta(hours=1)
        assert settings.second_factor.required_for_admins is False
        assert settings.mail.url == "console:"
        assert settings.mail.sender == "authapp <accounts@localhost>"
        assert settings.mail.background is True
        assert settings.mail.interval == timedelta(seconds=10)
        assert settings.events.keep == timedelta(days=365)
        assert settings.registration.enabled is True
        assert settings.site.name == "authapp"
        assert settings.site.logo is None
        assert settings.site.accent is None
        assert settings.site.accent_dark is None
        assert settings.site.support is None
        assert settings.database.echo is False

    @pytest.mark.parametrize("key", REQUIRED)
    @pytest.mark.parametrize("value", [None, "", "  \n "])
    def test_what_has_none_is_required(self, key, value):
        [problem] = problems(**{key: value})

        assert problem == f"{key}: is required, and is not set"

    @pytest.mark.parametrize("value", ["", "  ", "\n"])
    def test_an_empty_setting_is_one_that_is_not_set(self, value):
        settings = load(password__min_length=value, session__cookie_name=value)

        assert settings.password.min_length == 8
        assert settings.session.cookie_name is None

    def test_they_cannot_be_changed_by_accident(self):
        with pytest.raises(FrozenInstanceError):
            load().session.max_size = 1


class TestReaders:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1s", timedelta(seconds=1)),
            ("90s", timedelta(seconds=90)),
            ("5m", timedelta(minutes=5)),
            ("12h", timedelta(hours=12)),
            ("14d", timedelta(days=14)),
            ("2w", timedelta(weeks=2)),
            ("007m", timedelta(minutes=7)),
        ],
    )
    def test_durations(self, text, expected):
        assert reading.read_duration(text) == expected

    @pytest.mark.parametrize(
        "text",
        ["0s", "0", "5", "-5m", "5 m", "5min", "5M", "1.5h", "5m30s", "m", "∞d", "1y", "1d\n"],
    )
    def test_no_durations(self, text):
        with pytest.raises(ValueError, match="a duration above zero"):
            reading.read_duration(text)

    @pytest.mark.parametrize("text", ["999999999w", "999999999d"])
    def test_durations_beyond_all_calendars_are_refused(self, text):
        with pytest.raises(ValueError, match="a duration"):
            reading.read_duration(text)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1", 1),
            ("65536", 65536),
            ("10B", 10),
            ("64KiB", 65536),
            ("64 KiB", 65536),
            ("1MiB", 1048576),
        ],
    )
    def test_sizes(self, text, expected):
        assert reading.read_size(text) == expected

    @pytest.mark.parametrize(
        "text", ["0", "0KiB", "-1", "1.5MiB", "64k", "64KB", "64kib", "1GiB", "x"]
    )
    def test_no_sizes(self, text):
        with pytest.raises(ValueError, match="a size above zero"):
            reading.read_size(text)

    @pytest.mark.parametrize(
        ("text", "expected"), [("true", True), ("TRUE", True), ("false", False), ("False", False)]
    )
    def test_booleans(self, text, expected):
        assert reading.read_boolean(text) is expected

    @pytest.mark.parametrize("text", ["yes", "no", "on", "1", "0", "t", "truee"])
    def test_no_booleans(self, text):
        with pytest.raises(ValueError, match="true or false"):
            reading.read_boolean(text)

    @pytest.mark.parametrize("text", ["4", "12", "20", "012"])
    def test_integers(self, text):
        assert reading.read_integer(4, 20)(text) == int(text)

    @pytest.mark.parametrize(
        "text", ["3", "21", "-4", "+5", "4.0", "1e1", "0x5", "five", "²", "9" * 30]
    )
    def test_no_integers(self, text):
        with pytest.raises(ValueError, match="a whole number from 4 to 20"):
            reading.read_integer(4, 20)(text)

    @pytest.mark.parametrize("text", ["lax", "Lax", "LAX"])
    def test_choices_are_found_whatever_their_case(self, text):
        assert reading.read_choice("Strict", "Lax")(text) == "Lax"

    def test_no_choice(self):
        with pytest.raises(ValueError, match="one of Strict, Lax"):
            reading.read_choice("Strict", "Lax")("loose")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (SECRET, (SECRET,)),
            (f"\n{SECRET}\n  {SECRET[::-1]}  \n\n", (SECRET, SECRET[::-1])),
            ("s" * 32, ("s" * 32,)),
            ("with spaces, and = signs; and # signs", ("with spaces, and = signs; and # signs",)),
        ],
    )
    def test_secrets(self, text, expected):
        assert reading.read_secrets(text) == expected

    @pytest.mark.parametrize("text", ["", "\n", "s" * 31, f"{SECRET}\nshort"])
    def test_no_secrets(self, text):
        with pytest.raises(ValueError, match="of at least 32 characters"):
            reading.read_secrets(text)

    @pytest.mark.parametrize(
        "text", ["session", "__Host-session", "__Secure-a.b", "a!#$%&'*+-.^_`|~"]
    )
    def test_names_of_cookies(self, text):
        assert reading.read_cookie_name(text) == text

    @pytest.mark.parametrize("text", ["a b", "a=b", "a;b", "a,b", '"a"', "é", "a\n", "a/b", "[a]"])
    def test_no_names_of_cookies(self, text):
        with pytest.raises(ValueError, match="a cookie's name"):
            reading.read_cookie_name(text)

    @pytest.mark.parametrize("text", ["/", "/app", "/app/"])
    def test_paths_of_cookies(self, text):
        assert reading.read_cookie_path(text) == text

    @pytest.mark.parametrize("text", ["app", "", "/a;Domain=evil", "/a\nb", "/é"])
    def test_no_paths_of_cookies(self, text):
        with pytest.raises(ValueError, match="a path that starts with /"):
            reading.read_cookie_path(text)

    @pytest.mark.parametrize(
        "text", ["example.com", ".example.com", "localhost", "a-b.example.org"]
    )
    def test_domains_of_cookies(self, text):
        assert reading.read_cookie_domain(text) == text

    @pytest.mark.parametrize(
        "text",
        ["example.com;Secure", "a..b", "https://a", "a/b", "a b", "..a", "a.", "é.org", "a\n"],
    )
    def test_no_domains_of_cookies(self, text):
        with pytest.raises(ValueError, match="a domain's name"):
            reading.read_cookie_domain(text)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://accounts.example.com", "https://accounts.example.com"),
            ("https://accounts.example.com/", "https://accounts.example.com"),
            ("HTTPS://Accounts.Example.COM", "https://accounts.example.com"),
            ("http://localhost:6543", "http://localhost:6543"),
            ("http://[::1]:6543", "http://[::1]:6543"),
        ],
    )
    def test_addresses_of_sites(self, text, expected):
        assert reading.read_url(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "accounts.example.com",
            "//accounts.example.com",
            "ftp://accounts.example.com",
            "javascript:alert(1)",
            "https://",
            "https:///path",
            "https://accounts.example.com/path",
            "https://accounts.example.com/?q",
            "https://accounts.example.com?q=1",
            "https://accounts.example.com#there",
            "https://accounts.example.com:0",
            "https://accounts.example.com:99999",
            "https://accounts.example.com:port",
            "https://[::1",
            "https://[x]",
        ],
    )
    def test_no_addresses_of_sites(self, text):
        with pytest.raises(ValueError, match="an address such as https://accounts"):
            reading.read_url(text)

    @pytest.mark.parametrize(
        "text", ["https://a b.com", "https://user:pw@example.com", "https://a\\b"]
    )
    def test_nor_are_these(self, text):
        with pytest.raises(ValueError, match="an address such as https://accounts"):
            reading.read_url(text)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
            ("postgresql+psycopg2://u:p@h/d", "postgresql://u:p@h/d"),
            ("postgres://u:p@h/d", "postgresql://u:p@h/d"),
            ("postgresql://h1:5432,h2:5433/d?x=y", "postgresql://h1:5432,h2:5433/d?x=y"),
            ("postgresql:///d?host=/run/pg", "postgresql:///d?host=/run/pg"),
            ("embedded:/var/lib/pg", "embedded:/var/lib/pg"),
            ("embedded:var/pg", "embedded:var/pg"),
        ],
    )
    def test_urls_of_databases(self, text, expected):
        assert reading.read_database_url(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "embedded:",
            "postgresql://",
            "postgresql:h/d",
            "postgresql",
            "mysql://u:p@h/d",
            "sqlite:///x.db",
            "postgresql+asyncpg://u:p@h/d",
            "host=h dbname=d",
            "postgresql://u:p@h:port/d",
            "postgresql://u:p@h:5432,other:x/d",
            "postgresql://u:p@[::1]:x/d",
        ],
    )
    def test_no_urls_of_databases(self, text):
        with pytest.raises(ValueError, match="embedded:PATH"):
            reading.read_database_url(text)

    def test_rates(self):
        assert reading.read_rate("10/15m") == Rate(10, timedelta(minutes=15))

    @pytest.mark.parametrize(
        "text", ["10", "10/", "/15m", "0/15m", "10/0m", "10/15", "x/15m", "1/2/3m"]
    )
    def test_no_rates(self, text):
        with pytest.raises(ValueError, match="a count and a duration"):
            reading.read_rate(text)

    @pytest.mark.parametrize(
        "text",
        [
            "console:",
            "directory:var/mail",
            "directory:/var/mail",
            "smtp://localhost",
            "smtp://localhost:25",
            "smtps://user:password@smtp.example.com",
            "smtp://us%40er:p%2Fw@[::1]:2525/",
        ],
    )
    def test_urls_of_mail(self, text):
        assert reading.read_mail_url(text) == text

    @pytest.mark.parametrize(
        "text",
        [
            *("console", "directory:", "smtp://", "smtp:localhost", "http://h", "x", "smtp://[::1"),
            *("smtp://h/path", "smtp://h?tls=no", "smtp://:password@h", "smtp://h:port"),
            # No mail server could be told these.
            *("smtp://us\u00e9r:p@h", "smtp://user:%C3%A9@h"),
        ],
    )
    def test_no_urls_of_mail(self, text):
        with pytest.raises(ValueError, match="console:, directory:PATH"):
            reading.read_mail_url(text)

    @pytest.mark.parametrize("text", ["a@b", "Accounts <accounts@example.com>"])
    def test_senders_of_mail(self, text):
        assert reading.read_mail_sender(text) == text

    @pytest.mark.parametrize(
        "text", ["accounts", "@", "a@", "a@b\nBcc: c@d", "Accounts a@b", "A <a@>"]
    )
    def test_no_senders_of_mail(self, text):
        with pytest.raises(ValueError, match="an e-mail address"):
            reading.read_mail_sender(text)

    @pytest.mark.parametrize("read", [reading.read_accent, reading.read_accent_dark])
    @pytest.mark.parametrize(
        "text", ["red", "#fff", "0b6e4f", "#0b6e4", "#0b6e4f0", "#0b6e4g", "rgb(0 0 0)", "#0b6e4f;"]
    )
    def test_no_colours(self, read, text):
        with pytest.raises(ValueError, match=r"^a colour such as #0b6e4f$"):
            read(text)

    @pytest.mark.parametrize("text", ["#0B6E4F", "#0b6e4f", "#000000"])
    def test_colours_for_light_pages(self, text):
        assert reading.read_accent(text) == text.lower()

    @pytest.mark.parametrize("text", ["#5FD6A7", "#5fd6a7", "#ffffff"])
    def test_colours_for_dark_pages(self, text):
        assert reading.read_accent_dark(text) == text.lower()

    @pytest.mark.parametrize(
        ("read", "text", "ratio"),
        [
            (reading.read_accent, "#ffcc00", "1.34:1"),
            (reading.read_accent, "#1f6feb", "4.13:1"),
            (reading.read_accent, "#ffffff", "1.12:1"),
            (reading.read_accent_dark, "#0b6e4f", "2.61:1"),
            (reading.read_accent_dark, "#000000", "1.28:1"),
        ],
    )
    def test_colours_that_cannot_be_read_are_refused_with_one_that_can(self, read, text, ratio):
        with pytest.raises(ValueError, match=r"^readable on (light|dark) pages") as refused:
            read(text)

        assert f"is {ratio}, and 4.5:1 is needed" in str(refused.value)
        nearest = str(refused.value).rpartition(" ")[2]
        assert read(nearest) == nearest

    @pytest.mark.parametrize(
        ("text", "href"),
        [
            ("help@example.com", "mailto:help@example.com"),
            ("a+b&c?%d@example.com", "mailto:a+b%26c%3F%25d@example.com"),
            ("https://example.com", "https://example.com"),
            ("http://example.com/help?about=accounts#top", None),
        ],
    )
    def test_whom_to_ask(self, text, href):
        assert reading.read_contact(text) == reading.Contact(text, href or text)

    @pytest.mark.parametrize(
        "text",
        [
            *("help", "@", "a@b c", "Help <help@example.com>", "javascript:alert(1)", "ftp://h/x"),
            *("https://", "//example.com", "mailto:help", "https://a b", "help@example.com\0"),
        ],
    )
    def test_nobody_to_ask(self, text):
        with pytest.raises(ValueError, match="an e-mail address, or an address such as"):
            reading.read_contact(text)

    def test_peppers_are_one_a_line(self):
        peppers = (SECRET, SECRET[::-1])
        assert (
            load(password__pepper=f"\n {peppers[0]} \n\n {peppers[1]}").password.pepper == peppers
        )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


class TestLogos:
    def test_by_an_absolute_path(self, tmp_path):
        path = tmp_path / "a logo: ours.svg"
        path.write_bytes(SVG)

        assert reading.read_logo(str(path)).content == SVG

    def test_in_a_package(self):
        assert reading.read_logo("authapp:static/favicon.svg").kind == "svg"

    def test_of_one_hundred_kibibytes_and_no_more(self, tmp_path):
        path = tmp_path / "logo.svg"
        path.write_bytes(SVG + b" " * (100 * 1024 - len(SVG)))
        assert reading.read_logo(str(path)).kind == "svg"

        path.write_bytes(SVG + b" " * (100 * 1024 - len(SVG) + 1))
        with pytest.raises(ValueError, match=r"at most 100 KiB: it has 102401 bytes"):
            reading.read_logo(str(path))

    @pytest.mark.parametrize(
        ("text", "what_is_wrong"),
        [
            ("logo.svg", "an absolute path"),
            ("static/logo.svg", "an absolute path"),
            ("authapp:", "an absolute path"),
            ("/nowhere/logo.svg", "a file that can be read: No such file or directory"),
            ("/", "a file that can be read: Is a directory"),
            ("authapp:static/nothing.svg", "a file that can be read: No such file or directory"),
            ("authapp:static/site.css", "a picture in SVG, PNG or WebP"),
            ("nowhere:logo.svg", "in a package that can be imported: nowhere"),
            ("..authapp:logo.svg", "in a package that can be imported"),
            (":logo.svg", "in a package that can be imported"),
            ("https://example.com/logo.svg", "in a package that can be imported: https"),
        ],
    )
    def test_nothing_else(self, text, what_is_wrong):
        with pytest.raises(ValueError, match=re.escape(what_is_wrong)):
            reading.read_logo(text)


class TestProblems:
    def test_all_are_named_in_one_message(self):
        found = problems(
            sqlalchemy__url=None,
            sqlalchemy__pool_size="many",
            session__secret="short",
            session__lifetime="forever",
            session__cookie_samesite="Loose",
            session__lifetme="30d",
            password__min_length="4",
            site__url="accounts.example.com",
            site__logo="logo.svg",
            site__accent="green",
            site__accent_dark="#000000",
            site__support="nobody",
            throttle__account="often",
            sign_in__recent="lately",
            second_factor__required_for_admins="sometimes",
            mail__url="pigeon:",
            mail__background="where",
            mail__interval="now and then",
            events__keep="for ever",
            registration__enabled="perhaps",
            authapp__developement="true",
        )

        assert sorted(problem.partition(":")[0] for problem in found) == [
            "authapp.developement",
            "events.keep",
            "mail.background",
            "mail.interval",
            "mail.url",
            "password.min_length",
            "registration.enabled",
            "second_factor.required_for_admins",
            "session.cookie_samesite",
            "session.lifetime",
            "session.lifetme",
            "session.secret",
            "sign_in.recent",
            "site.accent",
            "site.accent_dark",
            "site.logo",
            "site.support",
            "site.url",
            "sqlalchemy.pool_size",
            "sqlalchemy.url",
            "throttle.account",
        ]

    def test_each_has_a_line_of_its_own(self):
        with pytest.raises(SettingsError) as refused:
            load(session__lifetime="forever", password__min_length="4")

        assert len(re.findall(r"^  - ", str(refused.value), re.MULTILINE)) == 2

    def test_they_say_what_it_was_and_what_it_may_be(self):
        [problem] = problems(password__bcrypt_rounds="many")

        assert problem == "password.bcrypt_rounds: 'many' is not a whole number from 4 to 20"

    def test_a_setting_that_is_unknown_is_told_which_there_are(self):
        [problem] = problems(password__min_lenght="8")

        assert problem == (
            "password.min_lenght: there is no such setting; "
            "there are password.bcrypt_rounds, password.min_length, password.pepper"
        )

    @pytest.mark.parametrize(
        "prefix",
        [
            "authapp",
            "sqlalchemy",
            "session",
            "password",
            "site",
            "throttle",
            "sign_in",
            "second_factor",
            "mail",
            "events",
            "registration",
        ],
    )
    def test_typing_mistakes_are_found_below_every_prefix(self, prefix):
        [problem] = problems(**{f"{prefix}.typo": "x"})

        assert problem.startswith(f"{prefix}.typo: there is no such setting")

    @pytest.mark.parametrize(
        "key", ["pyramid.includes", "tm.manager_hook", "retry.attempts", "sessions.x", "site", "x"]
    )
    def test_settings_of_others_are_left_alone(self, key):
        load(**{key: "x"})

    def test_values_may_be_of_other_types_than_text(self):
        settings = load(password__min_length=12, registration__enabled=False)

        assert settings.password.min_length == 12
        assert settings.registration.enabled is False


class TestSecrecy:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("session.secret", "hunter2"),
            ("session.secret", f"{SECRET}\nhunter2"),
            ("sqlalchemy.url", "mysql://app:hunter2@db/accounts"),
            ("sqlalchemy.url", "hunter2"),
            ("password.pepper", "hunter2"),
            ("password.pepper", f"{SECRET}\nhunter2"),
            ("mail.url", "imap://app:hunter2@mail.example.com"),
            ("mail.url", "smtps://app:hunter2@[mail"),
        ],
    )
    def test_a_secret_that_is_wrong_does_not_stand_in_the_message(self, key, value):
        [problem] = problems(**{key: value})

        assert problem.startswith(f"{key}: its value is not ")
        assert "hunter2" not in problem
        assert SECRET not in problem

    def test_nor_does_one_that_is_right_beside_others_that_are_not(self):
        message = "\n".join(
            problems(password__min_length="x", password__pepper=PEPPER, session__x="y")
        )

        assert not [s for s in (SECRET, "hunter2", PEPPER) if s in message]

    def test_nor_a_placeholder(self):
        [problem] = problems(session__secret="change-me-change-me-change-me-change-me-1234")

        assert "1234" not in problem

    def test_nor_do_any_stand_in_a_repr_which_may_end_in_a_log(self):
        settings = load(password__pepper=PEPPER, mail__url="smtps://app:swordfish@mail.example.com")

        shown = [repr(settings)] + [repr(getattr(settings, f.name)) for f in fields(settings)]
        secrets = (SECRET, "hunter2", PEPPER, "swordfish")
        assert not [secret for secret in secrets if any(secret in text for text in shown)]


class TestPlaceholders:
    PLACEHOLDERS = (
        "change-me-change-me-change-me-change-me-0123456789",
        "CHANGE ME, this is 32 characters or more",
        "please changethis before you go to production",
        "insecure-5x8k2p9q4w7z1m6n3b0v-secret-key",
        "your-secret-key-goes-here-0123456789-abcdef",
        "a secret for development only, of course",
        "placeholder0123456789abcdefghijklm",
        "replace with 32 random characters 1234",
        "this is an example of a session secret",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "passwordpasswordpasswordpassword",
        "123123123123123123123123123123123123",
        "0123456789" * 4,
        "<32 or more random characters here>",
        "TODO set a real secret before deploy!!",
    )

    @pytest.mark.parametrize("secret", PLACEHOLDERS)
    def test_they_are_recognised(self, secret):
        assert is_placeholder(secret)

    @pytest.mark.parametrize("secret", PLACEHOLDERS)
    def test_they_stop_production(self, secret):
        [problem] = problems(session__secret=f"{SECRET}\n{secret}")

        assert problem.startswith("session.secret: looks like a placeholder")

    @pytest.mark.parametrize("secret", PLACEHOLDERS)
    def test_and_not_development(self, secret):
        settings = load(session__secret=secret, authapp__development="true")

        assert settings.session.secret == (secret,)

    def test_too_short_is_too_short_even_in_development(self):
        [problem] = problems(session__secret="short", authapp__development="true")

        assert problem.startswith("session.secret: ")

    @given(st.binary(min_size=32, max_size=48))
    def test_random_ones_pass(self, raw_secret):
        # Hypothesis likes zeros; what a random generator gives looks like a digest.
        digest = hashlib.sha384(raw_secret).digest()

        assert not is_placeholder(base64.urlsafe_b64encode(digest).decode())
        assert not is_placeholder(digest.hex())

    def test_a_placeholder_is_named_along_with_everything_else(self):
        found = problems(session__secret=self.PLACEHOLDERS[0], password__min_length="x")

        assert sorted(problem.partition(":")[0] for problem in found) == [
            "password.min_length",
            "session.secret",
        ]


class TestPeppers:
    def test_short_ones_stop_production_and_are_named_along_with_everything_else(self):
        found = problems(
            password__pepper=f"{PEPPER}\n{'s' * 31}",
            session__secret=TestPlaceholders.PLACEHOLDERS[0],
        )

        assert "password.pepper: its value is not secrets of at least 32 characters" in found
        assert len(found) == 2

    def test_but_not_development(self):
        settings = load(password__pepper="one\ntwo", authapp__development="true")

        assert settings.password.pepper == ("one", "two")


HOST_ONLY = {"session.cookie_name": "__Host-a", "session.cookie_secure": "true"}


class TestTogether:
    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"session.idle_timeout": "31d"}, "session.idle_timeout"),
            ({"session.touch_interval": "14d"}, "session.touch_interval"),
            (HOST_ONLY | {"session.cookie_domain": "example.com"}, "session.cookie_name"),
            (HOST_ONLY | {"session.cookie_path": "/app"}, "session.cookie_name"),
            (
                HOST_ONLY | {"session.cookie_name": "__host-a", "session.cookie_path": "/app"},
                "session.cookie_name",
            ),
        ],
    )
    def test_values_that_do_not_fit_are_refused(self, changed, named):
        [problem] = problems(**changed)

        assert problem.startswith(f"{named}: ")
        with pytest.raises(SettingsError, match=re.escape(named)):
            load_session_settings({"session.secret": SECRET} | changed)

    @pytest.mark.parametrize(
        "changed",
        [
            {"session.idle_timeout": "30d"},
            {"session.touch_interval": "13d"},
            {"session.cookie_samesite": "None", "session.cookie_secure": "true"},
            {"session.cookie_partitioned": "true", "session.cookie_secure": "true"},
            HOST_ONLY,
            {"session.cookie_name": "a", "session.cookie_domain": "example.com"},
        ],
    )
    def test_values_that_do_are_accepted(self, changed):
        load(**changed)

    SECURE_ONLY = (
        ("session.cookie_samesite", "None"),
        ("session.cookie_partitioned", "true"),
        ("session.cookie_name", "__Host-a"),
        ("session.cookie_name", "__Secure-a"),
        ("session.cookie_name", "__secure-a"),
    )

    @pytest.mark.parametrize(("key", "value"), SECURE_ONLY)
    @pytest.mark.parametrize("secure", ["auto", "true"])
    def test_what_browsers_take_from_https_alone_goes_with_a_secure_cookie(
        self, key, value, secure
    ):
        load(**{key: value, "session.cookie_secure": secure})

    @pytest.mark.parametrize(("key", "value"), SECURE_ONLY)
    def test_but_not_without(self, key, value):
        [problem] = problems(**{key: value, "session.cookie_secure": "false"})

        assert problem.startswith(f"{key}: ")
        assert problem.endswith("needs a secure cookie (cookie_secure)")

    def test_all_that_do_not_fit_are_named(self):
        found = problems(**{"session.idle_timeout": "31d", "session.touch_interval": "32d"})

        assert len(found) == 2


class TestParts:
    """What other applications, and the migrations, read alone."""

    def test_those_of_sessions_need_nothing_else(self):
        session = load_session_settings({"session.secret": SECRET, "site.url": "x", "mail.x": "y"})

        assert session.secret == (SECRET,)
        assert session.lifetime == timedelta(days=30)

    def test_those_of_mail_need_nothing_else(self):
        mail, site, language = load_mail_settings(
            {"site.url": "https://example.com", "session.secret": "x"}
        )

        assert (mail.url, site.url, language.offered[0]) == (
            "console:",
            "https://example.com",
            "en",
        )

    def test_those_of_mail_name_a_language_that_there_is_no_catalogue_for(self):
        with pytest.raises(SettingsError) as refused:
            load_mail_settings({"site.url": "https://example.com", "language.offered": "en tlh"})

        [problem] = refused.value.problems
        assert problem.startswith("language.offered: ")
        assert "tlh" in problem

    def test_their_problems_are_named_all_at_once(self):
        with pytest.raises(SettingsError) as refused:
            load_session_settings({"session.lifetime": "x", "session.y": "1", "password.z": "1"})

        assert sorted(problem.partition(":")[0] for problem in refused.value.problems) == [
            "session.lifetime",
            "session.secret",
            "session.y",
        ]

    def test_placeholders_stop_them_as_well(self):
        placeholder = TestPlaceholders.PLACEHOLDERS[0]

        with pytest.raises(SettingsError, match="looks like a placeholder"):
            load_session_settings({"session.secret": placeholder})
        load_session_settings({"session.secret": placeholder, "authapp.development": "true"})

    def test_those_of_the_database_go_by_the_prefix_of_sqlalchemy(self):
        database = load_database_settings(
            {
                "sqlalchemy.url": "embedded:x",
                "sqlalchemy.pool_size": "7",
                "sqlalchemy.pool_timeout": "2s",
                "sqlalchemy.isolation_level": "serializable",
                "session.x": "y",
            }
        )

        assert (database.url, database.pool_size) == ("embedded:x", 7)
        assert database.pool_timeout == timedelta(seconds=2)
        assert database.isolation_level == "SERIALIZABLE"

    def test_and_have_problems_of_their_own(self):
        with pytest.raises(SettingsError) as refused:
            load_database_settings({"sqlalchemy.pool_size": "x", "session.x": "1"})

        assert sorted(problem.partition(":")[0] for problem in refused.value.problems) == [
            "sqlalchemy.pool_size",
            "sqlalchemy.url",
        ]

    def test_where_other_options_of_sqlalchemy_are_passed_over(self):
        """An application that includes the sessions alone may have them."""
        load_database_settings({"sqlalchemy.url": "embedded:x", "sqlalchemy.future": "true"})


class TestExpansion:
    @pytest.fixture(autouse=True)
    def variables(self, monkeypatch):
        monkeypatch.setenv("AUTHAPP_TEST_NAME", "value")
        monkeypatch.setenv("AUTHAPP_TEST_EMPTY", "")
        monkeypatch.delenv("AUTHAPP_TEST_MISSING", raising=False)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("plain", "plain"),
            ("${AUTHAPP_TEST_NAME}", "value"),
            ("a-${AUTHAPP_TEST_NAME}-b-${AUTHAPP_TEST_NAME}", "a-value-b-value"),
            ("${AUTHAPP_TEST_NAME:-default}", "value"),
            ("${AUTHAPP_TEST_MISSING:-default}", "default"),
            ("${AUTHAPP_TEST_EMPTY:-default}", "default"),
            ("${AUTHAPP_TEST_MISSING:-}", ""),
            ("${AUTHAPP_TEST_EMPTY:-}", ""),
            ("${AUTHAPP_TEST_MISSING:-embedded:/a b/c:-d}", "embedded:/a b/c:-d"),
            ("${AUTHAPP_TEST_MISSING:-a}/${AUTHAPP_TEST_MISSING:-b}", "a/b"),
            ("$AUTHAPP_TEST_NAME", "$AUTHAPP_TEST_NAME"),
            ("$${}", "$${}"),
            ("${1X}", "${1X}"),
            ("%(here)s", "%(here)s"),
            ("line\n${AUTHAPP_TEST_NAME}\nline", "line\nvalue\nline"),
        ],
    )
    def test_variables_are_replaced(self, text, expected):
        assert expand({"key": text}) == {"key": expected}

    @pytest.mark.parametrize("name", ["AUTHAPP_TEST_MISSING", "AUTHAPP_TEST_EMPTY"])
    @pytest.mark.parametrize("key", ["site.name", "session.secret", "pyramid.includes"])
    def test_a_missing_one_without_default_is_named_and_so_is_its_setting(self, key, name):
        with pytest.raises(SettingsError) as refused:
            Settings.load(expand(raw(**{key: f"a ${{{name}}}"})))

        [problem] = refused.value.problems
        assert problem == f"{key}: the environment variable {name} is not set"

    @pytest.mark.parametrize(
        ("load_alone", "key"),
        [(load_session_settings, "session.secret"), (load_database_settings, "sqlalchemy.url")],
    )
    def test_what_is_read_alone_names_it_too(self, load_alone, key):
        with pytest.raises(SettingsError, match=f"{key}: .*AUTHAPP_TEST_MISSING is not set"):
            load_alone(
                expand({key: "${AUTHAPP_TEST_MISSING}", "site.url": "${AUTHAPP_TEST_EMPTY}"})
            )

    def test_it_is_named_along_with_everything_else_that_is_wrong(self):
        with pytest.raises(SettingsError) as refused:
            Settings.load(
                expand(
                    raw(
                        sqlalchemy__url="${AUTHAPP_TEST_MISSING}",
                        site__url="${AUTHAPP_TEST_EMPTY}",
                        session__secret="change me, change me, change me, 0123",
                        session__touch_interval="20d",
                        password__min_length="x",
                        mail__unknown="x",
                    )
                )
            )

        assert sorted(problem.partition(":")[0] for problem in refused.value.problems) == [
            "mail.unknown",
            "password.min_length",
            "session.secret",
            "session.touch_interval",
            "site.url",
            "sqlalchemy.url",
        ]

    def test_all_missing_ones_of_a_value_are_named(self):
        with pytest.raises(SettingsError) as refused:
            Settings.load(expand(raw(site__name="${AUTHAPP_TEST_MISSING} ${AUTHAPP_TEST_EMPTY}")))

        assert "AUTHAPP_TEST_MISSING" in str(refused.value)
        assert "AUTHAPP_TEST_EMPTY" in str(refused.value)

    def test_what_is_missing_stays_so_when_it_is_expanded_again(self):
        once = expand({"a": "${AUTHAPP_TEST_MISSING}"})

        assert missing_variables(expand(once)) == missing_variables(once) != []

    def test_nothing_is_missing_where_everything_is_set(self):
        assert missing_variables(expand({"a": "${AUTHAPP_TEST_NAME}", "b": "plain", "c": 1})) == []

    def test_the_command_line_comes_before_the_environment(self):
        variables = {"AUTHAPP_TEST_NAME": "of the command line"}

        assert expand({"a": "${AUTHAPP_TEST_NAME}"}, variables) == {"a": "of the command line"}

    def test_an_empty_one_of_the_command_line_is_no_value(self):
        assert expand({"a": "${AUTHAPP_TEST_NAME:-b}"}, {"AUTHAPP_TEST_NAME": ""}) == {"a": "b"}

    def test_what_a_variable_holds_is_not_expanded_again(self, monkeypatch):
        monkeypatch.setenv("AUTHAPP_TEST_NAME", "pass${AUTHAPP_TEST_MISSING}word")

        assert expand({"a": "${AUTHAPP_TEST_NAME}"}) == {"a": "pass${AUTHAPP_TEST_MISSING}word"}

    def test_backslashes_in_a_variable_are_kept(self, monkeypatch):
        monkeypatch.setenv("AUTHAPP_TEST_NAME", r"a\1\g<0>\n")

        assert expand({"a": "${AUTHAPP_TEST_NAME}"}) == {"a": r"a\1\g<0>\n"}

    def test_other_values_than_text_are_left_alone(self):
        assert expand({"a": 1, "b": None, "c": ["${X}"]}) == {"a": 1, "b": None, "c": ["${X}"]}

    def test_the_settings_given_are_not_changed(self):
        given_settings = {"a": "${AUTHAPP_TEST_NAME}"}

        expand(given_settings)

        assert given_settings == {"a": "${AUTHAPP_TEST_NAME}"}
