"""`authapp users`: make accounts, look at them, change what they may."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from authapp.cli.context import Context, Group, pass_context
from authapp.domain.errors import InvalidInput, LastAdmin, NoSuchAccount
from authapp.domain.users import Role, Status, User
from authapp.services.administration import PAGE_SIZE, Administration
from authapp.views import messages

_ROLE = click.Choice([role.value for role in Role])
_STATUS = click.Choice([status.value for status in Status])


@click.group(cls=Group)
def users() -> None:
    """Make accounts, look at them, change what they may.

    USER is an id or an email address. A password is asked for, or read from standard input where
    that is no terminal.
    """


@users.command()
@click.argument("email")
@click.option("--name", required=True, help="What the person is greeted by.")
@click.option("--role", type=_ROLE, default=Role.MEMBER.value, show_default=True)
@click.option("--verified", is_flag=True, help="The address is known to be the person's own.")
@pass_context
def create(context: Context, email: str, name: str, role: str, verified: bool) -> None:
    """Make an account for the person with the address EMAIL."""
    password = _new_password()
    with _administration(context) as administration:
        user = administration.create(name, email, password, role=Role(role), is_verified=verified)
    _answer(context, user, f"made the account {user.id} of {user.email}")


@users.command("list")
@click.option("--search", default="", help="What the address begins with.")
@click.option("--role", type=_ROLE)
@click.option("--status", type=_STATUS)
@click.option("--limit", type=click.IntRange(1, 1000), default=PAGE_SIZE, show_default=True)
@click.option("--after", help="The address behind which the list goes on.")
@pass_context
def list_users(
    context: Context,
    search: str,
    role: str | None,
    status: str | None,
    limit: int,
    after: str | None,
) -> None:
    """List accounts in the order of their addresses."""
    with _administration(context) as administration:
        found = administration.find(
            search,
            role=Role(role) if role else None,
            status=Status(status) if status else None,
            after=after,
            limit=limit,
        )
    lines = [_line(user) for user in found.users] or ["no such users"]
    if found.next_after is not None:
        lines.append(f"there are more: --after {found.next_after}")
    context.answer(
        {"users": [asdict(user) for user in found.users], "next_after": found.next_after},
        "\n".join(lines),
    )


@users.command()
@click.argument("user")
@pass_context
def show(context: Context, user: str) -> None:
    """Show the account of USER, its sessions and its newest events."""
    with _administration(context, user) as administration:
        account = administration.show(administration.named(user).id)
    found = account.user
    lines = [
        _line(found),
        f"name: {found.name}",
        f"address verified: {found.email_verified_at or 'no'}",
        f"second factor: {found.second_factor_at or 'none'}",
        f"live sessions: {len(account.sessions)}",
        *(f"{event.created_at:%Y-%m-%d %H:%M}  {event.kind}" for event in account.events),
    ]
    context.answer(asdict(account), "\n".join(lines))


@users.command("set-password")
@click.argument("user")
@pass_context
def set_password(context: Context, user: str) -> None:
    """Give USER a new password, and end all of their sessions."""
    password = _new_password()
    with _administration(context, user) as administration:
        changed = administration.set_password(administration.named(user).id, password)
    _answer(context, changed, f"{changed.email} has a new password; all sessions have ended")


@users.command()
@click.argument("user")
@pass_context
def disable(context: Context, user: str) -> None:
    """Keep USER out, and end all of their sessions."""
    with _administration(context, user) as administration:
        changed = administration.disable(administration.named(user).id)
    _answer(context, changed, f"{changed.email} is disabled; all sessions have ended")


@users.command("reset-second-factor")
@click.argument("user")
@pass_context
def reset_second_factor(context: Context, user: str) -> None:
    """Let USER, who has lost the second factor, sign in by the password alone."""
    with _administration(context, user) as administration:
        found = administration.named(user)
        changed = administration.reset_second_factor(found.id)
    ended = "; all sessions have ended" if found.has_second_factor else ""
    _answer(context, changed, f"{changed.email} has no second factor{ended}")


@users.command()
@click.argument("user")
@pass_context
def enable(context: Context, user: str) -> None:
    """Let USER sign in again."""
    with _administration(context, user) as administration:
        changed = administration.enable(administration.named(user).id)
    _answer(context, changed, f"{changed.email} is enabled")


@users.command("set-role")
@click.argument("user")
@click.argument("role", type=_ROLE)
@pass_context
def set_role(context: Context, user: str, role: str) -> None:
    """Give USER the role ROLE, and end all of their sessions."""
    with _administration(context, user) as administration:
        changed = administration.set_role(administration.named(user).id, Role(role))
    _answer(context, changed, f"{changed.email} has the role {changed.role}")


@users.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def delete(context: Context, user: str, yes: bool) -> None:
    """Delete the account of USER, and all that belongs to it."""
    if not yes:
        # Not on standard output, which is the answer's.
        question = f"Delete the account of {user}? This cannot be undone."
        click.confirm(question, abort=True, err=True)
    with _administration(context, user) as administration:
        deleted = administration.delete(administration.named(user).id)
    _answer(context, deleted, f"deleted the account of {deleted.email}")


@contextmanager
def _administration(context: Context, user: str = "") -> Iterator[Administration]:
    """The use cases over one transaction; what the rules refuse is said in words."""
    try:
        with context.services() as services:
            yield services.administration
    except InvalidInput as error:
        listed = messages.describe(error.problems).items()
        words = [f"{field}: {word}" for field, found in listed for word in found]
        raise click.ClickException("\n".join(words)) from None
    except NoSuchAccount:
        raise click.ClickException(f"there is no user {user!r}") from None
    except LastAdmin:
        raise click.ClickException(messages.LAST_ADMIN) from None


def _new_password() -> str:
    """Never from the command line, which other users of the machine can read."""
    if sys.stdin.isatty():
        password: str = click.prompt(
            "Password", hide_input=True, confirmation_prompt="The same again", err=True
        )
        return password
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise click.ClickException("the password on standard input is not UTF-8") from None
    # `echo` ends it with a line break, which nobody can type into a form.
    return text.removesuffix("\n").removesuffix("\r")


def _answer(context: Context, user: User, text: str) -> None:
    body: dict[str, Any] = {"user": asdict(user)}
    context.answer(body, text)


def _line(user: User) -> str:
    return f"{user.id}  {user.email}  {user.role}  {user.status}  since {user.created_at:%Y-%m-%d}"
