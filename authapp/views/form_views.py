"""What views of forms have in common."""

from collections.abc import Callable

from pyramid.interfaces import IRequest
from pyramid.response import Response

from authapp.domain.errors import InvalidInput
from authapp.domain.throttle import TooManyAttempts
from authapp.views.forms import Form
from authapp.views.responses import refused, throttled

View = Callable[[IRequest], Response]


def form_view(
    template: str, *fields: str
) -> Callable[[Callable[[IRequest, Form], Response]], View]:
    """Makes a view of a function that is also given the form that was sent, with these fields.

    What is wrong with it, by itself or by the use case that the function calls, is answered with
    the `template` once more: 400 with each problem beside its field, or 429. Everything that was
    typed is kept, but for secrets.
    """

    def decorate(answer: Callable[[IRequest, Form], Response]) -> View:
        def view(request: IRequest) -> Response:
            form, user = Form(request, *fields), request.identity
            try:
                form.check()
                return answer(request, form)
            except InvalidInput as error:
                return refused(request, template, form, error.problems, user=user)
            except TooManyAttempts as error:
                return throttled(request, template, form, error, user=user)

        # Not functools.wraps: Pyramid looks at what is wrapped, and would take it for a view of
        # a context and a request.
        view.__name__, view.__doc__ = answer.__name__, answer.__doc__
        view.__qualname__, view.__module__ = answer.__qualname__, answer.__module__
        return view

    return decorate
