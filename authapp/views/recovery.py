"""A forgotten password: asking for a link, and setting a new one by it."""

from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import exception_view_config, view_config

from authapp.domain.errors import InvalidInput
from authapp.domain.tokens import TokenInvalid
from authapp.views.errors import error_response
from authapp.views.form_views import form_view
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused
from authapp.views.signing_in import visitor_of


@view_config(route_name="forgot_password", request_method="GET")
def show_forgot_password(request: IRequest) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, "forgot_password", values={}, errors={})


@view_config(route_name="forgot_password", request_method="POST")
@form_view("forgot_password", "email")
def forgot_password(request: IRequest, form: Form) -> Response:
    request.services.recovery.request_reset(form["email"], visitor_of(request))
    if request.wants_json:
        return json({}, 202)
    # Not a redirect, which would have to carry the address, in itself or in a session.
    return page(request, "forgot_password_sent", email=form["email"].strip())


@view_config(route_name="reset_password", request_method="GET")
def show_reset_password(request: IRequest) -> Response:
    user = request.services.recovery.find(request.matchdict["token"]).user
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, "reset_password", email=user.email, errors={})


@view_config(route_name="reset_password", request_method="POST")
def reset_password(request: IRequest) -> Response:
    form, token = Form(request, "new_password"), request.matchdict["token"]
    try:
        form.check()
        user = request.services.recovery.reset(token, form["new_password"])
    except InvalidInput as error:
        email = request.services.recovery.find(token).user.email
        return refused(request, "reset_password", form, error.problems, email=email)
    if request.session.user_id == user.id:
        # It has ended with all the others; what the browser holds has to go as well.
        forget(request)
    if not request.wants_json:
        _ = request.language.gettext
        request.session.flash(
            _("Your password has been changed. Sign in with the new one."), "success"
        )
    return done(request, location=request.route_path("sign_in"), status=204)


@exception_view_config(TokenInvalid)
def token_invalid(error: TokenInvalid, request: IRequest) -> Response:
    """The same answer for a token that was good once as for one that there never was."""
    _ = request.language.gettext
    if request.matched_route.name == "reset_password":
        action = (_("Ask for a new link"), request.route_path("forgot_password"))
    else:
        action = (_("To your account, for a new link"), request.route_path("account"))
    return error_response(
        request,
        400,
        "token_invalid",
        _(
            "It has been used, it has expired, or your account was changed since it was sent. "
            "Nothing was changed now."
        ),
        title=_("This link is no longer good"),
        actions=[action],
    )
