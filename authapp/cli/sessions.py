"""`authapp sessions`: look at them, end them, clear away the expired ones."""

from dataclasses import asdict
from uuid import UUID

import click
from sqlalchemy.exc import DataError

from authapp.cli.context import Context, Group, Refused, pass_context
from authapp.domain.purging import PURGE_BATCH_SIZE
from authapp.domain.sessions import SessionInfo
from authapp.domain.text import is_storable


@click.group(cls=Group)
def sessions() -> None:
    """Look at sessions, end them, clear away the expired ones."""


@sessions.command("list")
@click.argument("user")
@pass_context
def list_sessions(context: Context, user: str) -> None:
    """List the live sessions of USER, the one used last first.

    USER is an id or, where there are accounts, an email address.
    """
    try:
        found = context.sessions.of_user(_id_of(context, user))
    except DataError:
        raise click.BadParameter(f"{user!r} is no user's id.", param_hint="USER") from None
    lines = [_line(session) for session in found] or ["no live sessions"]
    context.answer({"sessions": [asdict(session) for session in found]}, "\n".join(lines))


@sessions.command()
@click.argument("session_id", type=click.UUID)
@pass_context
def revoke(context: Context, session_id: UUID) -> None:
    """End the session SESSION_ID."""
    if not context.sessions.revoke(session_id):
        raise Refused("not_found", f"there is no session {session_id}")
    context.answer({"revoked": 1}, f"ended the session {session_id}")


@sessions.command("purge")
@click.option("--batch-size", type=click.IntRange(1, 100_000), default=PURGE_BATCH_SIZE)
@pass_context
def purge_sessions(context: Context, batch_size: int) -> None:
    """Delete expired sessions, in short transactions; several may run at once.

    Where there are accounts, also expired tokens, throttles that are over, and security events and
    letters that were given up where they are older than events.keep.
    """
    deleted = {name: sum(purge()) for name, purge in context.purges(batch_size).items()}
    listed = ", ".join(f"{count} expired {name}" for name, count in deleted.items())
    context.answer({"deleted": deleted.pop("sessions"), **deleted}, f"deleted {listed}")


@sessions.command()
@pass_context
def stats(context: Context) -> None:
    """Count the sessions."""
    counts = context.sessions.count()
    context.answer(
        asdict(counts),
        f"live: {counts.live}, of which signed in: {counts.signed_in}; expired: {counts.expired}",
    )


def _id_of(context: Context, user: str) -> str:
    """Where an application has users of its own, their ids may look like addresses."""
    if "@" not in user or context.users is None:
        return user
    account = context.users.by_email(user) if is_storable(user) else None
    if account is None:
        raise Refused("not_found", f"there is no user {user!r}")
    return str(account.id)


def _line(session: SessionInfo) -> str:
    return (
        f"{session.id}  signed in {session.created_at:%Y-%m-%d %H:%M}"
        f"  last used {session.last_seen_at:%Y-%m-%d %H:%M}"
        f"  from {session.address or 'unknown'}"
    )
