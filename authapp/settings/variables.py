"""`${NAME}` in the values of an ini file, and what they are in the environment."""

import os
import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class Expanded(str):
    """A value whose variables have been replaced; what they held is not looked into again."""

    __slots__ = ()


class MissingVariables(Expanded):
    """Stands in for a value with variables that are not set; it is their names."""

    __slots__ = ()


def expand(raw: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Replaces `${NAME}` and `${NAME:-default}` by `variables`, else by the environment's values.

    As in a shell, the default also stands in for a variable that is set but empty. `variables`
    are those of pserve's command line. A value whose variable is missing becomes a
    `MissingVariables`, which `Settings.load` reports along with all else that is wrong.
    """
    known = {**os.environ, **(variables or {})}
    return {
        key: _expand(value, known) if isinstance(value, str) else value
        for key, value in raw.items()
    }


def _expand(value: str, known: Mapping[str, str]) -> str:
    variables = list(_VARIABLE.finditer(value))
    if not variables or isinstance(value, Expanded):
        return value
    missing = [m["name"] for m in variables if not known.get(m["name"]) and m["default"] is None]
    if missing:
        return MissingVariables(", ".join(missing))
    return Expanded(_VARIABLE.sub(lambda m: known.get(m["name"]) or m["default"] or "", value))


def missing_variables(raw: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: the environment variable {value} is not set"
        for key, value in raw.items()
        if isinstance(value, MissingVariables)
    ]
