"""What the accounts leave behind besides sessions, for the purge to clear away."""

from functools import partial

from sqlalchemy import Engine

from authapp.domain.purging import PURGE_BATCH_SIZE, Purges, in_batches
from authapp.repositories.connections import OwnConnections
from authapp.repositories.events import SqlEventLog
from authapp.repositories.outbox import SqlOutbox
from authapp.repositories.throttle import SqlThrottle
from authapp.repositories.tokens import SqlTokenRepository
from authapp.settings import EventsSettings


def account_purges(
    engine: Engine, settings: EventsSettings, *, batch_size: int = PURGE_BATCH_SIZE
) -> Purges:
    connections = OwnConnections(engine)
    given_up = partial(SqlOutbox(connections).purge, settings.keep)
    old_events = partial(SqlEventLog(connections).purge, settings.keep)
    return {
        "tokens": partial(in_batches, SqlTokenRepository(connections).purge, batch_size),
        "throttles": partial(in_batches, SqlThrottle(connections).purge, batch_size),
        "events": partial(in_batches, old_events, batch_size),
        "letters": partial(in_batches, given_up, batch_size),
    }
