import base64
import hashlib
import re
import string
from http.cookies import SimpleCookie

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyramid.request import Request
from pyramid.response import Response

from authapp.sessions.cookie import CookieJar, Ticket, TicketSigner
from authapp.settings import load_session_settings

SECRET = "vT9-qXw2Lr_8mKzYb4NcJd7HsPfGa3Ue"
OLDER = "0rQ5sVn8wJp3xLd6zMb1yKc4aHf7gTe2"
COOKIE_CHARACTERS = string.ascii_letters + string.digits + '-_.~!@ \\"=;,\0é'

SIGNER = TicketSigner([SECRET])
TICKET = Ticket(b"\x01" * 32, stored=True)
VALUE = SIGNER.dumps(TICKET)


def settings(**changed):
    named = {f"session.{name}": value for name, value in changed.items()}
    return load_session_settings({"session.secret": SECRET} | named)


def read(header, base_url="http://localhost", **changed):
    request = Request.blank("/", base_url=base_url, environ={"HTTP_COOKIE": header})
    return next(iter(CookieJar(settings(**changed)).read(request)), None)


class TestTickets:
    def test_every_token_is_its_own(self):
        tokens = {Ticket.new(stored=True).token for _ in range(1000)}

        assert len(tokens) == 1000
        assert {len(token) for token in tokens} == {32}

    @pytest.mark.parametrize("stored", [True, False])
    def test_a_new_one_is_of_the_kind_asked_for(self, stored):
        assert Ticket.new(stored=stored).stored is stored

    def test_the_database_sees_the_sha_256_digest(self):
        assert TICKET.token_hash == hashlib.sha256(TICKET.token).digest()

    def test_its_repr_which_may_end_in_a_log_does_not_show_the_token(self):
        shown = repr(TICKET)

        assert repr(TICKET.token) not in shown
        assert TICKET.token.hex() not in shown


class TestCsrfTokens:
    def test_one_is_bound_to_the_token(self):
        assert TICKET.csrf_token == Ticket(b"\x01" * 32, stored=True).csrf_token
        assert TICKET.csrf_token != Ticket(b"\x02" * 32, stored=True).csrf_token

    def test_it_stays_when_the_visitors_token_becomes_the_sessions(self):
        assert Ticket(TICKET.token, stored=False).csrf_token == TICKET.csrf_token

    @given(st.binary(min_size=32, max_size=32))
    def test_it_gives_away_neither_the_token_nor_what_the_database_knows(self, token):
        ticket = Ticket(token, stored=True)
        written = base64.urlsafe_b64decode(ticket.csrf_token + "=")

        for known in (token, ticket.token_hash):
            assert written != known
            for spelling in (known.hex(), encoded(known)):
                assert spelling not in ticket.csrf_token
        assert ticket.csrf_token not in SIGNER.dumps(ticket)

    def test_it_is_no_cookie(self):
        csrf_token = TICKET.csrf_token
        signature = VALUE.partition(".")[2]

        for value in (csrf_token, f"s{csrf_token}", f"s{csrf_token}.{signature}"):
            assert SIGNER.loads(value) is None

    def test_it_can_be_written_into_forms_and_addresses(self):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", TICKET.csrf_token)


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TestSigning:
    @given(st.binary(min_size=32, max_size=32), st.booleans())
    def test_a_ticket_comes_back_as_it_was(self, token, stored):
        ticket = Ticket(token, stored)

        assert SIGNER.loads(SIGNER.dumps(ticket)) == ticket

    @given(st.binary(min_size=32, max_size=32), st.booleans())
    def test_a_value_can_stand_in_a_cookie_as_it_is(self, token, stored):
        assert re.fullmatch(r"[vs][\w-]{43}\.[\w-]{43}", SIGNER.dumps(Ticket(token, stored)), re.A)

    @pytest.mark.parametrize("position", range(len(VALUE)))
    def test_a_changed_character_is_noticed_wherever_it_is(self, position):
        for character in COOKIE_CHARACTERS.replace(VALUE[position], ""):
            changed = VALUE[:position] + character + VALUE[position + 1 :]

            assert SIGNER.loads(changed) is None

    @pytest.mark.parametrize("position", range(len(VALUE) + 1))
    def test_so_is_one_more_or_one_less(self, position):
        assert SIGNER.loads(VALUE[:position] + "A" + VALUE[position:]) is None
        assert SIGNER.loads(VALUE[:position] + VALUE[position + 1 :]) in (
            None,
            TICKET if position == len(VALUE) else None,
        )

    @pytest.mark.parametrize(
        "value", ["", ".", "s", f"{VALUE}.", f" {VALUE}", f"{VALUE}\n", VALUE * 2]
    )
    def test_so_is_what_was_never_signed(self, value):
        assert SIGNER.loads(value) is None

    def test_the_kind_cannot_be_switched(self):
        visitor = SIGNER.dumps(Ticket(TICKET.token, stored=False))

        assert SIGNER.loads("s" + visitor[1:]) is None
        assert SIGNER.loads("v" + VALUE[1:]) is None

    def test_signature_and_token_cannot_be_mixed(self):
        other = SIGNER.dumps(Ticket(b"\x02" * 32, stored=True))

        assert SIGNER.loads(VALUE.partition(".")[0] + "." + other.partition(".")[2]) is None

    def test_an_id_that_was_not_given_here_is_never_adopted(self):
        foreign = TicketSigner([OLDER]).dumps(Ticket.new(stored=True))

        assert SIGNER.loads(foreign) is None
        assert SIGNER.loads(encoded(TICKET.token_hash)) is None
        assert SIGNER.loads(f"s{encoded(TICKET.token_hash)}.{VALUE.partition('.')[2]}") is None

    @given(st.text())
    @example("s" + "é" * 43 + "." + "é" * 43)
    @example("s" + "١" * 43 + "." + "a" * 43)
    def test_garbage_is_no_error(self, value):
        assert SIGNER.loads(value) is None


class TestRotationOfSecrets:
    def test_the_first_secret_signs(self):
        assert TicketSigner([SECRET, OLDER]).dumps(TICKET) == VALUE
        assert TicketSigner([OLDER, SECRET]).dumps(TICKET) != VALUE

    def test_all_secrets_verify(self):
        assert TicketSigner([OLDER, SECRET]).loads(VALUE) == TICKET
        assert TicketSigner(["x" * 32, OLDER, SECRET]).loads(VALUE) == TICKET

    def test_one_that_was_removed_does_not(self):
        assert TicketSigner([OLDER]).loads(VALUE) is None

    def test_the_settings_secrets_are_used(self):
        assert read(f"session={VALUE}", secret=f"{OLDER}\n{SECRET}") == TICKET
        assert read(f"session={VALUE}", secret=OLDER) is None


class TestReading:
    @pytest.mark.parametrize(
        "header",
        [
            f"session={VALUE}",
            f' session="{VALUE}" ',
            f"a=1;session={VALUE};b=2",
            f"a=1; session={VALUE}; b=2",
            f"a; =; ;; session={VALUE}",
            f'a="x; session={VALUE}',
            f'x="\\222"; session={VALUE}',
            f"\xff=\xfe; session={VALUE}",
            f"session=garbage; session={VALUE}",
            f"session={VALUE}; session=garbage",
            f"session=; session; session={VALUE}; session=",
        ],
    )
    def test_the_ticket_is_found(self, header):
        assert read(header) == TICKET

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "session",
            "session=",
            "session=garbage",
            f"Session={VALUE}",
            f"sessions={VALUE}",
            f"x-session={VALUE}",
            f"other={VALUE}",
            f"__Host-session={VALUE}",
            f"other=session={VALUE}",
            VALUE,
        ],
    )
    def test_anything_else_is_no_ticket(self, header):
        assert read(header) is None

    def test_no_cookie_at_all_is_no_ticket(self):
        assert CookieJar(settings()).read(Request.blank("/")) == ()

    def test_of_several_that_are_right_the_first_is_taken(self):
        other = SIGNER.dumps(Ticket(b"\x02" * 32, stored=True))

        assert read(f"session={VALUE}; session={other}") == TICKET

    def test_over_https_only_the_cookie_of_this_host_counts(self):
        site = "https://accounts.example.com"

        assert read(f"__Host-session={VALUE}", site) == TICKET
        assert read(f"session={VALUE}", site) is None

    @given(st.text(st.characters(max_codepoint=0xFF)))
    @example('session="\\222"')
    @example("session=s" + "\xb5" * 43 + "." + "\xb5" * 43)
    def test_garbage_is_never_an_error(self, header):
        assert read(header) is None

    @given(
        st.lists(st.sampled_from(["session", "=", ";", '"', VALUE, VALUE[:9], "\\", " ", "\xff"]))
    )
    def test_however_it_is_put_together(self, pieces):
        assert read("".join(pieces)) in {None, TICKET}


def write(base_url="http://localhost", *, persistent=True, clear=False, **changed):
    """The cookie that a response sets: its name, its value, its attributes."""
    request, response = Request.blank("/", base_url=base_url), Response()
    jar = CookieJar(settings(**changed))
    if clear:
        jar.clear(request, response)
    else:
        jar.write(request, response, TICKET, persistent=persistent)
    [header] = response.headers.getall("Set-Cookie")
    first, *rest = header.split("; ")
    name, _, value = first.partition("=")
    attributes = dict(pair.partition("=")[::2] for pair in rest)
    return name, value, {name.lower(): value for name, value in attributes.items()}


class TestWriting:
    def test_what_is_written_is_what_is_read(self):
        name, value, _ = write()

        assert read(f"{name}={value}") == TICKET

    def test_over_http(self):
        name, _, attributes = write()

        assert name == "session"
        del attributes["expires"]
        assert attributes == {
            "path": "/",
            "max-age": str(30 * 24 * 3600),
            "httponly": "",
            "samesite": "Lax",
        }

    def test_over_https(self):
        name, _, attributes = write("https://accounts.example.com")

        assert name == "__Host-session"
        assert attributes.keys() == {"path", "max-age", "expires", "httponly", "samesite", "secure"}
        assert attributes["path"] == "/"

    def test_it_lives_as_long_as_the_session(self):
        assert write(lifetime="20d")[2]["max-age"] == str(20 * 24 * 3600)

    def test_or_as_long_as_the_browser(self):
        attributes = write(persistent=False)[2]

        assert "max-age" not in attributes
        assert "expires" not in attributes

    @pytest.mark.parametrize(
        ("secure", "base_url", "expected"),
        [
            ("auto", "http://localhost", False),
            ("auto", "https://localhost", True),
            ("true", "http://localhost", True),
            ("false", "https://localhost", False),
        ],
    )
    def test_whether_it_is_secure_is_set_or_follows_the_scheme(self, secure, base_url, expected):
        name, _, attributes = write(base_url, cookie_secure=secure)

        assert ("secure" in attributes) is expected
        assert name == ("__Host-session" if expected else "session")

    @pytest.mark.parametrize("samesite", ["Lax", "Strict", "None"])
    def test_samesite_is_as_set(self, samesite):
        attributes = write("https://localhost", cookie_samesite=samesite)[2]

        assert attributes["samesite"] == samesite

    def test_over_http_what_browsers_take_with_secure_only_is_left_out(self):
        attributes = write("http://localhost", cookie_samesite="None", cookie_partitioned="true")[2]

        assert attributes.keys().isdisjoint({"secure", "samesite", "partitioned"})

    def test_name_domain_and_path_are_as_set(self):
        name, _, attributes = write(
            cookie_name="sid", cookie_domain="example.com", cookie_path="/app"
        )

        assert name == "sid"
        assert (attributes["domain"], attributes["path"]) == ("example.com", "/app")

    @pytest.mark.parametrize("changed", [{"cookie_domain": "example.com"}, {"cookie_path": "/app"}])
    def test_the_prefix_is_left_out_where_browsers_would_refuse_it(self, changed):
        assert write("https://localhost", **changed)[0] == "session"

    def test_it_is_short(self):
        request, response = Request.blank("/", base_url="https://localhost"), Response()
        CookieJar(settings()).write(request, response, TICKET, persistent=True)

        assert len(response.headers["Set-Cookie"]) < 300

    @pytest.mark.parametrize("partitioned", ["true", "false"])
    def test_it_is_partitioned_if_set(self, partitioned):
        attributes = write("https://localhost", cookie_partitioned=partitioned)[2]

        assert ("partitioned" in attributes) is (partitioned == "true")


class TestClearing:
    @pytest.mark.parametrize("base_url", ["http://localhost", "https://localhost"])
    @pytest.mark.parametrize(
        "changed", [{}, {"cookie_domain": "example.com"}, {"cookie_path": "/app"}]
    )
    def test_the_attributes_are_those_it_was_set_with(self, base_url, changed):
        set_name, _, as_set = write(base_url, **changed)
        name, value, cleared = write(base_url, clear=True, **changed)

        assert (name, value) == (set_name, "")
        assert cleared.pop("max-age") == "0"
        assert as_set.pop("max-age") != "0"
        for attributes in (cleared, as_set):
            attributes.pop("expires")
        assert cleared == as_set

    def test_pythons_own_parser_reads_it(self):
        request, response = Request.blank("/"), Response()
        CookieJar(settings()).clear(request, response)

        assert SimpleCookie(response.headers["Set-Cookie"])["session"]["max-age"] == "0"
