import time

from sqlalchemy import Connection, text


def wait_until_blocked(connection: Connection) -> None:
    """Waits until some connection waits for a lock that another one holds."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 10
    while not connection.scalar(waiting):
        assert time.monotonic() < deadline, "nobody waits for a lock"
        time.sleep(0.01)
