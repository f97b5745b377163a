"""From a letter to a message: what is to be said, in words, and in links that are good from now."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
)

from authapp.domain.events import Announcer, PasswordResetRequested
from authapp.domain.mail import LetterKind, Message, PostedLetter
from authapp.domain.notices import params_of
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
from authapp.languages import Language, Languages
from authapp.settings import Contact, SiteSettings
from authapp.user_agents import describe

# What a letter may say of its cause; where it does not, its templates leave the sentence out.
_PARAMS = ("name", "email", "at", "address", "user_agent", "new_email", "by", "language")
# For an address that may be a stranger's.
_NO_NAME = {"name": ""}
_PATHS = {
    Purpose.RESET_PASSWORD: "/reset-password/",
    Purpose.VERIFY_EMAIL: "/verify-email/",
    Purpose.CHANGE_EMAIL: "/verify-email/",
}
# What mail programs make a link of, also without being told to: "example.com", "//host".
_LOOKS_LIKE_A_LINK = re.compile(r"//|@|\w\.\w{2}")
_EMPTY_LINES = re.compile(r"\n{3,}")
_WIDTH = 72
# Stands around the address of a link until the paragraph is filled; `_one_line` leaves it in
# nothing that a letter is told.
_MARK = "\x1f"
_ADDRESS = re.compile(f"{_MARK}(.*?){_MARK}")


class BrokenLetter(ValueError):
    """A template of the application's own cannot be used; the message says which, and why."""


class LetterWriter:
    """Implements `authapp.domain.mail.Writer`.

    The repositories commit each statement, so that a token is good before its message leaves.
    Links are built from the site's own address, never from what a request said it was.

    A letter is in the language that its account has chosen, else in that of the page on which it
    was asked for, else in the site's.
    """

    def __init__(
        self,
        site: SiteSettings,
        languages: Languages,
        users: UserRepository,
        tokens: TokenRepository,
        announcer: Announcer,
        folders: Sequence[Path] = (),
    ) -> None:
        """Templates in the later `folders` have the first word, those of authapp the last. Raises
        `BrokenLetter`."""
        self._site = site
        self._languages = languages
        self._users = users
        self._tokens = tokens
        self._announcer = announcer
        self._html = _templates("html", tuple(folders), autoescape=True)
        self._text = _templates("text", tuple(folders), autoescape=False)
        if folders:
            for folder in folders:
                _check_names(folder)
            _check_syntax(self._html, self._text)

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
        return self._message(posted, user.email, link, **params_of(user))

    def _verify_email(self, posted: PostedLetter) -> Message | None:
        letter = posted.letter
        user = self._user(letter.user_id)
        if user is None or user.email != letter.recipient or user.email_verified_at is not None:
            return None
        link = self._new_link(Purpose.VERIFY_EMAIL, user, user.email)
        return self._message(posted, user.email, link, **(params_of(user) | _NO_NAME))

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
        params = params_of(user) | _NO_NAME | {"new_email": new_email}
        return self._message(posted, new_email, link, **params)

    def _user(self, user_id: UUID | None) -> User | None:
        return self._users.by_id(user_id) if user_id is not None else None

    def _new_link(self, purpose: Purpose, user: User, email: str) -> "_Link":
        token, lifetime = new_token(), LIFETIMES[purpose]
        self._tokens.add(token_hash(token), Token(purpose, user.id, email), lifetime)
        return _Link(f"{self._site.url}{_PATHS[purpose]}{token}", lifetime)

    def _message(
        self,
        posted: PostedLetter,
        recipient: str,
        link: "_Link | None" = None,
        **params: str,
    ) -> Message:
        letter = posted.letter
        told = {name: letter.params.get(name, "") for name in _PARAMS} | params
        told = {name: _one_line(value) for name, value in told.items()}
        language = self._languages.of(told.pop("language"))
        context = {
            **asdict(self._site.theme),
            **self._site_context(),
            **_language_context(language),
            **_told_context(told, language),
            **(link.context(language) if link else {}),
            "recipient": _one_line(letter.recipient),
        }
        return self._render(posted, recipient, context)

    def _site_context(self) -> Mapping[str, str]:
        contact = self._site.support or Contact(self._site.url, self._site.url)
        return {
            "site_name": _one_line(self._site.name),
            "site_url": self._site.url,
            "contact_text": contact.text,
            "contact_href": contact.href,
        }

    def _render(self, posted: PostedLetter, recipient: str, context: Mapping[str, Any]) -> Message:
        name = f"{posted.letter.kind}.jinja2"
        text = self._text.get_template(name).render(context).lstrip("\n")
        subject, _, text = text.partition("\n")
        html = self._html.get_template(name).render(context, subject=subject)
        # Parts stand apart by empty lines, and so does what they leave out.
        text = _EMPTY_LINES.sub("\n\n", text).lstrip("\n")
        return Message(posted.id, recipient, subject, text, html)


@dataclass(frozen=True, slots=True)
class _Link:
    url: str
    lifetime: timedelta

    def context(self, language: Language) -> Mapping[str, str]:
        return {"link": self.url, "lifetime": language.duration(self.lifetime)}


def _language_context(language: Language) -> Mapping[str, Any]:
    """What `{% trans %}` and the layout ask for: one environment serves all languages."""
    return {
        "language": language.tag,
        "direction": language.direction,
        "gettext": language.gettext,
        "ngettext": language.ngettext,
    }


def _told_context(told: Mapping[str, str], language: Language) -> Mapping[str, str]:
    """What gave rise to the letter, as it is said to people."""
    name, at, user_agent = told["name"], told["at"], told["user_agent"]
    return {
        **told,
        "name": name if is_fit_for_a_greeting(name) else "",
        "at": _moment(at, language) if at else "",
        "device": _one_line(describe(user_agent, language)) if user_agent else "",
    }


def _may_reset(user: User, posted: PostedLetter) -> bool:
    """Not by a letter that was asked for before the password became what it is: it may have waited
    for long, and whoever asked for it may be who the password was changed for fear of."""
    return user.is_active and posted.created_at >= user.password_changed_at


def is_fit_for_a_greeting(name: str) -> bool:
    """Anybody can sign up with somebody else's address, and with a name that is an advertisement:
    no letter of this site carries it to them as a link."""
    return not _LOOKS_LIKE_A_LINK.search(name)


def _moment(at: str, language: Language) -> str:
    """With plain spaces: a letter that is ASCII but for those of its dates stays ASCII."""
    return " ".join(language.moment(datetime.fromisoformat(at)).split())


def _one_line(text: str) -> str:
    """Parameters stand in subjects and between the lines of a text: none may begin a new line."""
    if not has_control_characters(text):
        return text
    return "".join(" " if has_control_characters(character) else character for character in text)


@lru_cache  # To read a template takes longer than to fill it in.
def _templates(form: str, folders: tuple[Path, ...], *, autoescape: bool) -> Environment:
    """The letters, which are the same in either form, with the layout and the parts of this one."""
    environment = Environment(
        loader=ChoiceLoader(
            [
                FileSystemLoader([path for own in reversed(folders) for path in (own / form, own)]),
                PackageLoader("authapp", f"templates/mail/{form}"),
                PackageLoader("authapp", "templates/mail"),
            ]
        ),
        autoescape=autoescape,  # noqa: S701  # Text has no markup.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.filters.update(beneath=_beneath, filled=_filled)
    return environment


def _check_names(folder: Path) -> None:
    """What is named as no letter is would never be used; parts of their own begin with `_`."""
    ours = files("authapp") / "templates" / "mail"
    for path in sorted(folder.rglob("*.jinja2")):
        name = path.relative_to(folder).as_posix()
        if not path.name.startswith("_") and not ours.joinpath(name).is_file():
            raise BrokenLetter(f"{path} has the name of no letter")


def _check_syntax(*environments: Environment) -> None:
    for environment in environments:
        for kind in LetterKind:
            try:
                environment.get_template(f"{kind}.jinja2")
            except TemplateError as error:
                raise BrokenLetter(f"{kind}.jinja2: {error}") from None


def _beneath(address: str) -> str:
    """Has the address stand beneath the paragraph, where it neither is broken nor breaks a line."""
    return f"{_MARK}{address}{_MARK}"


def _filled(paragraph: str) -> str:
    """The paragraph in lines that fit any mail program, and beneath it the addresses in it."""
    addresses = _ADDRESS.findall(paragraph)
    words = textwrap.fill(
        " ".join(_ADDRESS.sub("", paragraph).split()),
        _WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n\n".join([words, *(f"    {address}" for address in addresses)])
