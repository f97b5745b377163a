"""Delivering letters in tests, and following the links in them."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import webtest

from authapp.domain.mail import Message
from authapp.repositories import ENGINE
from authapp.settings import Settings, SiteSettings, load_section
from authapp.wiring.mail import delivery_over


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


def link_in(message: Message) -> str:
    """The path of the one link with a token, which both parts of the message have."""
    [url] = {word for word in message.text.split() if is_token_link(word)}
    assert f'href="{url}"' in message.html
    return urlsplit(url).path


def is_token_link(word: str) -> bool:
    path = urlsplit(word).path
    return word.startswith("http") and path.startswith(("/reset-password/", "/verify-email/"))
