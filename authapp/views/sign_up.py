"""Making an account; whoever did is signed in."""

from typing import Any

from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import remember
from pyramid.view import view_config, view_defaults

from authapp.domain.errors import InvalidInput
from authapp.settings import Settings
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused, user_body


@view_defaults(route_name="sign_up")
class SignUp:
    def __init__(self, request: IRequest) -> None:
        self.request = request
        self.settings: Settings = request.registry[Settings]
        if not self.settings.registration.enabled:
            raise HTTPNotFound("New accounts cannot be made here.")

    @view_config(request_method="GET")
    def show(self) -> Response:
        request = self.request
        if request.wants_json:
            return json({"csrf_token": get_csrf_token(request)})
        if request.is_authenticated:
            return HTTPSeeOther(location=request.route_path("account"))
        return page(request, "sign_up", values={}, errors={}, **self._hints())

    @view_config(request_method="POST")
    def submit(self) -> Response:
        request = self.request
        form = Form(request, "name", "email", "password")
        try:
            form.check()
            user = request.accounts.sign_up(form["name"], form["email"], form["password"])
        except InvalidInput as error:
            return refused(request, "sign_up", form, error.problems, **self._hints())
        remember(request, str(user.id))
        account = request.route_path("account")
        return done(request, location=account, body=user_body(user), status=201)

    def _hints(self) -> dict[str, Any]:
        return {"min_length": self.settings.password.min_length}
