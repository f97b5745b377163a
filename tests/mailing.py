"""Delivering letters in tests, and following the links in them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import webtest

from authapp.domain.mail import Letter, LetterKind, Message, PostedLetter
from authapp.languages import Languages
from authapp.mail.writer import LetterWriter
from authapp.repositories import ENGINE
from authapp.settings import Settings, SiteSettings, load_section
from authapp.wiring.mail import delivery_over
from tests.fakes import InMemoryUserRepository
from tests.fakes_accounts import InMemoryTokens, RecordingAnnouncer


@dataclass
class KeptTransport:
    """Implements `authapp.domain.mail.Transport`: keeps what it is given."""

    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)


def site_of(url: str, name: str) -> SiteSettings:
    """A site that has set nothing else."""
    site: SiteSettings = load_section(SiteSettings, "site", {"site.url": url, "site.name": name})
    return site


def deliver(app: webtest.TestApp) -> list[Message]:
    """Delivers all letters that are due at the application before this browser; gives the messages
    in the order in which they were sent."""
    registry: Any = app.app.registry
    settings: Settings = registry[Settings]
    transport = KeptTransport()
    delivery_over(
        registry[ENGINE], settings.mail, settings.site, settings.language, transport
    ).deliver()
    return transport.messages


def specimen(kind: LetterKind, site: SiteSettings, languages: Languages) -> Message:
    """A letter of that kind which says all that it may say, in the first of the languages."""
    users = cast(Any, InMemoryUserRepository())
    ada = users.add("Ada Lovelace", "ada@example.com", "hash")
    params = {
        "name": ada.name,
        "email": ada.email,
        "new_email": "ada@new.example.com",
        "at": "2026-11-23T14:05:06+00:00",
        "address": "2001:db8:85a3::8a2e:370:7334",
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Firefox/133.0",
    }
    recipients = {
        LetterKind.CHANGE_EMAIL: params["new_email"],
        LetterKind.EMAIL_CHANGED: "ada@old.example.com",
    }
    recipient = recipients.get(kind, ada.email)
    letter = Letter(kind, recipient, ada.id, params)
    writer = LetterWriter(site, languages, users, InMemoryTokens(), RecordingAnnouncer())
    message = writer.write(PostedLetter(uuid4(), letter, 1, datetime.now(UTC)))
    assert message is not None
    return message


def link_in(message: Message) -> str:
    """The path of the one link with a token, which both parts of the message have."""
    [url] = {word for word in message.text.split() if is_token_link(word)}
    assert f'href="{url}"' in message.html
    return urlsplit(url).path


def is_token_link(word: str) -> bool:
    path = urlsplit(word).path
    return word.startswith("http") and path.startswith(("/reset-password/", "/verify-email/"))
