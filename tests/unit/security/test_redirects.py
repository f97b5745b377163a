from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authapp.security.redirects import local_path, path_below

DEFAULT = "/account"
SITE = "https://accounts.example.com"


def where_a_browser_goes(target):
    """The host that a browser opens for a redirect, read as leniently as browsers read it."""
    dropped = {ord(character): None for character in "\t\r\n"}
    target = target.translate(dropped).strip("".join(map(chr, range(0x21)))).replace("\\", "/")
    if target.startswith("//"):
        target = "https://" + target.lstrip("/")
    return urlsplit(urljoin(SITE + "/sign-in", target)).hostname


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/account",
        "/account/sessions",
        "/account?tab=2&x=%20",
        "/account#there",
        "/a//b",
        "/%2fevil.example",
        "/%2F%2Fevil.example",
        "/%5cevil.example",
        "/%09/evil.example",
        "/..//evil.example",
        "/?next=https://evil.example",
        "/@evil.example",
        "/:evil.example",
        "/.evil.example",
    ],
)
def test_a_path_of_this_site_is_kept(target):
    assert local_path(target, DEFAULT) == target
    assert where_a_browser_goes(target) == "accounts.example.com"


EVIL = [
    "",
    " ",
    "account",
    "./account",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\t\\evil.example",
    "/\0/evil.example",
    "/\x1f/evil.example",
    "/\x7f/evil.example",
    "/\x85/evil.example",
    "/ /evil.example",
    " //evil.example",
    "\t//evil.example",
    "\x01//evil.example",
    " /account",
    "/account ",
    "/account\n",
    "/account\\x",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "/account\r\nSet-Cookie: session=evil",
    "/account\nLocation: //evil.example",
    "/account\r\n\r\n<script>",
    "/\u2028/evil.example",
    "\u3000//evil.example",
    "/\u3000/evil.example",
    "\uff0f\uff0fevil.example",
    "/\uff0fevil.example",
    "/\u2215evil.example",
    "/é",
    "/\ud800",
    "/🙂",
]


@pytest.mark.parametrize("target", EVIL)
def test_anything_else_is_replaced(target):
    assert local_path(target, DEFAULT) == DEFAULT


@given(st.text(st.sampled_from("/\\.:@?#%ea \t\r\n\0\x1f\u3000\uff0f") | st.characters()))
@example("/\t/e")
def test_no_redirect_leaves_this_site(target):
    path = local_path(target, DEFAULT)

    assert where_a_browser_goes(path) == "accounts.example.com"
    assert path.isascii()
    assert path.isprintable()


@given(st.text("abc/?&=#.%20-_~:@", max_size=30))
def test_what_is_kept_is_kept_to_the_character(target):
    assert local_path(target, DEFAULT) in {target, DEFAULT}


ORIGINS = ["http://localhost:6543", SITE]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/", "/admin/users/1", "/admin/users?q=ada&role=admin", "/%2F"])
def test_path_of_an_address_of_this_site_is_kept_with_its_query(origin, path):
    assert path_below(origin + path, ORIGINS, DEFAULT) == path


@pytest.mark.parametrize(
    "url",
    [
        *("", "/account", "account", SITE, f"{SITE}.evil.example/", f"{SITE}@evil.example/"),
        *(f"{SITE}:444/", "http://accounts.example.com/", "https://evil.example/account"),
        *(f"https://evil.example/{SITE}/", f" {SITE}/", f"view-source:{SITE}/"),
        *(f"{SITE}//evil.example", f"{SITE}/\\evil.example", f"{SITE}/\t/evil.example"),
        *(f"{SITE}/a\r\nX: y", f"{SITE}/é"),
    ],
)
def test_of_any_other_address_there_is_no_path(url):
    assert path_below(url, ORIGINS, DEFAULT) == DEFAULT
