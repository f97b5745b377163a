"""From a letter to a message: what is to be said, in words, and in links that are good from now."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from authapp.domain.events import Announcer, PasswordResetRequested
from authapp.domain.mail import Letter, LetterKind, Message, PostedLetter
from authapp.domain.text import has_control_characters
from authapp.domain.tokens import (
    LIFETIMES,
    Purpose,
    Token,
    TokenRepository,
    new_token,
    token_hash,
)
from authapp.domain.users import User, UserRepository
from authapp.languages import SOURCE, Language
from authapp.settings import SiteSettings
from authapp.user_agents import describe

# What a letter may say of its cause; where it does not, its templates leave the sentence out.
_PARAMS = ("name", "email", "at", "address", "user_agent", "new_email", "by")
_PATHS = {
    Purpose.RESET_PASSWORD: "/reset-password/",
    Purpose.VERIFY_EMAIL: "/verify-email/",
    Purpose.CHANGE_EMAIL: "/verify-email/",
}
# What mail programs make a link of, also without being told to: "example.com", "//host".
_LOOKS_LIKE_A_LINK = re.compile(r"//|@|\w\.\w{2}")
_EMPTY_LINES = re.compile(r"\n{3,}")


class LetterWriter:
    """Implements `authapp.domain.mail.Writer`.

    The repositories commit each statement, so that a token is good before its message leaves.
    Links are built from the site's own address, never from what a request said it was.
    """

    def __init__(
        self,
        site: SiteSettings,
        users: UserRepository,
        tokens: TokenRepository,
        announcer: Announcer,
    ) -> None:
        self._site = site
        self._users = users
        self._tokens = tokens
        self._announcer = announcer
        self._templates = _templates()

    def write(self, posted: PostedLetter) -> Message | None:
        match posted.letter.kind:
            case LetterKind.RESET_PASSWORD:
                return self._reset_password(posted)
            case LetterKind.VERIFY_EMAIL:
                return self._verify_email(posted)
            case LetterKind.CHANGE_EMAIL:
                return self._change_email(posted)
        return self._message(posted, posted.letter.recipient)

    def _reset_password(self, posted: PostedLetter) -> Message | None:
        """To the address that the account has, not to the one that somebody has typed."""
        user = self._users.by_email(posted.letter.recipient)
        if user is None or not _may_reset(user, posted):
            return None
        link = self._new_link(Purpose.RESET_PASSWORD, user, user.email)
        # Whoever is changing the password at this moment may have voided all tokens before this one
        # was there. They are waited for.
        held = self._users.hold(user.id)
        if held is None or not _may_reset(held, posted):
            return None
        if posted.attempt == 1:
            self._announcer.announce(PasswordResetRequested(user=user))
        return self._message(posted, user.email, link, name=user.name, email=user.email)

    def _verify_email(self, posted: PostedLetter) -> Message | None:
        letter = posted.letter
        user = self._user(letter.user_id)
        if user is None or user.email != letter.recipient or user.email_verified_at is not None:
            return None
        link = self._new_link(Purpose.VERIFY_EMAIL, user, user.email)
        return self._message(posted, user.email, link, name="", email=user.email)

    def _change_email(self, posted: PostedLetter) -> Message | None:
        new_email = posted.letter.recipient
        user = self._user(posted.letter.user_id)
        if user is None or not user.is_active or user.email == new_email:
            return None
        owner = self._users.by_email(new_email)
        if owner is not None and owner.id != user.id:
            return None
        # The message of an attempt that seemed to fail may have arrived, and its link is good.
        if posted.attempt == 1:
            self._tokens.revoke(user.id, Purpose.CHANGE_EMAIL)
        link = self._new_link(Purpose.CHANGE_EMAIL, user, new_email)
        return self._message(
            posted, new_email, link, name="", email=user.email, new_email=new_email
        )

    def _user(self, user_id: UUID | None) -> User | None:
        return self._users.by_id(user_id) if user_id is not None else None

    def _new_link(self, purpose: Purpose, user: User, email: str) -> Mapping[str, str]:
        token, lifetime = new_token(), LIFETIMES[purpose]
        self._tokens.add(token_hash(token), Token(purpose, user.id, email), lifetime)
        url = f"{self._site.url}{_PATHS[purpose]}{token}"
        return {"link": url, "lifetime": in_words(lifetime)}

    def _message(
        self,
        posted: PostedLetter,
        recipient: str,
        link: Mapping[str, str] | None = None,
        **params: str,
    ) -> Message:
        letter = posted.letter
        context = {**self._context(letter, params), **(link or {})}
        subject, _, text = self._render(letter.kind, "txt", context).partition("\n")
        html = self._render(letter.kind, "html", {**context, "subject": subject})
        # What templates leave out leaves its empty lines behind.
        text = _EMPTY_LINES.sub("\n\n", text).lstrip("\n")
        return Message(posted.id, recipient, subject, text, html)

    def _context(self, letter: Letter, params: Mapping[str, str]) -> dict[str, str]:
        kept = {name: _one_line(letter.params.get(name, "")) for name in _PARAMS}
        said = {**kept, **params}
        user_agent = said.pop("user_agent")
        return {
            **said,
            "name": said["name"] if is_fit_for_a_greeting(said["name"]) else "",
            "at": _moment(said["at"]),
            "device": _one_line(describe(user_agent, Language(SOURCE))) if user_agent else "",
            "site_name": _one_line(self._site.name),
            "site_url": self._site.url,
            "recipient": _one_line(letter.recipient),
        }

    def _render(self, kind: LetterKind, form: str, context: Mapping[str, Any]) -> str:
        return self._templates.get_template(f"{kind}.{form}.jinja2").render(context)


def _may_reset(user: User, posted: PostedLetter) -> bool:
    """Not by a letter that was asked for before the password became what it is: it may have waited
    for long, and whoever asked for it may be who the password was changed for fear of."""
    return user.is_active and posted.created_at >= user.password_changed_at


def is_fit_for_a_greeting(name: str) -> bool:
    """Anybody can sign up with somebody else's address, and with a name that is an advertisement:
    no letter of this site carries it to them as a link."""
    return not _LOOKS_LIKE_A_LINK.search(name)


def in_words(duration: timedelta) -> str:
    """In hours, or in days where it is more than one: "1 hour", "24 hours", "3 days"."""
    hours = int(duration.total_seconds()) // 3600
    number, unit = (hours // 24, "day") if hours > 24 else (hours, "hour")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _moment(at: str) -> str:
    if not at:
        return ""
    moment = datetime.fromisoformat(at)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _one_line(text: str) -> str:
    """Parameters stand in subjects and between the lines of a text: none may begin a new line."""
    if not has_control_characters(text):
        return text
    return "".join(" " if has_control_characters(character) else character for character in text)


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("authapp", "templates/mail"),
        autoescape=select_autoescape(("html.jinja2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
