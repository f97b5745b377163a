"""How far the cookiecutter's own fixture goes: pages that only read."""


def test_pages_that_only_read_work(doomed_testapp):
    assert "Nothing yet" in doomed_testapp.get("/", status=200)
    assert "Password" in doomed_testapp.get("/sign-in", status=200)
    assert doomed_testapp.get("/account", status=303).location == "http://example.com/sign-in"
    assert "There is no such page" in doomed_testapp.get("/nowhere", status=404)


def test_what_the_test_puts_into_the_database_is_seen(doomed_testapp, doomed_user):
    response = sign_in(doomed_testapp)

    assert response.location == "http://example.com/"
    # The answer is right; yet nothing commits, so no cookie goes out for a row that never was.
    assert "Set-Cookie" not in response.headers
    assert "Welcome" not in doomed_testapp.get("/")


def test_nothing_is_kept_from_one_request_to_the_next(doomed_testapp):
    token = {"X-CSRF-Token": csrf_token(doomed_testapp.get("/"))}
    tallies = [doomed_testapp.post("/tally", headers=token).json["tally"] for _ in range(2)]
    assert tallies == [1, 1]


def csrf_token(page):
    return page.html.find("input", attrs={"name": "csrf_token"})["value"]


def sign_in(browser):
    token = csrf_token(browser.get("/sign-in"))
    form = {"name": "ada", "password": "correct horse", "csrf_token": token}
    return browser.post("/sign-in", form, status=303)
