from uuid import UUID

from sqlalchemy import Connection, text


def add_user(db: Connection) -> UUID:
    """A user past any repository."""
    return db.execute(
        text(
            "INSERT INTO users (name, email, password_hash) "
            "VALUES ('Ada', gen_random_uuid() || '@example.com', 'none') RETURNING id"
        )
    ).scalar_one()
