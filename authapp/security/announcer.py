"""Telling of an event all who should know: the table, the log, the owner, and the application."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from pyramid.interfaces import IRequest

from authapp.domain.events import AccountEvent, UserDeleted
from authapp.domain.mail import Letter, Letterbox, LetterKind
from authapp.domain.notices import letter_about
from authapp.domain.sessions import Client
from authapp.sessions.client import client_of

log = logging.getLogger("authapp.security.events")


class WritableEventLog(Protocol):
    def add(self, event: AccountEvent, client: Client) -> None: ...


NOWHERE = Client(None, None)


class EventAnnouncer:
    """Implements `authapp.domain.events.Announcer` outside of any request, where each statement is
    committed by itself."""

    def __init__(self, events: WritableEventLog, letters: Letterbox) -> None:
        self._events = events
        self._letters = letters

    def announce(self, event: AccountEvent, /) -> None:
        self.write_down(event, NOWHERE)
        log_event(event, NOWHERE)

    def write_down(self, event: AccountEvent, client: Client) -> None:
        self._events.add(event, _to_keep(event, client))
        letter = letter_about(event)
        if letter is not None:
            self._letters.put(letter)


def _to_keep(event: AccountEvent, client: Client) -> Client:
    """Of somebody who has deleted their account, nothing stays behind but that they did."""
    is_own_doing = event.by is None or event.by == event.user
    return NOWHERE if isinstance(event, UserDeleted) and is_own_doing else client


class CommandAnnouncer:
    """Implements it for a command, which is one transaction: whoever commits it says so."""

    def __init__(self, announcer: EventAnnouncer) -> None:
        self._announcer = announcer
        self._waiting: list[AccountEvent] = []

    def announce(self, event: AccountEvent, /) -> None:
        self._announcer.write_down(event, NOWHERE)
        if event.outlives_rollback:
            log_event(event, NOWHERE)
        else:
            self._waiting.append(event)

    def committed(self) -> None:
        for event in self._waiting:
            log_event(event, NOWHERE)
        self._waiting.clear()


class RequestAnnouncer:
    """Implements it for a request.

    Subscribers of the application's run within the request's transaction: what they write is
    committed or rolled back along with the event.
    """

    def __init__(self, request: IRequest, announcer: EventAnnouncer) -> None:
        self._request = request
        self._announcer = announcer

    def announce(self, event: AccountEvent, /) -> None:
        client = client_of(self._request)
        self._announcer.write_down(event, client)
        if event.outlives_rollback:
            # Before the subscribers, any of which may raise.
            log_event(event, client)
        self._request.registry.notify(replace(event, request=self._request))
        if not event.outlives_rollback:
            self._request.tm.get().addAfterCommitHook(_log_if_committed, (event, client))


def _log_if_committed(success: bool, event: AccountEvent, client: Client) -> None:
    if success:
        log_event(event, client)


def log_event(event: AccountEvent, client: Client) -> None:
    """One line: the name in the OWASP Logging Vocabulary, and the rest as JSON, whose escapes keep
    line breaks and control characters out of it."""
    said = {
        "event": event.kind,
        "user": str(event.user.id) if event.user else None,
        "by": str(event.by.id) if event.by else None,
        "address": client.address,
        "user_agent": client.user_agent,
        **{name: said for name, said in event.details.items() if name not in event.unlogged},
    }
    level = logging.WARNING if event.outlives_rollback else logging.INFO
    log.log(level, "%s %s", event.vocabulary, json.dumps(said, default=str))


class CircumstantialLetters:
    """Implements `authapp.domain.mail.Letterbox`: each letter says what gave rise to it."""

    def __init__(self, letters: Letterbox, client: Client) -> None:
        self._letters = letters
        self._client = client

    def put(self, letter: Letter) -> None:
        self._letters.put(with_circumstances(letter, self._client))

    def withdraw(self, user_id: UUID, *kinds: LetterKind) -> None:
        self._letters.withdraw(user_id, *kinds)


def with_circumstances(letter: Letter, client: Client) -> Letter:
    """What lets the reader tell their own doing from somebody else's. Where an administrator did
    it, the browser is theirs, and nobody else's business."""
    if "by" in letter.params:
        client = NOWHERE
    now = datetime.now(UTC).isoformat(timespec="seconds")
    circumstances = {
        "at": now,
        "address": client.address or "",
        "user_agent": client.user_agent or "",
    }
    return replace(letter, params={**letter.params, **circumstances})
