"""One's own account."""

from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.domain.errors import InvalidInput
from authapp.views.forms import Form
from authapp.views.responses import done, json, page, refused, user_body


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
        user = request.accounts.rename(request.identity.id, form["name"])
    except InvalidInput as error:
        return refused(request, "account", form, error.problems, user=request.identity)
    if not request.wants_json:
        request.session.flash("Your name has been changed.", "success")
    return done(request, location=request.route_path("account"), body=user_body(user))
