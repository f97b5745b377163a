"""Administration: finding users, seeing their state, keeping them out, letting them in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.security import forget
from pyramid.view import exception_view_config, view_config

from authapp.domain.errors import (
    AdminNoMore,
    InvalidInput,
    LastAdmin,
    NoSuchAccount,
    OwnAccount,
    Problem,
)
from authapp.domain.events import RecordedEvent
from authapp.domain.users import Role, Status, User
from authapp.languages import N_
from authapp.services.administration import AccountState, UserPage
from authapp.views import messages
from authapp.views.account_sessions import in_utc, session_body
from authapp.views.errors import error_response
from authapp.views.forms import Form
from authapp.views.responses import done, json, json_error, page, refused

Choice = TypeVar("Choice", bound=StrEnum)


@view_config(route_name="admin", request_method="GET", permission="admin")
def admin(request: IRequest) -> Response:
    return HTTPSeeOther(location=request.route_path("admin_users"))


@view_config(route_name="admin_users", request_method="GET", permission="admin")
def list_users(request: IRequest) -> Response:
    asked = {name: request.GET.get(name, "") for name in ("q", "role", "status", "after")}
    try:
        _check_once(request, asked)
        found = request.services.administration.find(
            asked["q"],
            role=_choice(Role, "role", asked["role"]),
            status=_choice(Status, "status", asked["status"]),
            after=asked["after"] or None,
        )
    except InvalidInput as error:
        errors = messages.describe(error.problems, request.language)
        if request.wants_json:
            message = request.language.gettext(messages.INVALID_INPUT)
            return json_error(400, "invalid_input", message, errors)
        return _list_page(request, UserPage([], None), asked, errors, status=400)
    if request.wants_json:
        users = [_account_body(user) for user in found.users]
        return json({"users": users, "next": _next_path(request, asked, found)})
    return _list_page(request, found, asked, {})


@view_config(route_name="admin_users_show", request_method="GET", permission="admin")
def show_user(request: IRequest) -> Response:
    account = request.services.administration.show(_named_user(request))
    if request.wants_json:
        return json(_state_body(request, account))
    return page(request, "admin_user", values={}, errors={}, **_shown(request, account))


@view_config(
    route_name="admin_users_disable", request_method="POST", permission="admin", recent=True
)
def disable(request: IRequest) -> Response:
    return _act_with_care(
        request,
        Form(request, "confirm"),
        "disable",
        lambda user_id: request.services.administration.disable(user_id, by=request.identity),
        N_("The account is disabled, and all of its sessions have ended."),
    )


@view_config(
    route_name="admin_users_enable", request_method="POST", permission="admin", recent=True
)
def enable(request: IRequest) -> Response:
    user = request.services.administration.enable(_named_user(request), by=request.identity)
    return _acted(request, user, N_("The account is enabled. Its owner can sign in again."))


@view_config(
    route_name="admin_users_end_sessions", request_method="POST", permission="admin", recent=True
)
def end_sessions(request: IRequest) -> Response:
    user_id = _named_user(request)
    count = request.services.administration.end_sessions(user_id, by=request.identity)
    if user_id == request.identity.id:
        return _signed_out(request, {"ended": count})
    return _flashed(
        request, user_id, N_("All sessions of this account have ended."), {"ended": count}
    )


@view_config(
    route_name="admin_users_reset_second_factor",
    request_method="POST",
    permission="admin",
    recent=True,
)
def reset_second_factor(request: IRequest) -> Response:
    administration = request.services.administration
    user = administration.reset_second_factor(_named_user(request), by=request.identity)
    return _acted(
        request, user, N_("The password is the only factor now, and all sessions have ended.")
    )


@view_config(route_name="admin_users_role", request_method="POST", permission="admin", recent=True)
def change_role(request: IRequest) -> Response:
    form = Form(request, "role", "confirm")

    def change(user_id: UUID) -> User:
        role = _choice(Role, "role", form["role"])
        if role is None:
            raise InvalidInput({"role": [Problem("required")]})
        user: User = request.services.administration.set_role(user_id, role, by=request.identity)
        return user

    return _act_with_care(request, form, "role", change, N_("The role has been changed."))


@exception_view_config(NoSuchAccount)
def no_such_account(request: IRequest) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        404,
        "not_found",
        _("The account may have been deleted in the meantime. Nothing was changed."),
        title=_("There is no such user"),
        actions=[(_("To the list of users"), request.route_path("admin_users"))],
    )


@exception_view_config(LastAdmin)
def last_admin(request: IRequest) -> Response:
    """For the pages of administration, and for an administrator who would delete their account."""
    _ = request.language.gettext
    return error_response(
        request,
        409,
        "last_admin",
        _(messages.LAST_ADMIN),
        title=_("This is the last administrator"),
        actions=[(_("To the list of users"), request.route_path("admin_users"))],
    )


@exception_view_config(OwnAccount)
def own_account(request: IRequest) -> Response:
    _ = request.language.gettext
    return error_response(
        request,
        409,
        "own_account",
        _("Your own is turned off in your account, with your password and a code."),
        title=_("This is for the accounts of others"),
        actions=[(_("To your account"), request.route_path("account_two_factor"))],
    )


@exception_view_config(AdminNoMore)
def admin_no_more(request: IRequest) -> Response:
    """Another administrator was faster."""
    return error_response(request, 403, "forbidden")


def _act_with_care(
    request: IRequest, form: Form, name: str, act: Callable[[UUID], User], message: str
) -> Response:
    """Does what takes one's access away where it is done to oneself, which has to be confirmed."""
    user_id = _named_user(request)
    try:
        form.check()
        is_own = user_id == request.identity.id
        if is_own and not form.ticked("confirm"):
            raise InvalidInput({"confirm": [Problem("unconfirmed")]})
        user = act(user_id)
    except InvalidInput as error:
        account = request.services.administration.show(user_id)
        context = _shown(request, account, refused_action=name)
        return refused(request, "admin_user", form, error.problems, **context)
    if is_own and user != request.identity:
        return _signed_out(request, {"user": _account_body(user)})
    return _acted(request, user, message)


def _acted(request: IRequest, user: User, message: str) -> Response:
    return _flashed(request, user.id, message, {"user": _account_body(user)})


def _flashed(request: IRequest, user_id: UUID, message: str, body: Any) -> Response:
    if not request.wants_json:
        request.session.flash(request.language.gettext(message), "success")
    location = request.route_path("admin_users_show", id=user_id)
    return done(request, location=location, body=body)


def _signed_out(request: IRequest, body: Any) -> Response:
    """One's own session has ended with the others: what the browser holds has to go as well."""
    forget(request)
    return done(request, location=request.route_path("home"), body=body)


def _named_user(request: IRequest) -> UUID:
    """Raises `NoSuchAccount` for what is no id: there is no user of that name either."""
    try:
        return UUID(request.matchdict["id"])
    except ValueError:
        raise NoSuchAccount from None


def _check_once(request: IRequest, names: Mapping[str, str]) -> None:
    repeated = [name for name in names if len(request.GET.getall(name)) > 1]
    if repeated:
        raise InvalidInput({name: [Problem("repeated")] for name in repeated})


def _choice(choices: type[Choice], field: str, text: str) -> Choice | None:
    """Raises `InvalidInput` for what is none of them; an empty field is no choice."""
    if not text:
        return None
    try:
        return choices(text)
    except ValueError:
        raise InvalidInput({field: [Problem("unknown_choice")]}) from None


def _list_page(
    request: IRequest,
    found: UserPage,
    asked: Mapping[str, str],
    errors: Mapping[str, Sequence[str]],
    status: int = 200,
) -> Response:
    return page(
        request,
        "admin_users",
        status,
        users=found.users,
        values={name: "" if name in errors else text for name, text in asked.items()},
        errors=errors,
        next_path=_next_path(request, asked, found),
        first_path=_list_path(request, {**asked, "after": ""}) if asked["after"] else None,
    )


def _next_path(request: IRequest, asked: Mapping[str, str], found: UserPage) -> str | None:
    if found.next_after is None:
        return None
    return _list_path(request, {**asked, "after": found.next_after})


def _list_path(request: IRequest, asked: Mapping[str, str]) -> str:
    query = urlencode({name: text for name, text in asked.items() if text})
    path: str = request.route_path("admin_users")
    return f"{path}?{query}" if query else path


def _shown(request: IRequest, account: AccountState, refused_action: str = "") -> dict[str, Any]:
    """What the page of one user shows."""
    return {
        "user": account.user,
        "is_own": account.user.id == request.identity.id,
        "sessions": [in_utc(session) for session in account.sessions],
        "current_id": request.session.id,
        "events": [_event_in_utc(event) for event in account.events],
        "refused_action": refused_action,
    }


def _event_in_utc(event: RecordedEvent) -> RecordedEvent:
    return replace(event, created_at=event.created_at.astimezone(UTC))


def _state_body(request: IRequest, account: AccountState) -> dict[str, Any]:
    return {
        "user": _account_body(account.user),
        "sessions": [session_body(session, request.session.id) for session in account.sessions],
        "events": [_event_body(event) for event in account.events],
    }


def _account_body(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "status": user.status,
        "email_verified_at": _iso(user.email_verified_at),
        "second_factor_at": _iso(user.second_factor_at),
        "created_at": _iso(user.created_at),
    }


def _event_body(event: RecordedEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "kind": event.kind,
        "created_at": _iso(event.created_at),
        "by": str(event.by) if event.by else None,
        "address": event.address,
        "user_agent": event.user_agent,
        "details": dict(event.details),
    }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None
