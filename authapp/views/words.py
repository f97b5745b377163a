"""The words in templates: functions by which they are said in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from pyramid.interfaces import IRequest, ITranslationDirectories

from authapp.domain.events import RecordedEvent
from authapp.languages import Languages
from authapp.user_agents import describe
from authapp.views import activity_words

# In the place of a language's tag: none is chosen.
AS_THE_BROWSER_ASKS = "auto"


def functions(request: IRequest) -> Mapping[str, Callable[..., Any]]:
    """What templates may call. The language is found at the first call, so that a page of the
    application's own, which has none of our words, does not ask who is signed in."""

    def device(user_agent: str | None) -> str:
        return describe(user_agent, request.language)

    def sentence(event: RecordedEvent) -> str:
        return activity_words.sentence(event, request.language)

    def how_long_ago(time: datetime) -> str:
        return request.language.ago(datetime.now(UTC) - time)  # type: ignore[no-any-return]

    def language_options() -> Mapping[str, str]:
        languages: Languages = request.registry[Languages]
        names = {language.tag: language.own_name for language in languages}
        return {AS_THE_BROWSER_ASKS: request.language.gettext("As the browser asks for"), **names}

    return {
        **_gettext(request),
        "language_options": language_options,
        "device": device,
        "sentence": sentence,
        "how_long_ago": how_long_ago,
    }


def _gettext(request: IRequest) -> Mapping[str, Callable[..., str]]:
    """What Jinja's `{% trans %}` and `_()` call, in the place of what is there for all templates.

    A message that is none of ours is the application's: it is looked up as it would be without us,
    which takes its time, and is left out where the application has no words to be found.
    """
    settings = request.registry.settings
    directories = request.registry.queryUtility(ITranslationDirectories)
    has_others = bool(directories) or "jinja2.i18n.gettext" in settings

    @pass_context
    def gettext(context: Context, message: str, **variables: Any) -> Any:
        text = request.language.gettext(message)
        if has_others and text == message:
            return _others(context, "gettext", message, **variables)
        return _formatted(context, text, variables)

    @pass_context
    def ngettext(
        context: Context, singular: str, plural: str, number: int, **variables: Any
    ) -> Any:
        text = request.language.ngettext(singular, plural, number)
        if has_others and text in {singular, plural}:
            return _others(context, "ngettext", singular, plural, number, **variables)
        return _formatted(context, text, {"num": number, **variables})

    return {"gettext": gettext, "ngettext": ngettext}


def _others(context: Context, name: str, *arguments: Any, **variables: Any) -> Any:
    function: Any = context.environment.globals[name]
    return context.call(function, *arguments, **variables)


def _formatted(context: Context, text: str, variables: Mapping[str, Any]) -> str:
    """Jinja fills a message in by itself, unless the environment has gettext of the new style."""
    if not getattr(context.environment, "newstyle_gettext", False):
        return text
    return Markup(text) % variables  # noqa: S704  # A catalogue's markup is a template's.
