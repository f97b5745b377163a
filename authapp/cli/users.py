"""`authapp users`: make accounts, look at them, change what they may."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import click

from authapp.cli.context import Context, Group, Refused, pass_context
from authapp.domain.errors import InvalidInput, LastAdmin, NoSuchAccount
from authapp.domain.users import Role, Status, User
from authapp.languages import SOURCE, Language
from authapp.services.administration import PAGE_SIZE, Administration
from authapp.views import messages

T = TypeVar("T")

# Commands speak to operators, in the language of their options.
ENGLISH = Language(SOURCE)

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
    user = _administer(
        context,
        lambda administration: administration.create(
            name, email, password, role=Role(role), is_verified=verified
        ),
    )
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
    found = _administer(
        context,
        lambda administration: administration.find(
            search,
            role=Role(role) if role else None,
            status=Status(status) if status else None,
            after=after,
            limit=limit,
        ),
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
    account = _administer(context, lambda a: a.show(a.named(user).id), user)
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
    changed = _administer(context, lambda a: a.set_password(a.named(user).id, password), user)
    _answer(context, changed, f"{changed.email} has a new password; all sessions have ended")


@users.command()
@click.argument("user")
@pass_context
def disable(context: Context, user: str) -> None:
    """Keep USER out, and end all of their sessions."""
    changed = _administer(context, lambda a: a.disable(a.named(user).id), user)
    _answer(context, changed, f"{changed.email} is disabled; all sessions have ended")


@users.command("reset-second-factor")
@click.argument("user")
@pass_context
def reset_second_factor(context: Context, user: str) -> None:
    """Let USER, who has lost the second factor, sign in by the password alone."""

    def reset(administration: Administration) -> tuple[User, User]:
        found = administration.named(user)
        return found, administration.reset_second_factor(found.id)

    found, changed = _administer(context, reset, user)
    ended = "; all sessions have ended" if found.has_second_factor else ""
    _answer(context, changed, f"{changed.email} has no second factor{ended}")


@users.command()
@click.argument("user")
@pass_context
def enable(context: Context, user: str) -> None:
    """Let USER sign in again."""
    changed = _administer(context, lambda a: a.enable(a.named(user).id), user)
    _answer(context, changed, f"{changed.email} is enabled")


@users.command("set-role")
@click.argument("user")
@click.argument("role", type=_ROLE)
@pass_context
def set_role(context: Context, user: str, role: str) -> None:
    """Give USER the role ROLE, and end all of their sessions."""
    changed = _administer(context, lambda a: a.set_role(a.named(user).id, Role(role)), user)
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
    deleted = _administer(context, lambda a: a.delete(a.named(user).id), user)
    _answer(context, deleted, f"deleted the account of {deleted.email}")


def _administer(context: Context, act: Callable[[Administration], T], user: str = "") -> T:
    """Does it in one transaction; what the rules refuse is said in words."""
    try:
        return context.run(lambda services: act(services.administration))
    except InvalidInput as error:
        fields = messages.describe(error.problems, ENGLISH)
        words = [f"{field}: {word}" for field, found in fields.items() for word in found]
        raise Refused("invalid_input", "\n".join(words), fields) from None
    except NoSuchAccount:
        raise Refused("not_found", f"there is no user {user!r}") from None
    except LastAdmin:
        raise Refused("last_admin", messages.LAST_ADMIN) from None


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
        message = "the password on standard input is not UTF-8"
        raise Refused("invalid_input", message) from None
    # `echo` ends it with a line break, which nobody can type into a form.
    text = text.removesuffix("\n").removesuffix("\r")
    if "\n" in text or "\r" in text:
        raise Refused("invalid_input", "there is more than one line on standard input")
    return text


def _answer(context: Context, user: User, text: str) -> None:
    body: dict[str, Any] = {"user": asdict(user)}
    context.answer(body, text)


def _line(user: User) -> str:
    return f"{user.id}  {user.email}  {user.role}  {user.status}  since {user.created_at:%Y-%m-%d}"
