"""The second step of signing in. Until its code is right, nobody is signed in."""

from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from pyramid.csrf import get_csrf_token
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import exception_view_config, view_config

from authapp.domain.errors import InvalidCredentials, InvalidInput, Problem
from authapp.domain.second_factor import CannotUnseal, PendingSignIn, SignInExpired
from authapp.domain.throttle import TooManyAttempts
from authapp.domain.users import Credentials
from authapp.security.redirects import local_path
from authapp.views import messages
from authapp.views.account_two_factor import codes_unavailable
from authapp.views.errors import error_response
from authapp.views.forms import Form
from authapp.views.responses import (
    done,
    json,
    json_error,
    page,
    refused,
    throttled,
    user_body,
)
from authapp.views.signing_in import signed_in, visitor_of

# What the session of a visitor keeps between the two steps.
PENDING = "authapp.second_factor"
# Beyond this, where to go next is not kept: a session is no place for it.
_TARGET_MAX_LENGTH = 2000

_WITH_RECOVERY_CODE = {"with": "recovery-code"}


@dataclass(frozen=True)
class Kept:
    """What there is of it: the sign-in, whether it is to last, and where to go afterwards."""

    pending: PendingSignIn
    persistent: bool
    target: str


def ask_for_second_factor(
    request: IRequest, credentials: Credentials, *, persistent: bool, target: str
) -> Response:
    """Answers the right password of an account with a second factor."""
    session = request.session
    if session.user_id is not None:
        forget(request)  # Else somebody would be signed in while the code is waited for.
    pending = request.services.second_factors.begin_sign_in(credentials)
    if len(target) > _TARGET_MAX_LENGTH:
        target = request.route_path("account")
    session[PENDING] = {**asdict(pending), "persistent": persistent, "next": target}
    session.rotate()
    location = request.route_path("sign_in_second_factor")
    body = {"code": "second_factor_required", "location": location}
    return done(request, location=location, body=body, status=202)


@view_config(route_name="sign_in_second_factor", request_method="GET")
def show_second_factor(request: IRequest) -> Response:
    kept = _kept(request)
    if kept is None:
        return _password_first(request)
    try:
        request.services.second_factors.check_pending(kept.pending)
    except SignInExpired:
        return _expired(request, kept.target)
    if request.wants_json:
        return json({"csrf_token": get_csrf_token(request)})
    return page(request, "sign_in_second_factor", errors={}, **_shown(request))


@view_config(route_name="sign_in_second_factor", request_method="POST")
def give_second_factor(request: IRequest) -> Response:
    kept = _kept(request)
    if kept is None:
        return _password_first(request)
    form = Form(request, "code")
    try:
        form.check()
        user = request.services.second_factors.complete_sign_in(
            kept.pending, form["code"], visitor_of(request)
        )
    except InvalidInput as error:
        return refused(request, "sign_in_second_factor", form, error.problems, **_shown(request))
    except InvalidCredentials:
        return _wrong_code(request)
    except TooManyAttempts as error:
        return throttled(request, "sign_in_second_factor", form, error, **_shown(request))
    except SignInExpired:
        return _expired(request, kept.target)
    del request.session[PENDING]
    signed_in(request, user, persistent=kept.persistent, second_factor=True)
    return done(request, location=kept.target, body=user_body(user))


@exception_view_config(CannotUnseal, route_name="sign_in_second_factor")
def unavailable(request: IRequest) -> Response:
    address = _address(request, **_WITH_RECOVERY_CODE)
    return codes_unavailable(request, [(request.language.gettext("Use a recovery code"), address)])


def _kept(request: IRequest) -> Kept | None:
    """What is not as it is written above was written by something else, and is nothing."""
    session = request.session
    # Somebody may have signed in since, in another window.
    kept = session.get(PENDING) if session.user_id is None else None
    match kept:
        case {
            "user_id": UUID() as user_id,
            "fingerprint": str() as fingerprint,
            "since": datetime(tzinfo=tzinfo()) as since,
            "persistent": bool() as persistent,
            "next": str() as target,
        } if fingerprint.isascii():
            target = local_path(target, default=request.route_path("account"))
            return Kept(PendingSignIn(user_id, fingerprint, since), persistent, target)
    return None


def _shown(request: IRequest) -> dict[str, Any]:
    """Which of the two kinds of code is asked for; either is taken."""
    with_recovery_code = request.GET.get("with") == _WITH_RECOVERY_CODE["with"]
    return {
        "with_recovery_code": with_recovery_code,
        "action": _address(request, **(_WITH_RECOVERY_CODE if with_recovery_code else {})),
        "other": _address(request, **({} if with_recovery_code else _WITH_RECOVERY_CODE)),
    }


def _address(request: IRequest, **query: str) -> str:
    path: str = request.route_path("sign_in_second_factor", _query=query)
    return path


def _wrong_code(request: IRequest) -> Response:
    language = request.language
    errors = messages.describe({"code": [Problem("wrong_code")]}, language)
    if request.wants_json:
        return json_error(401, "invalid_code", language.gettext(messages.INVALID_CODE), errors)
    return page(request, "sign_in_second_factor", 401, errors=errors, **_shown(request))


def _password_first(request: IRequest) -> Response:
    if request.wants_json:
        return json_error(401, "unauthenticated", request.language.gettext(messages.SIGN_IN_FIRST))
    return HTTPSeeOther(location=request.route_path("sign_in"))


def _expired(request: IRequest, target: str) -> Response:
    del request.session[PENDING]
    sign_in = f"{request.route_path('sign_in')}?{urlencode({'next': target})}"
    _ = request.language.gettext
    return error_response(
        request,
        401,
        "sign_in_expired",
        _(
            "Too much time has passed since you gave your password, or your account has been "
            "changed since. Nobody was signed in."
        ),
        title=_("Please sign in again"),
        actions=[(_("Sign in"), sign_in)],
    )
