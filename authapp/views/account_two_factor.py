"""Setting up one's second factor, its recovery codes, and turning it off."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import segno
from markupsafe import Markup
from pyramid.csrf import get_csrf_token
from pyramid.exceptions import BadCSRFToken
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import exception_view_config, view_config

from authapp.domain.errors import InvalidInput
from authapp.domain.second_factor import (
    AlreadyOn,
    CannotTurnOff,
    CannotUnseal,
    NotSetUp,
    SetUp,
    in_groups,
)
from authapp.domain.throttle import TooManyAttempts
from authapp.views.errors import Action, back_to_form, bad_csrf_token, error_response
from authapp.views.form_views import form_view
from authapp.views.forms import Form
from authapp.views.responses import done, json, json_error, page, refused, throttled
from authapp.views.signing_in import visitor_of

# In the session that has begun a set-up: which one it is.
SET_UP = "authapp.second_factor_set_up"


@view_config(route_name="account_two_factor", request_method="GET", permission="account")
def show_two_factor(request: IRequest) -> Response:
    state = _state(request)
    if request.wants_json:
        token = get_csrf_token(request)
        return json({"second_factor": _state_body(state), "csrf_token": token})
    return page(request, "account_two_factor", **state)


@view_config(
    route_name="account_two_factor", request_method="POST", permission="account", recent=True
)
def begin(request: IRequest) -> Response:
    session = request.session
    set_up = request.services.second_factors.begin(request.identity.id, session_id=session.id)
    session[SET_UP] = set_up.fingerprint
    location = request.route_path("account_two_factor_set_up")
    return done(request, location=location, body=_set_up_body(set_up), status=201)


@view_config(
    route_name="account_two_factor_set_up", request_method="GET", permission="account", recent=True
)
def show_set_up(request: IRequest) -> Response:
    set_up = _being_set_up(request)
    if request.wants_json:
        return json({**_set_up_body(set_up), "csrf_token": get_csrf_token(request)})
    return page(request, "account_two_factor_set_up", errors={}, **_shown(set_up))


@view_config(
    route_name="account_two_factor_set_up", request_method="POST", permission="account", recent=True
)
def confirm(request: IRequest) -> Response:
    form = Form(request, "code")
    user, session = request.identity, request.session
    try:
        form.check()
        codes = request.services.second_factors.confirm(
            user, _begun_here(request), form["code"], keep=session.id
        )
    except InvalidInput as error:
        shown = _shown(_being_set_up(request))
        return refused(request, "account_two_factor_set_up", form, error.problems, **shown)
    except TooManyAttempts as error:
        shown = _shown(_being_set_up(request))
        return throttled(request, "account_two_factor_set_up", form, error, **shown)
    del session[SET_UP]
    session.rotate()
    return _shown_once(request, codes, request.language.gettext("Two-factor authentication is on"))


@view_config(route_name="account_two_factor_codes", request_method="GET", permission="account")
def show_renewal(request: IRequest) -> Response:
    return _owners_form(request, "account_two_factor_renew")


@view_config(route_name="account_two_factor_codes", request_method="POST", permission="account")
@form_view("account_two_factor_renew", "current_password", "code")
def renew_codes(request: IRequest, form: Form) -> Response:
    user = request.identity
    codes = request.services.second_factors.renew_recovery_codes(
        user,
        form["current_password"],
        form["code"],
        visitor_of(request),
        session_id=request.session.id,
    )
    # The form that was sent is good no more, so that reloading the page does not renew them again.
    request.session.rotate()
    return _shown_once(request, codes, request.language.gettext("Your new recovery codes"))


@view_config(route_name="account_two_factor_disable", request_method="GET", permission="account")
def show_disable(request: IRequest) -> Response:
    if request.services.second_factors.policy.is_required_of(request.identity):
        raise CannotTurnOff
    return _owners_form(request, "account_two_factor_disable")


@view_config(route_name="account_two_factor_disable", request_method="POST", permission="account")
@form_view("account_two_factor_disable", "current_password", "code")
def disable(request: IRequest, form: Form) -> Response:
    user = request.identity
    request.services.second_factors.disable(
        user,
        form["current_password"],
        form["code"],
        visitor_of(request),
        session_id=request.session.id,
    )
    request.session.rotate()
    if not request.wants_json:
        message = request.language.gettext("Two-factor authentication has been turned off.")
        request.session.flash(message, "success")
    return done(request, location=request.route_path("account_two_factor"), status=204)


@exception_view_config(BadCSRFToken, route_name="account_two_factor_set_up")
@exception_view_config(BadCSRFToken, route_name="account_two_factor_codes")
def reloaded(error: BadCSRFToken, request: IRequest) -> Response:
    """Most likely the page with the codes, which are in that answer and nowhere else."""
    user = request.identity
    if user is None or not user.has_second_factor:
        return bad_csrf_token(error, request)
    _ = request.language.gettext
    return error_response(
        request,
        400,
        "bad_csrf_token",
        _(
            "Two-factor authentication is on. If you have not saved your recovery codes, you can "
            "get new ones."
        ),
        title=_("Codes are shown only once"),
        actions=[_back(request)],
    )


@exception_view_config(NotSetUp)
def not_set_up(request: IRequest) -> Response:
    """The person is shown how it stands instead."""
    if request.wants_json:
        message = request.language.gettext("There is nothing set up to do this to.")
        return json_error(409, "second_factor_not_set_up", message)
    return HTTPSeeOther(location=request.route_path("account_two_factor"))


@exception_view_config(AlreadyOn)
def already_on(request: IRequest) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        409,
        "second_factor_on",
        _("To use another app, turn two-factor authentication off first, then on again."),
        title=_("Two-factor authentication is on already"),
        actions=[_back(request)],
    )


@exception_view_config(CannotTurnOff)
def cannot_turn_off(request: IRequest) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        403,
        "second_factor_required",
        _(
            "Administrators need two-factor authentication here. To move to another phone, renew "
            "your recovery codes and ask whoever runs this site to reset it."
        ),
        title=_("You cannot turn this off"),
        actions=[_back(request)],
    )


@exception_view_config(CannotUnseal)
def unavailable(request: IRequest) -> Response:
    """The operator has to do something; the log says what."""
    return codes_unavailable(request, [back_to_form(request)])


def codes_unavailable(request: IRequest, actions: Sequence[Action]) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        503,
        "second_factor_unavailable",
        _(
            "The codes of your app cannot be checked at the moment. You can use one of your "
            "recovery codes."
        ),
        title=_("Your code could not be checked"),
        actions=actions,
    )


def _back(request: IRequest) -> Action:
    words = request.language.gettext("Back to two-factor authentication")
    return words, request.route_path("account_two_factor")


def _being_set_up(request: IRequest) -> SetUp:
    set_up: SetUp = request.services.second_factors.being_set_up(
        request.identity, _begun_here(request)
    )
    return set_up


def _begun_here(request: IRequest) -> str | None:
    fingerprint = request.session.get(SET_UP)
    return fingerprint if isinstance(fingerprint, str) else None


def _state(request: IRequest) -> dict[str, Any]:
    user, factors = request.identity, request.services.second_factors
    since = user.second_factor_at
    return {
        "since": since.astimezone(UTC) if since else None,
        "codes_left": factors.count_recovery_codes(user.id) if since else 0,
        "is_required": factors.policy.is_required_of(user),
    }


def _state_body(state: Mapping[str, Any]) -> dict[str, Any]:
    since = state["since"]
    return {
        "enabled": since is not None,
        "since": since.isoformat() if since else None,
        "recovery_codes_left": state["codes_left"],
        "required": state["is_required"],
    }


def _set_up_body(set_up: SetUp) -> dict[str, str]:
    return {"secret": set_up.secret, "uri": set_up.uri}


def _shown(set_up: SetUp) -> dict[str, Any]:
    return {"qr_code": _qr_code(set_up.uri), "secret": in_groups(set_up.secret, separator=" ")}


def _qr_code(text: str) -> Markup:
    """Dark on light with the margin that scanners need, in attributes: the policy for content
    allows no styles in a page."""
    code = segno.make_qr(text, error="m")
    svg = code.svg_inline(omitsize=True, dark="#000", light="#fff", svgclass=None, lineclass=None)
    return Markup(svg)  # noqa: S704  # Made of numbers alone.


def _shown_once(request: IRequest, codes: Sequence[str], heading: str) -> Response:
    """The codes are in this answer and nowhere else, so it is no redirect."""
    grouped = [in_groups(code) for code in codes]
    if request.wants_json:
        return json({"recovery_codes": grouped})
    return page(request, "account_two_factor_codes", codes=grouped, heading=heading)


def _owners_form(request: IRequest, template: str) -> Response:
    """Where the second factor is off, there is nothing to give the password and a code for."""
    if not request.identity.has_second_factor:
        raise NotSetUp
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, template, user=request.identity, errors={})
