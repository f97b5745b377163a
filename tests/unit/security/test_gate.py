from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyramid.exceptions import BadCSRFOrigin
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request
from pyramid.response import Response

from authapp.security.gate import gate_tween_factory, is_from_elsewhere, needs_csrf_token
from authapp.settings import Settings

SITE = "https://accounts.example.com"
FORM = "application/x-www-form-urlencoded"


def settings(site=SITE, *, development=False):
    return Settings.load(
        {
            "authapp.development": str(development),
            "sqlalchemy.url": "postgresql://localhost/nowhere",
            "session.secret": "0123456789abcdefghijklmnopqrstuvwxyz",
            "site.url": site,
            "mail.url": "console:",
            "mail.sender": "accounts@example.com",
        }
    )


def gate(request, site=SITE, *, development=False):
    """What reaches the view behind the gate; raises what the gate raises."""
    registry = {Settings: settings(site, development=development)}
    return gate_tween_factory(lambda passed: Response(request=passed), registry)(request).request


def request(path="/", *, base_url=SITE, **options):
    return Request.blank(path, base_url=base_url, **options)


def form(body=b"", content_type=FORM, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(method="POST", body=body, content_type=content_type, headers=headers)


class TestTokens:
    @pytest.mark.parametrize(
        "content_type",
        ["", FORM, "multipart/form-data", "text/plain", "text/json", "application/jsonp", "x"],
    )
    def test_what_a_foreign_page_can_send_needs_a_token(self, content_type):
        assert needs_csrf_token(form(content_type=content_type))

    @pytest.mark.parametrize(
        "content_type", ["text/plain; application/json", "a, application/json"]
    )
    def test_also_where_it_mentions_json(self, content_type):
        assert needs_csrf_token(form(content_type=content_type))

    @pytest.mark.parametrize("parameters", ["", "; charset=utf-8"])
    def test_json_needs_none(self, parameters):
        assert not needs_csrf_token(form(content_type="application/json" + parameters))


class TestOrigins:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Sec_Fetch_Site": "same-origin"},
            {"Sec_Fetch_Site": "none"},
            {"Origin": SITE},
            {"Origin": "HTTPS://Accounts.Example.com"},
            {"Origin": SITE, "Sec_Fetch_Site": "same-origin"},
            {"Origin": SITE, "Sec_Fetch_Site": "same-site"},
            {"Origin": SITE, "Sec_Fetch_Site": ""},
            # A page's own form, under the policy no-referrer.
            {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
        ],
    )
    def test_these_are_from_here(self, headers):
        assert not is_from_elsewhere(form(**headers), SITE)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "cross-site", "Origin": SITE},
            {"Sec_Fetch_Site": "same-site", "Origin": "https://evil.example.com"},
            {"Sec_Fetch_Site": "", "Origin": "https://evil.example"},
            {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"},
            {"Sec_Fetch_Site": "none", "Origin": "https://evil.example"},
            {"Sec_Fetch_Site": "same-site", "Origin": "null"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "https://evil.example"},
            {"Origin": "http://accounts.example.com"},
            {"Origin": "https://accounts.example.com.evil.example"},
            {"Origin": "https://evil.example/https://accounts.example.com"},
            {"Origin": "https://accounts.example.com:8443"},
            {"Origin": "https://sub.accounts.example.com"},
            {"Origin": "https://accounts.example.com@evil.example"},
            {"Origin": f"{SITE}, https://evil.example"},
        ],
    )
    def test_these_are_from_elsewhere(self, headers):
        assert is_from_elsewhere(form(**headers), SITE)

    def test_behind_a_proxy_that_speaks_https_the_site_counts(self):
        behind = Request.blank(
            "/", base_url="http://accounts.example.com", headers={"Origin": SITE}
        )

        assert not is_from_elsewhere(behind, SITE)

    def test_a_default_port_in_the_setting_is_no_other_origin(self):
        """Browsers leave it out of the Origin header."""
        behind = Request.blank(
            "/", base_url="http://accounts.example.com", headers={"Origin": SITE}
        )

        assert not is_from_elsewhere(behind, settings(f"{SITE}:443").site.url)

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WHATEVER"])
    def test_the_gate_lets_nothing_from_elsewhere_change_anything(self, method):
        with pytest.raises(BadCSRFOrigin):
            gate(request(method=method, headers={"Origin": "https://evil.example"}))

    @pytest.mark.parametrize("content_type", [FORM, "application/json", "text/plain"])
    def test_whatever_the_body_is(self, content_type):
        with pytest.raises(BadCSRFOrigin):
            gate(form(content_type=content_type, Sec_Fetch_Site="cross-site"))

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    def test_links_from_elsewhere_are_welcome(self, method):
        gate(request(method=method, headers={"Sec-Fetch-Site": "cross-site"}))


LOOPBACK = [
    "localhost",
    "localhost:1",
    "LOCALHOST:6543",
    "app.localhost:7001",
    "127.0.0.1",
    "127.0.0.1:7001",
    "127.9.9.9:80",
    "[::1]",
    "[::1]:7001",
]
FOREIGN = [
    "evil.example",
    "evil.example:443",
    "accounts.example.com.evil.example",
    "evilaccounts.example.com",
    "sub.accounts.example.com",
    "accounts.example.com:8443",
    "accounts.example.com:80",
    "accounts.example.com.",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "localhost.evil.example",
    "10.0.0.1",
    "0.0.0.0",
    "[2001:db8::1]",
    "[::1",
    "::1]",
    "[v1.x]",
    "accounts.example.com:http",
    "accounts.example.com:99999",
    "accounts.example.com:-443",
    "accounts.example.com, evil.example",
    " ",
    "\x7f",
]
# What a lenient reading takes for this site's host, while a browser that is sent there reads a
# backslash as a slash, and goes to the first name.
AMBIGUOUS = [
    "evil.example\\@accounts.example.com",
    "evil.example@accounts.example.com",
    "evil.example:80@accounts.example.com",
    "@accounts.example.com",
    "accounts.example.com/evil",
    "accounts.example.com?evil",
    "accounts.example.com#evil",
    "accounts.exam\tple.com",
]
HOST_PIECES = ["localhost", "accounts.example.com", "127.0.0.1", "evil.example", *"@:/\\?#[]%. \t1"]


class TestHosts:
    def of_host(self, host):
        return request(environ={"HTTP_HOST": host})

    @pytest.mark.parametrize(
        ("site", "host"),
        [
            (SITE, "accounts.example.com"),
            (SITE, "Accounts.Example.COM"),
            (SITE, "accounts.example.com:443"),
            (f"{SITE}:443", "accounts.example.com"),
            (f"{SITE}:8443", "accounts.example.com:8443"),
            ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
            ("https://192.0.2.1", "192.0.2.1"),
        ],
    )
    def test_the_site_answers_for_its_own_host(self, site, host):
        assert gate(self.of_host(host), site).host

    @pytest.mark.parametrize("host", FOREIGN + LOOPBACK)
    def test_and_for_no_other(self, host):
        with pytest.raises(HTTPBadRequest):
            gate(self.of_host(host))

    @pytest.mark.parametrize("host", AMBIGUOUS)
    @pytest.mark.parametrize("development", [False, True])
    def test_nor_for_what_could_be_read_as_another(self, host, development):
        for ambiguous in {host, host.replace("accounts.example.com", "localhost")}:
            with pytest.raises(HTTPBadRequest):
                gate(self.of_host(ambiguous), development=development)

    @pytest.mark.parametrize("host", LOOPBACK)
    def test_in_development_it_answers_for_every_loopback_address_on_any_port(self, host):
        gate(self.of_host(host), "http://localhost:6543", development=True)

    @pytest.mark.parametrize("host", FOREIGN)
    def test_and_for_no_foreign_one(self, host):
        with pytest.raises(HTTPBadRequest):
            gate(self.of_host(host), "http://localhost:6543", development=True)

    @given(st.lists(st.sampled_from(HOST_PIECES) | st.characters(max_codepoint=0xFF), max_size=6))
    def test_a_browser_that_is_sent_to_a_host_that_passed_stays_here(self, pieces):
        host = "".join(pieces)
        try:
            gate(self.of_host(host), development=True)
        except HTTPBadRequest:
            return
        read_leniently = host.translate({ord(c): None for c in "\t\r\n"}).replace("\\", "/")
        opened = urlsplit(f"//{read_leniently}").hostname or ""
        assert (
            opened == "accounts.example.com"
            or opened.endswith("localhost")
            or (ip_address(opened).is_loopback)
        )

    def test_what_it_is_forwarded_for_does_not_matter(self):
        forwarded = request(headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil"})

        assert gate(forwarded).host_url == SITE


class TestCookies:
    def left(self, header):
        return gate(request(environ={"HTTP_COOKIE": header})).environ["HTTP_COOKIE"]

    @pytest.mark.parametrize(
        "header", ["", "a=1", "a=1; b=2", 'a="quoted"; b=x=y', "garbage", ";;"]
    )
    def test_readable_ones_are_left_alone(self, header):
        assert self.left(header) == header

    @pytest.mark.parametrize(
        "garbled", ['x="\\222"', 'x="\\377\\376"', "x=\xe9", "\xff=x", "x=\\", 'x="\\"']
    )
    def test_garbled_ones_are_dropped_alone(self, garbled):
        header = self.left(f"session=abc; {garbled}; theme=dark")

        cookies = request(environ={"HTTP_COOKIE": header}).cookies
        assert dict(cookies) == {"session": "abc", "theme": "dark"}

    @given(st.text(st.characters(max_codepoint=0xFF)))
    def test_what_is_left_can_be_read(self, header):
        passed = gate(request(environ={"HTTP_COOKIE": header}))

        dict(passed.cookies)

    def test_there_may_be_none(self):
        assert "HTTP_COOKIE" not in gate(request()).environ


class TestAddresses:
    @pytest.mark.parametrize("path", ["/", "/%C3%A9", "/%00", "/a%2Fb", "/?q=%C3%A9&q=", "/?q=%zz"])
    def test_readable_ones_pass(self, path):
        gate(request(path))

    @pytest.mark.parametrize("path", ["/\xc0", "/\xff\xfe", "/\xe9", "/\xed\xa0\x80"])
    def test_a_path_that_is_not_utf_8_is_refused(self, path):
        with pytest.raises(HTTPBadRequest):
            gate(request(environ={"PATH_INFO": path}))

    @pytest.mark.parametrize("query", ["q=%FF", "%c0=1", "q=%ED%A0%80"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_nor_may_a_query_be_anything_else(self, method, query):
        with pytest.raises(HTTPBadRequest):
            gate(request(method=method, environ={"QUERY_STRING": query}))


class TestForms:
    @pytest.mark.parametrize(
        "body", [b"", b"a=1&b=%C3%A9", b"garbage", b"&&==", b"a=%zz", b"a=%00"]
    )
    @pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=UTF-8"])
    def test_readable_ones_pass(self, charset, body):
        assert gate(form(body, FORM + charset)).POST is not None

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (f"{FORM}; charset=no-such-charset", b"name=x"),
            (f"{FORM}; charset=iso-8859-1", b"name=%E9"),
            ("multipart/form-data; boundary=x; charset=utf-16", b"--x--"),
            ("multipart/form-data", b"name=x"),
            ("multipart/form-data; boundary=", b"name=x"),
            ("multipart/form-data; boundary=\xe9", b"name=x"),
        ],
    )
    def test_unreadable_ones_are_refused(self, content_type, body):
        with pytest.raises(HTTPBadRequest):
            gate(form(body, content_type))

    def test_a_file_is_no_token(self):
        body = (
            b'--x\r\nContent-Disposition: form-data; name="csrf_token"; filename="a"\r\n\r\n'
            b"a\r\n--x--\r\n"
        )

        with pytest.raises(HTTPBadRequest):
            gate(form(body, "multipart/form-data; boundary=x"))

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png"])
    def test_other_bodies_are_for_the_views_to_read(self, content_type):
        body = b"\xff\xfe not a form"

        assert gate(form(body, content_type)).body == body

    @given(st.binary(max_size=80), st.sampled_from([FORM, "multipart/form-data; boundary=x", ""]))
    def test_no_body_is_an_error_of_ours(self, body, content_type):
        try:
            passed = gate(form(body, content_type))
        except HTTPBadRequest:
            return
        assert passed.POST is not None
