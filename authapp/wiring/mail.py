"""The delivery of letters: over the engine, beside all requests."""

import logging
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewRequest
from sqlalchemy import Engine

from authapp.domain.mail import Letter, Transport
from authapp.languages import Languages
from authapp.mail.courier import Courier
from authapp.mail.transports import transport_for
from authapp.mail.writer import BrokenLetter, LetterWriter
from authapp.repositories import ENGINE
from authapp.repositories.connections import Connections, OwnConnections
from authapp.repositories.events import SqlEventLog
from authapp.repositories.outbox import SqlOutbox
from authapp.repositories.tokens import SqlTokenRepository
from authapp.repositories.users import SqlUserRepository
from authapp.security.announcer import EventAnnouncer
from authapp.services.delivery import Delivery
from authapp.settings import LanguageSettings, MailSettings, Settings, SettingsError, SiteSettings

log = logging.getLogger(__name__)

COURIER = "authapp.courier"


def includeme(config: Configurator) -> None:
    """The thread that delivers, kept as `registry["authapp.courier"]`, where one is wanted.

    It begins with the first request: what makes an application and serves none, such as `proutes`
    and `pshell`, has no business with people's letters, and a server that forks after it has loaded
    the application has the thread in each of its processes.
    """
    settings: Settings = config.registry[Settings]
    if settings.mail.url == "console:" and not settings.mode.development:
        log.warning("mail.url is console: letters, and the links in them, go to the log")
    if not settings.mail.background:
        return
    delivery = delivery_over(
        config.registry[ENGINE], settings.mail, settings.site, settings.language
    )
    courier = Courier(delivery.deliver, settings.mail.interval)
    config.registry[COURIER] = courier
    config.add_subscriber(lambda event: courier.begin(), NewRequest)


def delivery_over(
    engine: Engine,
    mail: MailSettings,
    site: SiteSettings,
    language: LanguageSettings,
    transport: Transport | None = None,
) -> Delivery:
    """Delivers by the transport that `mail.url` names, unless it is given another one. Raises
    `SettingsError` for letters of the application's own that cannot be used."""
    connections = OwnConnections(engine)
    outbox = SqlOutbox(connections)
    try:
        writer = LetterWriter(
            site,
            Languages(language.offered, language.catalogues),
            SqlUserRepository(connections),
            SqlTokenRepository(connections),
            EventAnnouncer(SqlEventLog(connections), outbox),
            mail.templates,
        )
    except BrokenLetter as error:
        raise SettingsError([f"mail.templates: {error}"]) from None
    return Delivery(outbox, writer, transport or transport_for(mail, site))


class RequestOutbox(SqlOutbox):
    """The outbox of a request: the letters are on their way as soon as it is committed."""

    def __init__(self, request: Any, connections: Connections) -> None:
        super().__init__(connections)
        self._request = request

    def put(self, letter: Letter) -> None:
        super().put(letter)
        courier = self._request.registry.get(COURIER)
        if courier is not None:
            self._request.tm.get().addAfterCommitHook(_wake_if_committed, (courier,))


def _wake_if_committed(success: bool, courier: Courier) -> None:
    if success:
        courier.wake()
