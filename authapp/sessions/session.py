"""`request.session`: a mapping that is loaded when it is first needed and written with the commit.

Nothing is written while a request runs. What it changed is found by comparison in a before-commit
hook, and written there in one statement within the request's own transaction; the cookie is set
after the commit, and only then (`authapp.sessions.factory` has the order of events).
"""

import logging
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from pyramid.httpexceptions import HTTPRedirection
from pyramid.interfaces import IRequest, ISession
from pyramid.response import Response
from transaction.interfaces import NoTransaction, TransientError
from zope.interface import implementer

from authapp.domain.sessions import (
    DataChange,
    NewSession,
    Outcome,
    OwnerGone,
    Rotation,
    SessionRecord,
    SessionStore,
)
from authapp.sessions.client import client_of
from authapp.sessions.content import Content, UnreadableContent, check, check_size
from authapp.sessions.cookie import CLEAR, CookieJar, News, Ticket
from authapp.sessions.errors import (
    SessionConflict,
    SessionLost,
    SessionNotAllowed,
    SessionNotWritable,
)

log = logging.getLogger(__name__)

_FLASH_PREFIX = "_f_"


class SessionMode(StrEnum):
    """What a view may do with the session: `config.add_view(…, session="readonly")`."""

    WRITE = "write"
    NO_TOUCH = "no_touch"  # The request does not count as use, as those of a poll should not.
    READONLY = "readonly"
    NONE = "none"


# Keys in the request's environ.
SESSION_MODE = "authapp.session_mode"
LOCK_SESSION = "authapp.lock_session"  # Whether the next run is to load with the row's lock.


@implementer(ISession)
class Session(MutableMapping[str, Any]):
    """The web session of one request.

    Beyond Pyramid's `ISession` it offers `id`, `user_id`, `owner`, `persistent`, `writable`,
    `sign_in`, `rotate`, `reload`, `flush` and `save_now`. Values are what JSON can carry, and
    datetime, date, UUID, Decimal and bytes.
    """

    def __init__(
        self,
        request: IRequest,
        jar: CookieJar,
        store: SessionStore,
        *,
        max_size: int,
        rolling: bool,
        lock: bool,
    ) -> None:
        """`max_size` is in bytes, `rolling` sends the cookie again with each touch, and `lock`
        makes loading take the row's lock, as the second run of a request does."""
        self._request = request
        self._jar = jar
        self._store = store
        self._max_size = max_size
        self._rolling = rolling
        self._lock = lock

        # What the browser holds, as far as it was signed here; or what a flush has put there.
        self._held_tickets = jar.read(request)
        self._ticket = next(iter(self._held_tickets), None)
        self._record: SessionRecord | None = None
        self._loaded = False
        self._content: Content | None = None  # Decoded when first looked at.
        self._begun_at = int(time.time())

        # What the commit is to make of it.
        self._next_ticket: Ticket | None = None
        self._next_user_id: Any = None
        self._next_persistent: bool | None = None
        self._ended_record: SessionRecord | None = None

        self._enlisted = False
        self._saved = False
        self._committed = False
        self._flushed = False  # The request's transaction has written the row, and locks it.
        self._flushed_ticket: Ticket | None = None
        self._is_over = False  # It ended some other way: what else is changed is dropped.
        self._is_late = False  # It came with a token that another has replaced.
        self._changed_by_exception_view = False
        self._news = News()

    # What the session is.

    @property
    def id(self) -> UUID | None:
        """The public id of the stored session, the same for its whole life; None for a new one,
        until `flush`."""
        record = self._load()
        return record.id if record else None

    @property
    def user_id(self) -> Any:
        """The key of the user who is signed in, or None."""
        record = self._load()
        if self._next_user_id is not None or record is None:
            return self._next_user_id
        return record.user_id

    @property
    def owner(self) -> Any:
        """What the application loads along with a session, as of the request's beginning."""
        record = self._load()
        return record.owner if record else None

    @property
    def persistent(self) -> bool:
        """Whether the cookie outlives the browser. Sessions do, unless they are told not to."""
        if self._next_persistent is not None:
            return self._next_persistent
        record = self._load()
        return record.persistent if record else True

    @persistent.setter
    def persistent(self, persistent: bool) -> None:
        self._next_persistent = persistent
        if self._load() is not None:
            self.rotate()  # The cookie has to be sent once more.

    @property
    def created(self) -> int:
        """When the session was stored first, in seconds since the epoch; now, for a new one."""
        record = self._load()
        return int(record.created_at.timestamp()) if record else self._begun_at

    @property
    def new(self) -> bool:
        """Whether nothing is stored of this session yet."""
        return self._load() is None

    @property
    def writable(self) -> bool:
        """Whether it can be changed here: within the request's transaction, before it is
        committed, in a view that is not declared to do without."""
        read_only = self._mode in {SessionMode.READONLY, SessionMode.NONE}
        return self._is_in_transaction() and not self._saved and not read_only

    # What can be done with it.

    def sign_in(self, user_id: Any, *, persistent: bool | None = None) -> None:
        """Makes `user_id` the session's user, under a new token.

        What was kept for an anonymous visitor, or for the same user, stays, under the same id; a
        session that was another user's is ended and a new one begun.
        """
        if self.user_id not in (None, user_id):
            self.invalidate()
        self._next_user_id = user_id
        self._next_persistent = persistent
        self.rotate()

    def rotate(self) -> None:
        """Replaces the token, keeps everything else; the old token is dead with the commit."""
        self._check_allowed()
        has_row = self._load() is not None or self._next_user_id is not None
        if has_row:
            self._enlist()
        self._renew_ticket(stored=has_row)

    def invalidate(self) -> None:
        """Ends the session: its row goes with the commit, and what follows starts a new one."""
        record = self._load()
        if record is not None:
            self._enlist()
            self._ended_record = record
            self._news.if_committed = CLEAR
        elif self._ticket is not None:
            self._news.anyway = CLEAR
        self._ticket = self._next_ticket = None
        self._record = None
        self._content = Content()
        self._next_user_id = self._next_persistent = None

    def reload(self) -> None:
        """Forgets what has not been written yet, and reads the session again when next needed."""
        if self._next_ticket is not None and (self._next_ticket.stored or self._ended_record):
            self._next_ticket = None  # A visitor's stays: a form may have its CSRF token by now.
        self._loaded = False
        self._ticket = next(iter(self._held_tickets), None)
        self._record = self._ended_record = self._content = None
        self._next_user_id = self._next_persistent = None
        self._news.if_committed = self._flushed_ticket

    def flush(self) -> UUID | None:
        """Writes what has changed so far into the request's transaction, and returns the id.

        For rows of the application's own that refer to the session, such as a cart's: even a
        session without content is stored then. It is all rolled back or committed together.
        Returns None where nothing can be kept any more, since the session has ended while the
        request was under way. Raises `SessionConflict` when another request has changed the same
        keys.
        """
        self._enlist()
        if self._load() is None or self._has_changes():
            self._settle(self._write_or_lock(even_if_empty=True))
            self._flushed = True
            self._flushed_ticket = self._news.if_committed
            self._lock = True  # What is read from now on must be what this transaction has written.
        return self._record.id if self._record else None

    def save_now(self) -> None:
        """Writes what has changed so far at once, in a transaction of its own.

        For the rare write that must outlive a rollback of the request. Raises `SessionConflict`
        when another request has changed the same keys, and `SessionNotWritable` after `flush`,
        when the request's own transaction holds the row.
        """
        self._enlist()
        if not self._has_changes():
            return
        if self._flushed:
            raise SessionNotWritable("save_now() after flush() would wait for its own transaction")
        if self._lock and self._record is not None:
            # So would it here. The next run goes without the lock.
            self._request.environ[LOCK_SESSION] = False
            raise SessionConflict("save_now() in a request that holds the session's lock")
        store, self._store = self._store, self._store.apart()
        try:
            self._settle(self._write())
        finally:
            self._store = store
        self._news.anyway = self._news.if_committed or self._news.anyway
        self._news.if_committed = None

    def changed(self) -> None:
        """Does nothing: changes are found by comparison, also those deep inside of values."""
        self._enlist()

    # CSRF tokens. Pyramid's default storage policy asks the session for them.

    def get_csrf_token(self) -> str:
        """Derived from the cookie's token, so that it needs no row, and changes with sign-in."""
        if self._mode is SessionMode.NONE:
            raise SessionNotAllowed(
                'this view is declared with session="none", so no CSRF token can be made or '
                "checked for it; a view that forms are posted to and that guards itself in some "
                "other way says require_csrf=False"
            )
        self._load()  # The token of a session that has ended vouches for nothing.
        ticket = self._next_ticket or self._ticket or self._renew_ticket(stored=False)
        return ticket.csrf_token

    def new_csrf_token(self) -> str:
        """A new CSRF token takes a new token in the cookie."""
        self.rotate()
        return self.get_csrf_token()

    # Flash messages: lists under keys of their own.

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        messages = self.peek_flash(queue)
        if allow_duplicate or msg not in messages:
            self[_FLASH_PREFIX + queue] = [*messages, msg]

    def pop_flash(self, queue: str = "") -> list[Any]:
        messages = self.pop(_FLASH_PREFIX + queue, [])
        return messages if isinstance(messages, list) else []

    def peek_flash(self, queue: str = "") -> list[Any]:
        messages = self.get(_FLASH_PREFIX + queue, [])
        return messages if isinstance(messages, list) else []

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        return self._values()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        # Checked at once, so that the traceback shows the line that is wrong.
        check(key, value)
        self._enlist()
        self._values()[key] = value

    def __delitem__(self, key: str) -> None:
        self._enlist()
        del self._values()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __contains__(self, key: object) -> bool:
        return key in self._values()

    def __ior__(self, other: Any) -> "Session":
        self.update(other)
        return self

    def copy(self) -> dict[str, Any]:
        return dict(self._values())

    def __repr__(self) -> str:
        # Neither the token nor the values: this lands in logs.
        return f"<Session {self._record.id if self._record else 'not stored'}>"

    # Loading.

    def _load(self) -> SessionRecord | None:
        if not self._loaded:
            self._loaded = True
            if self._mode is SessionMode.NONE:
                self._ticket = None
            else:
                tickets = [t for t in self._held_tickets if t.stored or self._lock]
                if tickets:
                    self._load_one_of(tickets)
        return self._record

    def _load_one_of(self, tickets: Sequence[Ticket]) -> None:
        try:
            record = self._store.load([t.token_hash for t in tickets], lock=self._lock)
        except BaseException:
            self._loaded = False
            raise
        if record is None:
            self._find_nothing()
            return
        self._record = record
        ticket = next(t for t in tickets if t.token_hash == record.token_hash)
        self._ticket = Ticket(ticket.token, stored=True)
        if not ticket.stored:
            # A visitor's first two requests at once: the other one has stored the session.
            self._news.anyway = self._ticket
        # A second run holds a connection and the row's lock; the next request will do.
        if record.touch_due and not self._lock and self._mode is not SessionMode.NO_TOUCH:
            self._store.touch(record)
            if self._rolling:
                self._news.anyway = self._ticket

    def _find_nothing(self) -> None:
        visitors = tuple(t for t in self._held_tickets if not t.stored)
        self._held_tickets = visitors
        self._ticket = next(iter(visitors), None)
        if self._ticket is not None:
            # Beside a cookie that is left over from another path, or domain, of the settings.
            return
        # A request in the background may be late: sent with a token that a sign-in has replaced
        # since, whose cookie it must not touch. The next page that is opened will.
        self._is_late = self._request.environ.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate"
        if not self._is_late:
            self._news.anyway = CLEAR

    def _renew_ticket(self, *, stored: bool) -> Ticket:
        self._next_ticket = Ticket.new(stored=stored)
        # A visitor's names no row, and need not wait, unless it replaces one that does.
        if stored or self._ended_record is not None:
            self._news.if_committed = self._next_ticket
        elif not self._is_late:
            self._news.anyway = self._next_ticket
        return self._next_ticket

    def _values(self) -> dict[str, Any]:
        self._check_allowed()
        if self._content is None:
            self._content = self._read_content()
        values = self._content.values
        # A value that is handed out may be changed in place, which only a comparison at the time
        # of the commit can tell.
        if values and not self._enlisted and self.writable:
            self._join()
        return values

    def _read_content(self) -> Content:
        record = self._load()
        if record is None:
            return Content()
        try:
            return Content.of(record)
        except UnreadableContent:
            log.warning("session %s has data that cannot be read; it is ended", record.id)
            if self.writable:
                self.invalidate()
            return Content()

    def _check_allowed(self) -> None:
        if self._mode is SessionMode.NONE:
            raise SessionNotAllowed('this view is declared with session="none"')

    # Writing: before the commit.

    @property
    def _mode(self) -> SessionMode:
        mode: SessionMode = self._request.environ.get(SESSION_MODE, SessionMode.WRITE)
        return mode

    def _is_in_transaction(self) -> bool:
        return bool(self._request.environ.get("tm.active"))

    def _enlist(self) -> None:
        """Makes the coming commit write the session; raises `SessionNotWritable` without one."""
        if not self.writable:
            raise SessionNotWritable(self._why_not_writable())
        if _exception(self._request) is not None:
            self._changed_by_exception_view = True
        if not self._enlisted:
            self._join()

    def _join(self) -> None:
        transaction = self._request.tm.get()
        transaction.addBeforeCommitHook(self._save)
        transaction.addAfterCommitHook(self._note_commit)
        self._request.add_finished_callback(_abort_unfinished)
        self._enlisted = True

    def _why_not_writable(self) -> str:
        if self._saved:
            return "the session was changed after it had been written"
        if not self._is_in_transaction():
            return (
                "the session was changed outside of the request's transaction, where nothing would "
                "write it; is pyramid_tm included, and does tm.activate_hook let this request in?"
            )
        return f'the session was changed in a view that is declared with session="{self._mode}"'

    def _save(self) -> None:
        self._saved = True
        self._write_or_lock()

    def _write_or_lock(self, *, even_if_empty: bool = False) -> UUID | None:
        """Writes; where that fails, the next run of the request loads with the row's lock."""
        try:
            return self._write(even_if_empty=even_if_empty)
        except TransientError:
            self._request.environ[LOCK_SESSION] = True
            raise

    def _write(self, *, even_if_empty: bool = False) -> UUID | None:
        """Returns the id of the row that there is now, if there is one."""
        if self._ended_record is not None:
            self._delete(self._ended_record)
        try:
            if self._record is not None:
                return self._update(self._record)
            if self._next_user_id is not None:
                return self._insert()
            if not self._is_over and (self._has_values() or even_if_empty):
                return self._insert()
        except OwnerGone:
            # Run again, the request will find that there is no such user.
            raise SessionConflict("a user was deleted while being signed in") from None
        return None

    def _has_changes(self) -> bool:
        if self._ended_record is not None:
            return True
        if self._record is None:
            return self._next_user_id is not None or (self._has_values() and not self._is_over)
        return bool(self._change().after or self._rotation(self._record))

    def _has_values(self) -> bool:
        return self._content is not None and bool(self._content.values)

    def _change(self) -> DataChange:
        return self._content.change(self._max_size) if self._content else DataChange()

    def _settle(self, session_id: UUID | None) -> None:
        """Makes what has been written the state from which further changes are told."""
        ticket, record, content = self._next_ticket, self._record, self._content
        news = self._news.if_committed
        self.reload()
        self._loaded = True
        self._news.if_committed = news
        stored = self._store.refresh(session_id) if session_id is not None else None
        if stored is None:
            self._held_tickets, self._ticket, self._content = (), None, Content()
            return
        if ticket is not None:
            self._held_tickets, self._ticket = (ticket,), ticket
        elif record is not None:
            # Should the token be another by now, then not by this request's doing: it stays late.
            stored = replace(stored, token_hash=record.token_hash)
        self._record = stored
        self._content = content.as_stored(stored) if content is not None else None

    def _delete(self, record: SessionRecord) -> None:
        if self._store.delete(record) is Outcome.CONFLICT:
            raise SessionConflict(f"session {record.id} is locked by another request")

    def _insert(self) -> UUID:
        # A visitor's own token becomes the row's, so that forms that are open stay valid.
        ticket = self._next_ticket or self._ticket or Ticket.new(stored=True)
        self._next_ticket = self._news.if_committed = Ticket(ticket.token, stored=True)
        data = self._content.encoded() if self._content else {}
        check_size(data, self._max_size)
        session = NewSession(
            id=uuid4(),
            token_hash=ticket.token_hash,
            user_id=self._next_user_id,
            persistent=self.persistent,
            data=data,
            client=client_of(self._request),
        )
        if not self._store.insert(session):
            raise SessionConflict("another request of the same visitor has stored the session")
        return session.id

    def _update(self, record: SessionRecord) -> UUID | None:
        change, rotation = self._change(), self._rotation(record)
        if not change.after and rotation is None:
            return record.id
        outcome = self._store.update(record, change, rotation)
        if outcome is Outcome.CONFLICT:
            raise SessionConflict(f"session {record.id} was changed by another request")
        if outcome is Outcome.WRITTEN:
            return record.id
        log.info("session %s %s while a request was under way", record.id, outcome.value)
        if self._next_user_id is not None:
            # What was kept for the visitor is gone, yet the sign-in stands: in a session anew.
            self._record, self._content = None, Content()
            return self._insert()
        self._is_over = True
        self._next_ticket = self._news.if_committed = None
        if outcome is Outcome.ENDED:
            self._news.anyway = CLEAR
        else:
            self._is_late = True  # The browser has a newer cookie.
        return None

    def _rotation(self, record: SessionRecord) -> Rotation | None:
        if self._next_ticket is None or not self._next_ticket.stored:
            return None
        user_id = self._next_user_id if self._next_user_id is not None else record.user_id
        return Rotation(
            self._next_ticket.token_hash, user_id, self.persistent, client_of(self._request)
        )

    # The cookie: after the commit.

    def _note_commit(self, success: bool) -> None:
        self._committed = success

    def set_cookie(self, request: IRequest, response: Response) -> None:
        """The response callback: tells the browser what was committed, and nothing else."""
        _mark_personal(response)
        self._fail_if_lost(request, response)
        ticket = self._news.at_the_end(committed=self._committed)
        if ticket is CLEAR:
            self._jar.clear(request, response)
        elif ticket is not None:
            persistent = ticket.stored and self.persistent
            self._jar.write(request, response, ticket, persistent=persistent)

    def _fail_if_lost(self, request: IRequest, response: Response) -> None:
        """Refuses to send a person on as if all had been well.

        pyramid_tm rolls back what a raised response or any other exception leaves behind. For an
        error that is meant; for a redirect, say after a sign-in, or for an exception view that
        flashes "Please sign in" and redirects, it is a mistake that would go unnoticed.
        """
        error = _exception(request)
        if error is None or self._saved or not 300 <= response.status_code < 400:
            return
        if not isinstance(error, HTTPRedirection) and not self._changed_by_exception_view:
            return  # The view has raised an error, so it meant to discard what it had changed.
        if self._flushed or self._has_changes():
            message = (
                f"the session was changed, but {type(error).__name__} was raised, which rolls the "
                "change back, and the answer is a redirect; return the redirect instead of raising "
                "it, or, in an exception view, call request.session.save_now() before"
            )
            log.error(message)
            raise SessionLost(message)


def _exception(request: IRequest) -> BaseException | None:
    """What an exception view is answering, or has answered."""
    error: BaseException | None = getattr(request, "exception", None)
    return error


def _abort_unfinished(request: IRequest) -> None:
    """Ends a transaction that pyramid_tm has left alone.

    When a before-commit hook raises, as ours does for a race that was lost, pyramid_tm neither
    commits nor aborts: the connection would stay in its transaction, with its locks, until it is
    collected. While `tm.active` is set, somebody outside of the request is in charge.
    """
    if "tm.active" not in request.environ:
        with suppress(NoTransaction):
            request.tm.abort()


def _mark_personal(response: Response) -> None:
    """Keeps caches from handing one person's page to another (CVE-2023-30861)."""
    vary = response.vary or ()
    if "Cookie" not in vary and "*" not in vary:
        response.vary = (*vary, "Cookie")
    if "Cache-Control" not in response.headers:
        response.cache_control = "no-store"
