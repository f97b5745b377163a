"""The address of one's account: changing it, and showing that it is one's own."""

from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import exception_view_config, view_config

from authapp.domain.errors import EmailTaken
from authapp.views.errors import error_response
from authapp.views.form_views import form_view
from authapp.views.forms import Form
from authapp.views.responses import done, json, page
from authapp.views.signing_in import keep_confirmation


@view_config(route_name="account_email", request_method="GET", permission="account")
def show_email(request: IRequest) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, "account_email", user=request.identity, values={}, errors={})


@view_config(route_name="account_email", request_method="POST", permission="account")
@form_view("account_email", "email", "current_password")
def change_email(request: IRequest, form: Form) -> Response:
    request.services.emails.request_change(
        request.identity.id,
        form["email"],
        form["current_password"],
        session_id=request.session.id,
    )
    keep_confirmation(request, request.services.confirmations.now())
    if not request.wants_json:
        message = request.language.gettext(
            "An email is on its way to {email}. Follow the link in it to use that address from "
            "then on.",
            email=form["email"].strip(),
        )
        request.session.flash(message, "success")
    return done(request, location=request.route_path("account"), body={}, status=202)


@view_config(route_name="verify_email_resend", request_method="POST", permission="account")
def resend(request: IRequest) -> Response:
    user = request.identity
    is_sent = request.services.emails.request_verification(user)
    if not request.wants_json:
        _ = request.language.gettext
        request.session.flash(
            _("An email is on its way to {email}.", email=user.email)
            if is_sent
            else _("Your email address has been verified already."),
            "success",
        )
    return done(request, location=request.route_path("account"), status=204)


@view_config(route_name="verify_email", request_method="GET")
def show_verify(request: IRequest) -> Response:
    """A button rather than a deed: programs that look for harm follow the links in mail."""
    link = request.services.emails.find(request.matchdict["token"])
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, "verify_email", email=link.token.email, user=link.user)


@view_config(route_name="verify_email", request_method="POST")
def verify(request: IRequest) -> Response:
    session = request.session
    user = request.services.emails.verify(request.matchdict["token"], keep=session.id)
    if session.user_id == user.id:
        session.rotate()
    if not request.wants_json:
        _ = request.language.gettext
        message = _("{email} has been verified as your email address.", email=user.email)
        session.flash(message, "success")
    route = "account" if request.is_authenticated else "sign_in"
    return done(request, location=request.route_path(route), status=204)


@exception_view_config(EmailTaken)
def email_taken(error: EmailTaken, request: IRequest) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        400,
        "email_taken",
        _(
            "Somebody has made an account with it since you asked for the change. Yours keeps the "
            "address that it has."
        ),
        title=_("This email address is taken by now"),
        actions=[(_("To your account"), request.route_path("account"))],
    )
