"""Where a request comes from, as far as it tells."""

from pyramid.interfaces import IRequest

from authapp.domain.sessions import Client

_USER_AGENT_MAX_LENGTH = 512


def client_of(request: IRequest) -> Client:
    # Not `client_addr`, which believes the X-Forwarded-For of anybody: where there is a proxy,
    # waitress has put the client's address into REMOTE_ADDR.
    user_agent = request.environ.get("HTTP_USER_AGENT", "")
    printable = "".join(c for c in user_agent if c.isprintable())
    return Client(request.remote_addr, printable[:_USER_AGENT_MAX_LENGTH] or None)
