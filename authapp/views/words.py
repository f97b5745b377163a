"""The words in templates: functions by which they are said in the reader's language."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from pyramid.interfaces import IRequest

from authapp.domain.events import RecordedEvent
from authapp.user_agents import describe
from authapp.views import activity_words


def functions(request: IRequest) -> Mapping[str, Callable[..., str]]:
    """What templates may call. The language is found at the first call, so that a page of the
    application's own, which has none of our words, does not ask who is signed in."""

    def device(user_agent: str | None) -> str:
        return describe(user_agent, request.language)

    def sentence(event: RecordedEvent) -> str:
        return activity_words.sentence(event, request.language)

    return {**_gettext(request), "device": device, "sentence": sentence}


def _gettext(request: IRequest) -> Mapping[str, Callable[..., str]]:
    """What Jinja's `{% trans %}` and `_()` call, in the place of what is there for all templates.

    Where the application has messages of its own in templates (`jinja2.i18n.domain`), they are
    looked up as they were before. `variables` are given where gettext is of the new style.
    """
    has_own = "jinja2.i18n.domain" in request.registry.settings

    @pass_context
    def gettext(context: Context, message: str, **variables: Any) -> Any:
        text = request.language.gettext(message)
        if has_own and text == message:
            others: Any = context.environment.globals["gettext"]
            return context.call(others, message, **variables)
        return _filled(text, variables)

    @pass_context
    def ngettext(
        context: Context, singular: str, plural: str, number: int, **variables: Any
    ) -> Any:
        text = request.language.ngettext(singular, plural, number)
        if has_own and text in {singular, plural}:
            others: Any = context.environment.globals["ngettext"]
            return context.call(others, singular, plural, number, **variables)
        return _filled(text, variables and {"num": number, **variables})

    return {"gettext": gettext, "ngettext": ngettext}


def _filled(text: str, variables: Mapping[str, Any]) -> str:
    return Markup(text) % variables if variables else text  # noqa: S704  # It is a template's.
