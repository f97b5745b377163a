"""Signing in without a password, for tests that are about something else."""

import copy
from typing import Any

from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid_tm import tm_tween_factory
from webtest import TestApp

from authapp.security.recent import CONFIRMED_AT


def sign_in_as(app: TestApp, user: Any, *, persistent: bool | None = None) -> None:
    """Signs `user` (an object with an `id`, or the id itself) in to the application under test.

    The row is a real one, committed by the application's own transaction machinery, and the
    cookie is the one that a browser would hold after the sign-in page; what the browser had kept
    as a visitor is treated as it is there. `app.app` is the Pyramid application itself. With
    `persistent=False` the cookie is one that ends with the browser.

    Raises RuntimeError where the application does not commit, as with the `tm.active` of some
    test set-ups: no session could ever be stored there.
    """
    user_id = getattr(user, "id", user)

    def view(request: IRequest) -> Response:
        request.session.sign_in(user_id, persistent=persistent)
        # Where there are accounts, as at their sign-in page.
        confirmations = getattr(getattr(request, "services", None), "confirmations", None)
        if confirmations is not None:
            request.session[CONFIRMED_AT] = confirmations.now()
        return Response()

    # The same application, with one view in the place of all its views and tweens but pyramid_tm's.
    router = copy.copy(app.app)
    router.handle_request = tm_tween_factory(view, router.registry)
    browser = TestApp(router, extra_environ=app.extra_environ, cookiejar=app.cookiejar)
    if not browser.get("/").headers.getall("Set-Cookie"):
        raise RuntimeError(
            "nobody was signed in, because the application did not commit: its requests need a "
            "transaction of their own (is `tm.active` set in extra_environ?)"
        )
