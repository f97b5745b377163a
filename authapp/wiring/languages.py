"""The language of a request: what the person has chosen, else what the browser asks for."""

from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import ILocaleNegotiator, IRequest
from pyramid.response import Response
from transaction.interfaces import TransientError

from authapp.languages import Language, Languages
from authapp.repositories.engine import UNAVAILABLE
from authapp.sessions.session import SESSION_MODE, SessionMode
from authapp.settings import Settings
from authapp.wiring.accounts import needs_transaction

# The page that says that the database is away must not wait for it once more.
AWAY = (*UNAVAILABLE, TransientError)
MAX_HEADER_LENGTH = 1000
READ_BY_PEOPLE = frozenset({"text/html", "application/json"})


def includeme(config: Configurator) -> None:
    """`request.language`, and the same for Pyramid's own `request.locale_name`."""
    settings = config.registry[Settings].language
    config.registry[Languages] = Languages(settings.offered, settings.catalogues)
    config.add_request_method(accepted_language, reify=True)
    config.add_request_method(language_of, "language", reify=True)

    def set_locale_negotiator() -> None:
        # The application may have one of its own, which is not to be in conflict with this one.
        if config.registry.queryUtility(ILocaleNegotiator) is None:
            config.registry.registerUtility(locale_name, ILocaleNegotiator)

    config.action(None, set_locale_negotiator, order=1)


def language_of(request: IRequest) -> Language:
    """Whatever is made with it says so to caches and to assistive technology."""
    languages: Languages = request.registry[Languages]
    chosen = _chosen(request)
    request.add_response_callback(_say_so)
    if isinstance(chosen, str) and chosen in languages:
        return languages.of(chosen)
    return request.accepted_language  # type: ignore[no-any-return]


def accepted_language(request: IRequest) -> Language:
    """By the lookup of RFC 4647 section 3.4: who asks for de-AT gets de."""
    languages: Languages = request.registry[Languages]
    # No browser asks for so much that it would take time to read.
    if not 0 < len(request.environ.get("HTTP_ACCEPT_LANGUAGE", "")) <= MAX_HEADER_LENGTH:
        return languages.default
    understood = languages.understood
    tag = request.accept_language.lookup(tuple(understood), default=languages.default.tag)
    return understood[tag]


def locale_name(request: IRequest) -> str:
    """Implements Pyramid's locale negotiator, for what an application translates by itself."""
    return request.language.tag.replace("-", "_")  # type: ignore[no-any-return]


def _chosen(request: IRequest) -> Any:
    error = getattr(request, "exception", None)
    if error is None:
        return _setting_of(request)
    if not _may_ask_after(error, request):
        return None
    try:
        return _setting_of(request)
    except Exception:  # The page about an error must not fail because there is another.
        return None


def _may_ask_after(error: Exception, request: IRequest) -> bool:
    """Not for what was refused before anybody looked who is asking; nor does an error count as
    use of the session."""
    is_of_a_page = request.matched_route is not None or isinstance(error, HTTPNotFound)
    request.environ.setdefault(SESSION_MODE, SessionMode.NO_TOUCH)
    return is_of_a_page and needs_transaction(request) and not isinstance(error, AWAY)


def _setting_of(request: IRequest) -> Any:
    # The application may have a security policy, and with it an identity, of its own.
    return getattr(request.identity, "language", None)


def _say_so(request: IRequest, response: Response) -> None:
    response.vary = (*(response.vary or ()), "Accept-Language")
    if response.content_type in READ_BY_PEOPLE and response.content_language is None:
        response.content_language = request.language.tag
