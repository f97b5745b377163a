import pytest

from tests.functional.support import JSON, cookies_set, sign_up


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_healthy_application_says_so(app, path):
    page = app.get(path, status=200)
    assert page.text == "ok\n"
    assert page.content_type == "text/plain"
    assert app.get(path, headers=JSON, status=200).json == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_never_cached_and_sets_no_cookie(app, path):
    sign_up(app)

    answer = app.get(path)

    assert answer.headers["Cache-Control"] == "no-store"
    assert cookies_set(answer) == []


def test_health_is_asked_for_by_get_only(app):
    for path in ("/healthz", "/readyz"):
        answer = app.post_json(path, {}, status=405)
        assert "GET" in answer.headers["Allow"]
