"""What can go wrong by the rules, as exceptions that say it in data rather than in prose.

A `Problem` carries a code and its parameters. The words for it belong to the pages, which may
be in any language; see `authapp.views.messages`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a value, for example `Problem("too_short", {"minimum": 8})`."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


class DomainError(Exception):
    """The base of everything that the rules refuse."""


class InvalidInput(DomainError):
    """One or more fields are not acceptable. `problems` maps a field's name to what is wrong."""

    def __init__(self, problems: Mapping[str, Sequence[Problem]]) -> None:
        self.problems = {name: tuple(found) for name, found in problems.items()}
        super().__init__(", ".join(f"{n}: {p.code}" for n, ps in self.problems.items() for p in ps))


class InvalidCredentials(DomainError):
    """Sign-in failed. It never says why: unknown, wrong and disabled must look the same."""


class ConfirmationRequired(DomainError):
    """What was asked for takes the password once more: it was given too long ago."""


class OwnAccount(DomainError):
    """An administrator would do to their own account what they may do to those of others only."""


class EmailTaken(DomainError):
    """Another account has this e-mail address already."""


class UserNotFound(DomainError):
    """There is no such user (any more)."""


class NoSuchAccount(DomainError):
    """An administrator or an operator has named somebody whom there is not (any more)."""


class LastAdmin(DomainError):
    """Nobody could administer accounts any more, and nobody could change that."""


class AdminNoMore(DomainError):
    """Whoever acts was an administrator when the request came, and has ceased to be one."""
