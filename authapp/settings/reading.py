"""How a setting is declared, and how a section of them is read."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any

from authapp.settings.variables import MissingVariables

Problems = list[str]


def setting(
    read: Callable[[str], Any],
    default: str | None = None,
    *,
    optional: bool = False,
    secret: bool = False,
) -> Any:
    """Declares a setting; without `default` it is required, unless `optional` (then None).

    A secret's value never stands in a message.
    """
    metadata = {"read": read, "default": default, "optional": optional, "secret": secret}
    # By keyword, so that those that are required may stand after it.
    initial: Any = {"default": None, "kw_only": True} if optional else {}
    return field(metadata=metadata, repr=not secret, **initial)


def prefix_of(name: str) -> str:
    return {"mode": "authapp", "database": "sqlalchemy"}.get(name, name) + "."


def read_section(section: Any, name: str, raw: Mapping[str, Any], problems: Problems) -> Any:
    prefix = prefix_of(name)
    declared = {prefix + f.name: f for f in fields(section)}
    for key in raw:
        if key.startswith(prefix) and key not in declared:
            known = ", ".join(sorted(declared))
            problems.append(f"{key}: there is no such setting; there are {known}")
    values = {f.name: _read_setting(key, f, raw, problems) for key, f in declared.items()}
    return None if any(value is MISSING for value in values.values()) else section(**values)


def _read_setting(
    key: str, declared: Field[Any], raw: Mapping[str, Any], problems: Problems
) -> Any:
    metadata = declared.metadata
    if isinstance(raw.get(key), MissingVariables):
        return MISSING  # It has been reported.
    text = str(raw.get(key, "")).strip() or metadata["default"]
    if text is None:
        if metadata["optional"]:
            return None
        problems.append(f"{key}: is required, and is not set")
        return MISSING
    try:
        return metadata["read"](text)
    except ValueError as error:
        was = "its value" if metadata["secret"] else repr(text)
        problems.append(f"{key}: {was} is not {error}")
        return MISSING
