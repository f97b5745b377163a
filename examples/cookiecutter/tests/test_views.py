"""Views, called as functions."""

from shop.models import User
from shop.views.auth import sign_in
from shop.views.default import home, tally
from shop.views.error import failed
from shop.views.notfound import not_found


def test_home_of_a_visitor(app_request):
    assert home(app_request)["cart"] == []


def test_tally(app_request):
    assert tally(app_request) == {"tally": 1}
    assert app_request.session["tally"] == 1


def test_sign_in(app_request, doomed_user):
    app_request.method = "POST"
    app_request.content_type = "application/x-www-form-urlencoded"
    app_request.body = b"name=ada&password=correct+horse"

    assert sign_in(app_request).status_int == 303
    assert app_request.session.user_id == doomed_user.id
    assert app_request.identity is doomed_user


def test_not_found(dummy_request):
    assert not_found(dummy_request) == {}
    assert dummy_request.response.status_int == 404


def test_password_is_kept_as_a_hash():
    user = User(name="ada")
    user.set_password("correct horse")
    assert "correct horse" not in user.password_hash
    assert user.check_password("correct horse")


def test_error_page(dummy_request, caplog):
    assert failed(ZeroDivisionError("why"), dummy_request) == {}
    assert dummy_request.response.status_int == 500
    assert "ZeroDivisionError: why" in caplog.text
