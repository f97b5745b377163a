"""Waiting for the database to be in a certain state, rather than for some time."""

import time

from sqlalchemy import Connection, text

BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def wait_until_blocked(db: Connection, backends: int = 1) -> None:
    """Waits until so many backends of this database wait for a lock that another one holds."""
    deadline = time.monotonic() + 10
    while db.execute(BLOCKED).scalar_one() < backends:
        assert time.monotonic() < deadline, "nothing waits for a lock"
        time.sleep(0.005)
