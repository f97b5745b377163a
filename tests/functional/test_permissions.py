import pytest
from sqlalchemy import text

from tests.functional.support import EMAIL, JSON, sign_out, sign_up


@pytest.fixture
def member(lab_app):
    sign_up(lab_app)
    return lab_app


@pytest.fixture
def admin(member, db):
    db.execute(text("UPDATE users SET role = 'admin'"))
    return member


def test_view_for_administrators_lets_them_in(admin):
    assert admin.get("/lab-admin", status=200).text == "for administrators"


def test_view_for_administrators_tells_members_that_they_may_not(member):
    page = member.get("/lab-admin", status=403)

    assert "for administrators" not in page
    assert page.html.h1.get_text() == "You may not see this"
    answer = member.get("/lab-admin", headers=JSON, status=403)
    assert answer.json["error"]["code"] == "forbidden"


def test_view_for_administrators_sends_visitors_to_sign_in(lab_app):
    answer = lab_app.get("/lab-admin?page=2", status=303)

    assert answer.location.endswith("/sign-in?next=%2Flab-admin%3Fpage%3D2")
    answer = lab_app.get("/lab-admin", headers=JSON, status=401)
    assert answer.json["error"]["code"] == "unauthenticated"


def test_administrator_can_do_what_members_can(admin):
    admin.get("/account", status=200)


def test_administrator_who_is_one_no_more_is_refused_at_once(admin, db):
    admin.get("/lab-admin", status=200)

    db.execute(text("UPDATE users SET role = 'member'"))
    admin.get("/lab-admin", status=403)

    db.execute(text("UPDATE users SET role = 'admin', status = 'disabled'"))
    admin.get("/lab-admin", status=303)


def test_administrator_who_has_signed_out_is_a_visitor(admin):
    sign_out(admin)

    admin.get("/lab-admin", status=303)


def test_views_know_who_is_asking(member, db, view):
    def who(request):
        return {
            "identity": request.identity.email,
            "userid": request.authenticated_userid,
            "is_authenticated": request.is_authenticated,
            "member": bool(request.has_permission("account")),
            "admin": bool(request.has_permission("admin")),
            "other": bool(request.has_permission("no such permission")),
        }

    assert member.get(view(who)).json == {
        "identity": EMAIL,
        "userid": str(db.execute(text("SELECT id FROM users")).scalar_one()),
        "is_authenticated": True,
        "member": True,
        "admin": False,
        "other": False,
    }


def test_views_see_nobody_in_a_visitor(lab_app, view):
    def who(request):
        return [request.identity, request.authenticated_userid, request.is_authenticated]

    assert lab_app.get(view(who)).json == [None, None, False]


def test_resources_may_grant_more_by_acl(member, view):
    class Document:
        owner = ""

        def __acl__(self):
            return [("Allow", f"user:{self.owner}", "edit"), ("Allow", "role:member", "read")]

    def may(request):
        document = Document()
        document.owner = request.params.get("owner") or request.authenticated_userid
        return [bool(request.has_permission(p, document)) for p in ("edit", "read", "delete")]

    address = view(may)
    assert member.get(address).json == [True, True, False]
    assert member.get(address + "?owner=somebody").json == [False, True, False]
