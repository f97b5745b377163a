"""One's own account: the name, the password, and leaving."""

from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import view_config

from authapp.domain.errors import InvalidInput, Problem
from authapp.languages import Languages
from authapp.security.farewell import Farewell
from authapp.security.known_browsers import KnownBrowsers
from authapp.views.account_two_factor import SET_UP
from authapp.views.form_views import form_view
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, user_body
from authapp.views.signing_in import keep_confirmation
from authapp.views.words import AS_THE_BROWSER_ASKS


@view_config(route_name="account", request_method="GET", permission="account")
def account(request: IRequest) -> Response:
    user = request.identity
    if request.wants_json:
        return json(user_body(user))
    return page(request, "account", user=user, values={"name": user.name}, errors={})


@view_config(route_name="account_profile", request_method="POST", permission="account")
@form_view("account", "name")
def change_profile(request: IRequest, form: Form) -> Response:
    user = request.services.accounts.rename(request.identity.id, form["name"])
    if not request.wants_json:
        request.session.flash(request.language.gettext("Your name has been changed."), "success")
    return done(request, location=request.route_path("account"), body=user_body(user))


@view_config(route_name="account_language", request_method="POST", permission="account")
@form_view("account", "language")
def choose_language(request: IRequest, form: Form) -> Response:
    languages, asked = request.registry[Languages], form["language"]
    if asked not in {AS_THE_BROWSER_ASKS, *languages.tags}:
        raise InvalidInput({"language": [Problem("unknown_choice" if asked else "required")]})
    chosen = None if asked == AS_THE_BROWSER_ASKS else asked
    request.services.accounts.choose_language(request.identity.id, chosen)
    if not request.wants_json:
        # In the language that is read from now on.
        language = languages.of(chosen) if chosen else request.accepted_language
        request.session.flash(language.gettext("Your language has been changed."), "success")
    return done(request, location=request.route_path("account"), body={"language": asked})


@view_config(route_name="account_password", request_method="GET", permission="account")
def show_password(request: IRequest) -> Response:
    return _own_form(request, "account_password")


@view_config(route_name="account_password", request_method="POST", permission="account")
@form_view("account_password", "current_password", "new_password")
def change_password(request: IRequest, form: Form) -> Response:
    session = request.session
    user = request.services.accounts.change_password(
        request.identity.id, form["current_password"], form["new_password"], keep=session.id
    )
    session.rotate()
    # Whoever had this session's cookie as well may have begun one, and know its secret.
    session.pop(SET_UP, None)
    keep_confirmation(request, request.services.confirmations.now())
    # Others in which somebody has signed in with the old password are new ones from now on.
    request.registry[KnownBrowsers].remember(request, user, user.password_changed_at)
    if not request.wants_json:
        _ = request.language.gettext
        session.flash(
            _("Your password has been changed. All other sessions have ended."), "success"
        )
    return done(request, location=request.route_path("account"), status=204)


@view_config(route_name="account_delete", request_method="GET", permission="account")
def show_delete(request: IRequest) -> Response:
    return _own_form(request, "account_delete")


@view_config(route_name="account_delete", request_method="POST", permission="account")
@form_view("account_delete", "current_password")
def delete(request: IRequest, form: Form) -> Response:
    user_id = request.identity.id
    request.services.accounts.delete(
        user_id, form["current_password"], session_id=request.session.id
    )
    forget(request)
    request.registry[KnownBrowsers].forget(request, user_id)
    if not request.wants_json:
        request.registry[Farewell].say(request)
    return done(request, location=request.route_path("home"), status=204)


def _own_form(request: IRequest, template: str) -> Response:
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, template, user=request.identity, values={}, errors={})
