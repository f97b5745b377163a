"""One's own account: the name, the password, and leaving."""

from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import view_config

from authapp.domain.errors import InvalidInput
from authapp.domain.throttle import TooManyAttempts
from authapp.security.known_browsers import KnownBrowsers
from authapp.views.account_two_factor import SET_UP
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused, throttled, user_body
from authapp.views.signing_in import keep_confirmation


@view_config(route_name="account", request_method="GET", permission="account")
def account(request: IRequest) -> Response:
    user = request.identity
    if request.wants_json:
        return json(user_body(user))
    return page(request, "account", user=user, values={"name": user.name}, errors={})


@view_config(route_name="account_profile", request_method="POST", permission="account")
def change_profile(request: IRequest) -> Response:
    form = Form(request, "name")
    try:
        form.check()
        user = request.services.accounts.rename(request.identity.id, form["name"])
    except InvalidInput as error:
        return refused(request, "account", form, error.problems, user=request.identity)
    if not request.wants_json:
        request.session.flash("Your name has been changed.", "success")
    return done(request, location=request.route_path("account"), body=user_body(user))


@view_config(route_name="account_password", request_method="GET", permission="account")
def show_password(request: IRequest) -> Response:
    return _own_form(request, "account_password")


@view_config(route_name="account_password", request_method="POST", permission="account")
def change_password(request: IRequest) -> Response:
    form = Form(request, "current_password", "new_password")
    session = request.session
    try:
        form.check()
        user = request.services.accounts.change_password(
            request.identity.id, form["current_password"], form["new_password"], keep=session.id
        )
    except InvalidInput as error:
        return refused(request, "account_password", form, error.problems, user=request.identity)
    except TooManyAttempts as error:
        return throttled(request, "account_password", form, error, user=request.identity)
    session.rotate()
    # Whoever had this session's cookie as well may have begun one, and know its secret.
    session.pop(SET_UP, None)
    keep_confirmation(request, request.services.confirmations.now())
    # Others in which somebody has signed in with the old password are new ones from now on.
    request.registry[KnownBrowsers].remember(request, user, user.password_changed_at)
    if not request.wants_json:
        session.flash("Your password has been changed. All other sessions have ended.", "success")
    return done(request, location=request.route_path("account"), status=204)


@view_config(route_name="account_delete", request_method="GET", permission="account")
def show_delete(request: IRequest) -> Response:
    return _own_form(request, "account_delete")


@view_config(route_name="account_delete", request_method="POST", permission="account")
def delete(request: IRequest) -> Response:
    form = Form(request, "current_password")
    user_id = request.identity.id
    try:
        form.check()
        request.services.accounts.delete(
            user_id, form["current_password"], session_id=request.session.id
        )
    except InvalidInput as error:
        return refused(request, "account_delete", form, error.problems, user=request.identity)
    except TooManyAttempts as error:
        return throttled(request, "account_delete", form, error, user=request.identity)
    forget(request)
    request.registry[KnownBrowsers].forget(request, user_id)
    return done(request, location=request.route_path("home"), status=204)


def _own_form(request: IRequest, template: str) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, template, user=request.identity, values={}, errors={})
