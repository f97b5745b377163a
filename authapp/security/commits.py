"""What browsers are told goes out only for what is committed."""

from collections.abc import Callable

from pyramid.interfaces import IRequest
from pyramid.response import Response


def once_committed(request: IRequest, tell: Callable[[IRequest, Response], None]) -> None:
    """Calls `tell` with the response, if the request's transaction is committed."""
    outcomes: list[bool] = []

    # Response callbacks run after the commit, and for error pages too.
    def callback(request: IRequest, response: Response) -> None:
        if outcomes == [True]:
            tell(request, response)

    request.tm.get().addAfterCommitHook(outcomes.append)
    request.add_response_callback(callback)
