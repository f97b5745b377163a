from typing import Any

from pyramid.httpexceptions import HTTPBadRequest, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy import select

from shop.models import CartItem
from shop.models.cart import PRODUCTS, add_to_cart


@view_config(route_name="home", renderer="shop:templates/home.jinja2")
def home(request: Request) -> dict[str, Any]:
    return {"products": PRODUCTS, "cart": _cart(request)}


@view_config(route_name="add_to_cart", request_method="POST")
def add(request: Request) -> Response:
    product = request.POST.get("product")
    if product not in PRODUCTS:
        raise HTTPBadRequest("there is no such product")
    # Stores the session, be it new, so that there is a row for the cart's rows to refer to.
    session_id = request.session.flush()
    if session_id is not None:  # As it is when the session was signed out in another tab just now.
        add_to_cart(request.dbsession, session_id, product)
        request.session.flash(f"Added {product}")
    return HTTPSeeOther(request.route_url("home"))


@view_config(route_name="tally", request_method="POST", renderer="json")
def tally(request: Request) -> dict[str, int]:
    """Reads and writes one key, which parallel requests do without losing any of it."""
    request.session["tally"] = request.session.get("tally", 0) + 1
    return {"tally": request.session["tally"]}


@view_config(route_name="account", permission="account", renderer="shop:templates/account.jinja2")
def account(request: Request) -> dict[str, Any]:
    return {"sessions": request.sessions.of_user(request.session.user_id)}


def _cart(request: Request) -> list[CartItem]:
    if request.session.new:
        return []
    items = select(CartItem).where(CartItem.session_id == request.session.id)
    return list(request.dbsession.scalars(items.order_by(CartItem.product)))
