"""What every user repository does, the fake and the real one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from authapp.domain.errors import EmailTaken, UserNotFound
from authapp.domain.users import Credentials, Role, Status, User, UserRepository, fold_email
from authapp.repositories.connections import BoundConnections
from authapp.repositories.users import SqlUserRepository
from tests.contracts.transactions import transaction
from tests.contracts.waiting import wait_until_blocked
from tests.fakes import InMemoryUserRepository

HASH = "$2b$04$" + "a" * 53
OTHER_HASH = "$2b$04$" + "b" * 53


@pytest.fixture(params=["in memory", "sql"])
def users(request):
    if request.param == "in memory":
        yield InMemoryUserRepository()
        return
    request.getfixturevalue("db")
    with request.getfixturevalue("engine").connect() as connection:
        yield SqlUserRepository(BoundConnections(connection))


class TestUserRepository:
    def test_a_new_user_is_an_active_member_whose_address_is_not_verified(
        self, users: UserRepository
    ):
        user = users.add("Ada", "ada@example.com", HASH)

        assert (user.name, user.email) == ("Ada", "ada@example.com")
        assert user.role is Role.MEMBER
        assert user.status is Status.ACTIVE
        assert user.email_verified_at is None
        assert user.created_at.tzinfo is not None
        assert user.password_changed_at == user.created_at

    def test_every_user_has_an_id_of_their_own(self, users: UserRepository):
        assert users.add("Ada", "ada@example.com", HASH).id != users.add("Bo", "bo@b.org", HASH).id

    def test_a_user_is_found_by_id(self, users: UserRepository):
        user = users.add("Ada", "ada@example.com", HASH)
        users.add("Bo", "bo@example.com", HASH)

        assert users.by_id(user.id) == user

    def test_nobody_is_found_by_an_unknown_id(self, users: UserRepository):
        users.add("Ada", "ada@example.com", HASH)

        assert users.by_id(uuid4()) is None

    @pytest.mark.parametrize("email", ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"])
    def test_a_user_is_found_by_address_without_regard_to_case(
        self, users: UserRepository, email: str
    ):
        user = users.add("Ada", "Ada@Example.com", HASH)
        users.add("Bo", "bo@example.com", HASH)

        assert users.by_email(email) == user
        assert users.credentials(email) == Credentials(user, HASH)

    @pytest.mark.parametrize("email", ["", "ada", "ada@example.co", "ada@example.com ", "%", "_"])
    def test_nobody_is_found_by_another_address(self, users: UserRepository, email: str):
        users.add("Ada", "ada@example.com", HASH)

        assert users.by_email(email) is None
        assert users.credentials(email) is None

    def test_the_address_keeps_its_case(self, users: UserRepository):
        users.add("Ada", "Ada@Example.com", HASH)

        found = users.by_email("ada@example.com")

        assert found is not None
        assert found.email == "Ada@Example.com"

    @pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com", "ada@EXAMPLE.com"])
    def test_an_address_that_differs_only_in_case_is_taken(self, users: UserRepository, email: str):
        first = users.add("Ada", "ada@example.com", HASH)

        with pytest.raises(EmailTaken):
            users.add("Eve", email, OTHER_HASH)

        assert users.credentials(email) == Credentials(first, HASH)

    def test_the_repository_can_be_used_after_an_address_was_taken(self, users: UserRepository):
        users.add("Ada", "ada@example.com", HASH)
        with pytest.raises(EmailTaken):
            users.add("Eve", "ada@example.com", HASH)

        bo = users.add("Bo", "bo@example.com", HASH)

        assert users.by_id(bo.id) == bo

    # A Kelvin sign, a dotless i and a sharp s, each beside what other foldings take them for.
    @pytest.mark.parametrize(
        ("one", "other"),
        [("k@a.org", "\u212a@a.org"), ("i@a.org", "ı@a.org"), ("ss@a.org", "ß@a.org")],
    )
    def test_letters_that_only_look_alike_are_other_addresses(
        self, users: UserRepository, one: str, other: str
    ):
        first, second = users.add("One", one, HASH), users.add("Other", other, OTHER_HASH)

        assert users.by_email(one) == first
        assert users.by_email(other) == second

    def test_names_and_addresses_are_kept_to_the_character(self, users: UserRepository):
        name, email = "Zoë O'Neil 🙂 %s :x \\", "zoë'o%neil@exämple.org"
        user = users.add(name, email, HASH)

        found = users.by_id(user.id)

        assert found is not None
        assert (found.name, found.email) == (name, email)

    def test_renaming_changes_the_name_of_one_user_alone(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)

        renamed = users.rename(ada.id, "Ada Lovelace")

        assert renamed.name == "Ada Lovelace"
        assert renamed.email == ada.email
        assert users.by_id(ada.id) == renamed
        assert users.by_id(bo.id) == bo
        assert users.credentials("ada@example.com") == Credentials(renamed, HASH)

    def test_nobody_cannot_be_renamed(self, users: UserRepository):
        with pytest.raises(UserNotFound):
            users.rename(uuid4(), "Nobody")

    def test_a_password_hash_is_replaced_if_it_is_the_one_expected(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)

        assert users.replace_password_hash(ada.id, HASH, OTHER_HASH) is True

        assert users.credentials("ada@example.com") == Credentials(ada, OTHER_HASH)
        assert users.credentials("bo@example.com") == Credentials(bo, HASH)

    def test_a_password_hash_that_was_changed_meanwhile_stays(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", OTHER_HASH)

        assert users.replace_password_hash(ada.id, HASH, "$2b$04$" + "c" * 53) is False

        assert users.credentials("ada@example.com") == Credentials(ada, OTHER_HASH)

    def test_nobody_has_a_password_hash_to_replace(self, users: UserRepository):
        assert users.replace_password_hash(uuid4(), HASH, OTHER_HASH) is False

    def test_a_new_password_has_the_time_since_when_it_is_the_account_s(
        self, users: UserRepository
    ):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)

        changed = users.change_password(ada.id, HASH, OTHER_HASH)

        assert changed is not None
        assert changed == replace(ada, password_changed_at=changed.password_changed_at)
        assert changed.password_changed_at > ada.password_changed_at
        assert users.credentials("ada@example.com") == Credentials(changed, OTHER_HASH)
        assert users.credentials("bo@example.com") == Credentials(bo, HASH)

    def test_a_password_that_was_changed_meanwhile_stays(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", OTHER_HASH)

        assert users.change_password(ada.id, HASH, "$2b$04$" + "c" * 53) is None

        assert users.credentials("ada@example.com") == Credentials(ada, OTHER_HASH)

    def test_nobody_has_a_password_to_change(self, users: UserRepository):
        assert users.change_password(uuid4(), HASH, OTHER_HASH) is None

    def test_credentials_are_found_by_id_too(self, users: UserRepository):
        user = users.add("Ada", "ada@example.com", "a hash")

        assert users.credentials_of(user.id) == users.credentials("ada@example.com")
        assert users.credentials_of(uuid4()) is None

    def test_credentials_that_still_are_what_they_were_are_confirmed(self, users: UserRepository):
        users.add("Ada", "ada@example.com", "a hash")
        credentials = users.credentials("ada@example.com")
        assert credentials is not None

        assert users.hold_unchanged(credentials)
        users.replace_password_hash(credentials.user.id, "a hash", "another")
        assert not users.hold_unchanged(credentials)

    def test_nobody_is_confirmed(self, users: UserRepository):
        users.add("Ada", "ada@example.com", "a hash")
        credentials = users.credentials("ada@example.com")
        assert credentials is not None

        users.delete(credentials.user.id)

        assert not users.hold_unchanged(credentials)

    def test_a_new_address_is_a_verified_one(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)

        changed = users.change_email(ada.id, "Ada@Example.org")

        assert changed.email == "Ada@Example.org"
        assert changed.email_verified_at is not None
        assert changed.email_verified_at.tzinfo is not None
        assert users.by_email("ada@example.org") == changed
        assert users.by_email("ada@example.com") is None
        assert users.by_id(bo.id) == bo

    @pytest.mark.parametrize("email", ["bo@example.com", "BO@Example.com"])
    def test_an_address_of_somebody_elses_is_taken(self, users: UserRepository, email: str):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)

        with pytest.raises(EmailTaken):
            users.change_email(ada.id, email)

        assert users.by_id(ada.id) == ada  # The transaction goes on.
        assert users.by_email("bo@example.com") == bo

    def test_ones_own_address_may_change_its_case(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)

        assert users.change_email(ada.id, "ADA@example.com").email == "ADA@example.com"

    def test_nobody_has_no_address_to_change(self, users: UserRepository):
        users.add("Ada", "ada@example.com", HASH)

        for email in ("new@example.com", "ada@example.com"):
            with pytest.raises(UserNotFound):
                users.change_email(uuid4(), email)

    def test_an_address_is_verified(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)

        verified = users.verify_email(ada.id)

        assert verified.email_verified_at is not None
        assert replace(verified, email_verified_at=None) == ada
        assert users.by_id(ada.id) == verified
        assert users.by_id(bo.id) == bo
        with pytest.raises(UserNotFound):
            users.verify_email(uuid4())

    def test_who_wants_no_mail_of_sign_ins_says_so(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)
        bo = users.add("Bo", "bo@example.com", HASH)
        assert ada.notify_sign_in is True

        changed = users.notify_sign_in(ada.id, False)

        assert changed == replace(ada, notify_sign_in=False)
        assert users.by_id(ada.id) == changed
        assert users.by_id(bo.id) == bo
        assert users.notify_sign_in(ada.id, True) == ada
        with pytest.raises(UserNotFound):
            users.notify_sign_in(uuid4(), True)

    def test_a_language_is_chosen_or_left_to_the_browser(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH, "de")
        bo = users.add("Bo", "bo@example.com", HASH)
        assert (ada.language, ada.letters_language, bo.letters_language) == (None, "de", None)

        chosen = users.choose_language(ada.id, "pt-BR")

        assert chosen == replace(ada, language="pt-BR")
        assert users.by_id(ada.id) == chosen
        assert users.by_id(bo.id) == bo
        assert users.choose_language(ada.id, None) == ada
        with pytest.raises(UserNotFound):
            users.choose_language(uuid4(), "de")

    def test_a_user_is_held_as_they_are(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", HASH)
        users.add("Bo", "bo@example.com", HASH)

        assert users.hold(ada.id) == ada
        renamed = users.rename(ada.id, "Countess")
        assert users.hold(ada.id) == renamed
        assert users.hold(uuid4()) is None

    def test_a_user_is_deleted_and_no_other(self, users: UserRepository):
        ada = users.add("Ada", "ada@example.com", "a hash")
        bo = users.add("Bo", "bo@example.com", "a hash")

        assert users.delete(ada.id)
        assert not users.delete(ada.id)

        assert users.by_id(ada.id) is None
        assert users.by_id(bo.id) == bo


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_of_two_who_want_an_address_at_once_the_second_has_it_only_if_the_first_gives_up(
    engine: Engine, db: Connection, end: str
):
    with ThreadPoolExecutor(1) as thread, engine.connect() as other, engine.connect() as one:
        SqlUserRepository(BoundConnections(one)).add("One", "ada@example.com", HASH)
        others = SqlUserRepository(BoundConnections(other))
        second = thread.submit(others.add, "Other", "Ada@example.com", HASH)
        wait_until_blocked(db)
        getattr(one, end)()

        if end == "commit":
            with pytest.raises(EmailTaken):
                second.result()
        else:
            assert second.result().name == "Other"


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_of_two_who_change_to_an_address_at_once_the_second_has_it_only_if_the_first_gives_up(
    engine: Engine, db: Connection, end: str
):
    with engine.begin() as connection:
        users = SqlUserRepository(BoundConnections(connection))
        ada, bo = (users.add(name, f"{name}@example.com", HASH) for name in ("ada", "bo"))

    with ThreadPoolExecutor(1) as thread, engine.connect() as other, engine.connect() as one:
        SqlUserRepository(BoundConnections(one)).change_email(ada.id, "new@example.com")
        others = SqlUserRepository(BoundConnections(other))
        second = thread.submit(others.change_email, bo.id, "New@example.com")
        wait_until_blocked(db)
        getattr(one, end)()

        if end == "commit":
            with pytest.raises(EmailTaken):
                second.result()
        else:
            assert second.result().email == "New@example.com"


@pytest.fixture
def ada(engine: Engine, db: Connection) -> User:
    """A user whom all connections see."""
    with engine.begin() as connection:
        return SqlUserRepository(BoundConnections(connection)).add("Ada", "ada@example.com", HASH)


def test_of_two_who_hold_a_user_the_second_sees_what_the_first_has_done(
    engine: Engine, db: Connection, ada: User
):
    with ThreadPoolExecutor(1) as thread, engine.connect() as one, engine.connect() as other:
        users = SqlUserRepository(BoundConnections(one))
        assert users.hold(ada.id) == ada
        second = thread.submit(SqlUserRepository(BoundConnections(other)).hold, ada.id)
        wait_until_blocked(db)
        renamed = users.rename(ada.id, "Countess")
        one.commit()

        assert second.result(timeout=10) == renamed
        other.rollback()


def test_whoever_holds_a_user_waits_for_a_sign_in_that_is_under_way(
    engine: Engine, db: Connection, ada: User
):
    with ThreadPoolExecutor(1) as thread, engine.connect() as one, engine.connect() as other:
        assert SqlUserRepository(BoundConnections(one)).hold_unchanged(Credentials(ada, HASH))
        held = thread.submit(SqlUserRepository(BoundConnections(other)).hold, ada.id)
        wait_until_blocked(db)
        one.commit()

        assert held.result(timeout=10) == ada
        other.rollback()


def test_a_password_is_changed_later_than_the_sign_in_that_it_has_waited_for(
    engine: Engine, db: Connection, ada: User
):
    """So that no browser is known by the old one, whichever of the two has begun first."""
    with ThreadPoolExecutor(1) as thread, engine.connect() as one, engine.connect() as other:
        other.execute(text("SELECT"))
        assert SqlUserRepository(BoundConnections(one)).hold_unchanged(Credentials(ada, HASH))
        users = SqlUserRepository(BoundConnections(other))
        changed = thread.submit(users.change_password, ada.id, HASH, OTHER_HASH)
        wait_until_blocked(db)
        signed_in_at = one.execute(text("SELECT clock_timestamp()")).scalar_one()
        one.commit()

        user = changed.result(timeout=10)
        assert user is not None
        assert user.password_changed_at > signed_in_at
        other.rollback()


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_of_two_who_change_a_password_at_once_the_second_does_only_if_the_first_gives_up(
    engine: Engine, db: Connection, ada: User, end: str
):
    with ThreadPoolExecutor(1) as thread, engine.connect() as one, engine.connect() as other:
        SqlUserRepository(BoundConnections(one)).change_password(ada.id, HASH, "first")
        users = SqlUserRepository(BoundConnections(other))
        second = thread.submit(users.change_password, ada.id, HASH, "second")
        wait_until_blocked(db)
        getattr(one, end)()

        assert (second.result(timeout=10) is not None) is (end == "rollback")
        other.rollback()


def test_a_password_is_changed_whatever_else_is_changed_meanwhile(
    engine: Engine, db: Connection, ada: User
):
    with ThreadPoolExecutor(1) as thread, engine.connect() as one, engine.connect() as other:
        SqlUserRepository(BoundConnections(one)).rename(ada.id, "Countess")
        users = SqlUserRepository(BoundConnections(other))
        changed = thread.submit(users.change_password, ada.id, HASH, OTHER_HASH)
        wait_until_blocked(db)
        one.commit()

        user = changed.result(timeout=10)
        assert user is not None
        assert user.name == "Countess"
        assert users.credentials_of(ada.id) == Credentials(user, OTHER_HASH)
        other.rollback()


def test_rows_that_refer_to_a_user_who_is_held_can_be_written(
    engine: Engine, db: Connection, ada: User
):
    """Of sessions that begin and of events, beside the transaction that holds them."""
    with engine.connect() as one:
        SqlUserRepository(BoundConnections(one)).hold(ada.id)

        db.execute(text("SET lock_timeout = '5s'"))
        db.execute(text("INSERT INTO security_events (kind, user_id) SELECT 'x', id FROM users"))
        db.execute(text("RESET lock_timeout"))
        one.rollback()

    assert db.execute(text("SELECT count(*) FROM security_events")).scalar_one() == 1


def test_address_that_is_taken_ends_no_request(engine: Engine, db: Connection):
    with engine.begin() as connection:
        users = SqlUserRepository(BoundConnections(connection))
        ada, bo = (users.add(name, f"{name}@example.com", HASH) for name in ("ada", "bo"))

    with transaction(engine) as connections:
        users = SqlUserRepository(connections)
        users.rename(ada.id, "Renamed")
        with pytest.raises(EmailTaken):
            users.change_email(ada.id, bo.email)

    assert db.execute(text("SELECT email FROM users WHERE name = 'Renamed'")).scalar_one() == (
        ada.email
    )


SPECIAL = st.sampled_from("aAzZ@kK\u212aiIıİsSſßσςΣéÉǅ\u0345🙂 \u200b")
ADDRESSES = st.text(
    SPECIAL | st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)


@st.composite
def address_pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two addresses, more often than not ones that some folding takes for the same."""
    one = draw(ADDRESSES)
    foldings: list[Callable[[str], str]] = [
        str.upper,
        str.lower,
        str.casefold,
        str.swapcase,
        str.title,
        str,
    ]
    other = draw(st.sampled_from(foldings).map(lambda fold: fold(one)) | ADDRESSES)
    return one, other


@pytest.fixture(scope="module")
def index_connection(engine: Engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@pytest.fixture(scope="module")
def indexed_form(index_connection: Connection) -> str:
    """The expression that the unique index really is over, by the database's own account."""
    expression = index_connection.scalar(
        text(
            "SELECT pg_get_expr(indexprs, indrelid) FROM pg_index"
            " WHERE indexrelid = 'uq_users_email'::regclass AND indisunique"
        )
    )
    assert expression, "there is no unique index uq_users_email over an expression"
    return str(expression)


@given(pair=address_pairs())
@settings(max_examples=300, deadline=None)
def test_the_rules_and_the_index_agree_on_which_addresses_are_the_same(
    index_connection: Connection, indexed_form: str, pair: tuple[str, str]
):
    statement = f"SELECT {indexed_form} FROM (VALUES (:one), (:other)) AS users(email)"  # noqa: S608

    one, other = pair
    forms = index_connection.scalars(text(statement), {"one": one, "other": other}).all()

    assert forms == [fold_email(one), fold_email(other)]
