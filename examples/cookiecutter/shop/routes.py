from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    config.add_static_view("static", "shop:static", cache_max_age=3600)
    config.add_route("home", "/")
    config.add_route("add_to_cart", "/cart")
    config.add_route("tally", "/tally")
    config.add_route("sign_in", "/sign-in")
    config.add_route("sign_out", "/sign-out")
    config.add_route("account", "/account")
