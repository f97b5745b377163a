"""Forged and garbled cookies, by the thousand: never a 5xx, never a row, never somebody's name.

`make fuzz` sends 100,000. A failure names its seed, and `AUTHAPP_FUZZ_SEED` repeats the run.
"""

import os
import random

import pytest
import webtest
from sqlalchemy import text
from webob import Request

from authapp.testing import sign_in_as

COUNT = int(os.environ.get("AUTHAPP_FUZZ_COOKIES", "2000"))
SEED = int(os.environ.get("AUTHAPP_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
HOST = "http://localhost:6543"
PAGES = ("/", "/sign-in", "/account", "/nothing-here")

ALPHABET = "ABCxyz019-_.=%\\\"';, \t{}[]:/+*\0\x7f\x80\xff"
BOUNDARIES = ("", "v", "s", ".", "=", '"', "v.", "s" + "A" * 43, "." + "A" * 43, "A" * 87)


class Forger:
    """Makes headers that look more or less like the one with the real cookie."""

    def __init__(self, real, seed):
        self._real = real
        self._random = random.Random(seed)  # noqa: S311  # Repeatable.

    def header(self):
        choose = self._random.choice
        make = choose((self._mutated, self._mutated, self._mutated, self._noise, self._spliced))
        cookies = [f"session={make()}"]
        while self._random.random() < 0.2:
            name = choose(
                ("session", "__Host-session", "Session", "", "other", "session ", "$Path")
            )
            cookies.append(f"{name}{choose(('=', '', '=='))}{choose((self._noise, make))()}")
        self._random.shuffle(cookies)
        return choose(("; ", ";", ",", " ; ", ";;")).join(cookies)

    def _mutated(self):
        """The real value, with a few of its characters replaced, removed, added or swapped."""
        value = list(self._real)
        for _ in range(self._random.randint(1, 4)):
            place = self._random.randrange(len(value) + 1)
            match self._random.randrange(5):
                case 0:
                    value[place : place + 1] = self._character()
                case 1:
                    del value[place : place + self._random.randint(1, 9)]
                case 2:
                    value.insert(place, self._character())
                case 3:
                    other = self._random.randrange(len(value) + 1)
                    value[place : place + 1], value[other : other + 1] = (
                        value[other : other + 1],
                        value[place : place + 1],
                    )
                case 4:
                    value[place : place + 1] = [c.swapcase() for c in value[place : place + 1]]
        return self._unless_real("".join(value))

    def _spliced(self):
        """Parts of the real value, put together in some other way."""
        parts = [*self._real.partition("."), *BOUNDARIES, self._real[1:], self._real[::-1]]
        return self._unless_real("".join(self._random.choices(parts, k=self._random.randint(1, 4))))

    def _noise(self):
        length = self._random.choice((0, 1, 5, 43, 44, 88, 200, 5000))
        return "".join(self._random.choices(ALPHABET, k=length))

    def _character(self):
        return self._random.choice(ALPHABET)

    def _unless_real(self, value):
        # Quotes and blanks around a value are not part of it.
        return "x" + value if self._real in value.strip(' "\t') else value


@pytest.mark.timeout(60 + COUNT // 100)
def test_no_forged_cookie_gets_anywhere(app, db):
    user_id = db.scalar(
        text(
            "INSERT INTO users (name, email, password_hash) "
            "VALUES ('Ada Lovelace', 'ada@example.com', 'none') RETURNING id"
        )
    )
    sign_in_as(app, user_id)
    [real] = app.cookies.values()
    assert b"Ada Lovelace" in answer(app, "/", f"session={real}").body
    before = rows(db)
    forger = Forger(real, SEED)

    for number in range(COUNT):
        header = forger.header()
        response = answer(app, PAGES[number % len(PAGES)], header)
        assert response.status_int < 500, f"seed {SEED}, cookie {number}: {header!r}"
        assert b"Ada Lovelace" not in response.body, f"seed {SEED}, cookie {number}: {header!r}"

    assert rows(db) == before, f"seed {SEED}"


def answer(app: webtest.TestApp, path, header):
    # WSGI servers hand over bytes as characters of Latin-1, and end a header at a line's end.
    environ = {"HTTP_COOKIE": header}
    return Request.blank(path, environ=environ, base_url=HOST).get_response(app.app)


def rows(db):
    return db.execute(text("SELECT * FROM sessions")).mappings().all()
