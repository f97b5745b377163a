"""waitress, as `[server:main]` of an ini file: `use = egg:authapp#waitress`.

Some requests never get as far as the application, such as those that are garbled or too large.
What waitress answers to them by itself has the security headers here as well.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from waitress.channel import HTTPChannel
from waitress.proxy_headers import MalformedProxyHeader, parse_proxy_headers
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from authapp.security.headers import security_headers
from authapp.security.token_pages import without_tokens
from authapp.settings import SettingsError, expand, missing_variables

log = logging.getLogger("waitress")

REACHED = "authapp.reached"
# As waitress' parser names them.
SCHEME_HEADERS = {"X_FORWARDED_PROTO", "FORWARDED"}

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def serve(app: Any, global_config: Mapping[str, str], **options: str) -> None:
    """Serves `app` until it is told to stop. The options are waitress' own.

    They may name variables, as the application's settings may: `pserve INI http_port=7001`.
    Raises `SettingsError` for one that is not set.
    """
    expanded = expand(options, global_config)
    if problems := missing_variables(expanded):
        raise SettingsError(problems)
    logging.basicConfig()
    log.addFilter(hide_tokens)
    server = make_server(app, **expanded)
    server.print_listen("Serving on http://{}:{}")
    server.run()


def make_server(app: Application, **options: Any) -> Any:
    """A server of waitress' that gives all of its own answers the security headers.

    What `app` answers is left as it is. Unless `ident` is set no answer names the server.
    """
    servers: dict[int, Any] = {}
    # It listens, but accepts nobody before it is run.
    server = create_server(noting(app), map=servers, **{"ident": "", **options})
    for listener in servers.values():
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = Channel
    return server


def noting(app: Application) -> Application:
    """Notes that a request has got as far as `app`.

    For waitress' handling of proxies stands before it, as if it were a part of the application.
    """

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[REACHED] = True
        return app(environ, start_response)

    return application


class Answer(WSGITask):
    """The application's, or a refusal of a proxy's headers."""

    def build_response_header(self) -> bytes:
        if REACHED not in self.get_environment():
            self.response_headers = [*self.response_headers, *own_headers(self)]
        return super().build_response_header()


class Refusal(ErrorTask):
    """Of what cannot be read as a request, is too large, or made the application fail."""

    def build_response_header(self) -> bytes:
        self.response_headers = [*self.response_headers, *own_headers(self)]
        return super().build_response_header()


class Channel(HTTPChannel):
    task_class = Answer
    error_task_class = Refusal


def own_headers(task: Any) -> list[tuple[str, str]]:
    headers = security_headers(is_https=scheme_of(task) == "https")
    return [*headers.items(), ("Cache-Control", "no-store")]


def scheme_of(task: Any) -> str:
    """As the application would have learnt it: the server's, or what a trusted proxy says.

    Of a request that could not be read to its end, the proxy may have said it further on.
    """
    channel = task.channel
    adj = channel.adj
    # Where the application has failed, the task has a request without headers, made for the error.
    request = channel.requests[0]
    if adj.trusted_proxy not in {"*", channel.addr[0]}:
        return str(adj.url_scheme)
    environ = {"wsgi.url_scheme": adj.url_scheme}
    for name in SCHEME_HEADERS & request.headers.keys():
        environ[f"HTTP_{name}"] = request.headers[name]
    try:
        parse_proxy_headers(
            environ,
            trusted_proxy_count=adj.trusted_proxy_count,
            trusted_proxy_headers=adj.trusted_proxy_headers,
            logger=log,
        )
    except MalformedProxyHeader:
        return str(adj.url_scheme)
    return str(environ["wsgi.url_scheme"])


def hide_tokens(record: logging.LogRecord) -> bool:
    """A filter for what waitress logs: the paths of requests that went wrong."""
    record.msg, record.args = without_tokens(record.getMessage()), ()
    return True
