"""The language of a request: what the person has chosen, else what the browser asks for."""

from pyramid.config import Configurator
from pyramid.interfaces import IRequest
from pyramid.response import Response
from transaction.interfaces import TransientError

from authapp.languages import Language, Languages
from authapp.repositories.engine import UNAVAILABLE
from authapp.settings import Settings
from authapp.wiring.accounts import needs_transaction

MAX_HEADER_LENGTH = 1000


def includeme(config: Configurator) -> None:
    """`request.language`, and the same for Pyramid's own `request.locale_name`."""
    settings = config.registry[Settings].language
    config.registry[Languages] = Languages(settings.offered, settings.catalogues)
    config.add_request_method(accepted_language, reify=True)
    config.add_request_method(language_of, "language", reify=True)
    config.set_locale_negotiator(locale_name)


def language_of(request: IRequest) -> Language:
    """Whatever is made with it says so to caches and to assistive technology."""
    languages: Languages = request.registry[Languages]
    chosen = _chosen(request)
    request.add_response_callback(_say_so)
    return languages.of(chosen) if chosen is not None else request.accepted_language


def accepted_language(request: IRequest) -> Language:
    """By the lookup of RFC 4647 section 3.4: who asks for de-AT gets de."""
    languages: Languages = request.registry[Languages]
    # No browser asks for so much that it would take time to read.
    if not 0 < len(request.environ.get("HTTP_ACCEPT_LANGUAGE", "")) <= MAX_HEADER_LENGTH:
        return languages.default
    tag = request.accept_language.lookup(languages.tags, default=languages.default.tag)
    return languages.of(tag)


def locale_name(request: IRequest) -> str:
    """Implements Pyramid's locale negotiator, for what an application translates by itself."""
    return request.language.tag.replace("-", "_")  # type: ignore[no-any-return]


def _chosen(request: IRequest) -> str | None:
    error = getattr(request, "exception", None)
    if error is None:
        return _setting_of(request)
    if isinstance(error, _AWAY) or not needs_transaction(request):
        return None
    try:
        return _setting_of(request)
    except Exception:  # The page about an error must not fail because there is another.
        return None


# The page that says that the database is away must not wait for it once more.
_AWAY = (*UNAVAILABLE, TransientError)


def _setting_of(request: IRequest) -> str | None:
    # The application may have a security policy, and with it an identity, of its own.
    return getattr(request.identity, "language", None)


def _say_so(request: IRequest, response: Response) -> None:
    response.vary = {*(response.vary or ()), "Accept-Language"}
    if response.content_type in _READ_BY_PEOPLE:
        response.content_language = request.language.tag


_READ_BY_PEOPLE = frozenset({"text/html", "application/json"})
