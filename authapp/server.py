"""waitress, as `[server:main]` of an ini file: `use = egg:authapp#waitress`."""

from collections.abc import Mapping
from typing import Any

import waitress

from authapp.settings import SettingsError, expand, missing_variables


def serve(app: Any, global_config: Mapping[str, str], **options: str) -> None:
    """Serves `app` until it is told to stop. The options are waitress' own.

    They may name variables, as the application's settings may: `pserve INI http_port=7001`.
    Raises `SettingsError` for one that is not set.
    """
    expanded = expand(options, global_config)
    if problems := missing_variables(expanded):
        raise SettingsError(problems)
    waitress.serve(app, **expanded)
