"""The watch over every page in these tests, and axe-core, do see what they are there to see."""

import pytest
from playwright.sync_api import expect

from authapp.security.headers import CONTENT_SECURITY_POLICY
from tests.browser.support import Watch, accessibility_problems

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("javascript", "body", "complaint"),
    [
        (True, "<script>1</script>", "Content Security Policy"),
        (False, "<p style='color: red'>", "Content Security Policy"),
        (False, "<img src='http://localhost:1/x.png'>", "asks another origin"),
        (False, "<img src='/nowhere.png'>", "404"),
    ],
)
def test_breach_is_noticed(chromium, server, javascript, body, complaint):
    watch = Watch(server.url)
    with chromium.new_context(java_script_enabled=javascript) as context:
        watch.over(context)
        page = context.new_page()
        page.route(
            f"{server.url}/breach",
            lambda route: route.fulfill(
                body=f"<!DOCTYPE html>{body}",
                content_type="text/html",
                headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY},
            ),
        )
        page.goto(f"{server.url}/breach")
        page.wait_for_load_state("networkidle")
    assert any(complaint in seen for seen in watch.complaints), watch.complaints


def test_errors_of_scripts_are_noticed(chromium, server):
    watch = Watch(server.url)
    with chromium.new_context() as context:
        watch.over(context)
        page = context.new_page()
        page.goto(f"{server.url}/")
        page.evaluate("setTimeout(() => { throw new Error('as a script may') })")
        page.evaluate("console.warn('as a browser may')")
        page.wait_for_timeout(50)
    assert [seen.split(":")[0] for seen in watch.complaints] == ["throws", "writes to the console"]


def test_faults_that_keep_people_out_are_noticed(page):
    page.set_content("<html lang=en><title>t</title><main><h1>t</h1><input name=a></main>")
    [problem] = accessibility_problems(page)
    assert problem.startswith("label: ")
    expect(page.get_by_role("heading")).to_be_visible()
