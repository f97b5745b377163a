"""waitress, as `[server:main]` of an ini file: `use = egg:authapp#waitress`."""

import logging
from collections.abc import Mapping
from typing import Any

import waitress

from authapp.security.token_pages import without_tokens
from authapp.settings import SettingsError, expand, missing_variables


def serve(app: Any, global_config: Mapping[str, str], **options: str) -> None:
    """Serves `app` until it is told to stop. The options are waitress' own.

    They may name variables, as the application's settings may: `pserve INI http_port=7001`.
    Raises `SettingsError` for one that is not set.
    """
    expanded = expand(options, global_config)
    if problems := missing_variables(expanded):
        raise SettingsError(problems)
    logging.getLogger("waitress").addFilter(hide_tokens)
    waitress.serve(app, **expanded)


def hide_tokens(record: logging.LogRecord) -> bool:
    """A filter for what waitress logs: the paths of requests that went wrong."""
    record.msg, record.args = without_tokens(record.getMessage()), ()
    return True
