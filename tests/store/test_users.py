import time

import pytest
from sqlalchemy import select

from app.errors import InvalidUser, StoreUnavailable
from app.store import users as users_module
from app.store.database import Database
from app.store.tables import UserRow
from app.store.users import SqlUsers


@pytest.fixture
def users(database: Database) -> SqlUsers:
    return SqlUsers(database)


@pytest.mark.parametrize("role", ["clerk", "owner"])
def test_a_user_signs_in_with_the_right_password_only(users, role):
    kim = users.add("kim", "correct horse", role)
    assert (kim.name, kim.role) == ("kim", role)
    assert users.verify("kim", "correct horse") == kim
    assert users.verify(" kim ", "correct horse") == kim
    assert users.get(kim.id) == kim
    for wrong in ("correct hors", "Correct horse", "", "x" * 5000):
        assert users.verify("kim", wrong) is None


def test_an_unknown_name_is_nobody(users):
    assert users.verify("lee", "nobody has this password") is None
    assert users.verify("", "") is None
    assert users.get(7) is None


def test_an_unknown_name_takes_as_long_as_a_wrong_password(users):
    users.add("kim", "correct horse", "clerk")
    users.verify("lee", "warm up the hash")

    def seconds(name: str) -> float:
        started = time.perf_counter()
        users.verify(name, "wrong password")
        return time.perf_counter() - started

    known = min(seconds("kim") for _ in range(3))
    unknown = min(seconds("lee") for _ in range(3))
    assert 0.3 < unknown / known < 3


def test_only_an_argon2id_hash_is_kept(users, database):
    users.add("kim", "correct horse", "clerk")
    with database.reading() as session:
        kept = session.scalar(select(UserRow)).password_hash
    assert kept.startswith("$argon2id$")
    assert "correct horse" not in kept


@pytest.mark.parametrize(
    ("name", "password", "role", "reason"),
    [
        ("", "12345678", "clerk", "name"),
        ("   ", "12345678", "clerk", "name"),
        ("k" * 51, "12345678", "clerk", "name"),
        ("ki\nm", "12345678", "clerk", "name"),
        ("kim", "1234567", "clerk", "at least 8"),
        ("kim", "1" * 1025, "clerk", "at most 1024"),
        ("kim", "12345678", "king", "clerk, owner"),
        ("kim", "12345678", "", "clerk, owner"),
    ],
)
def test_a_bad_account_is_refused_in_one_line(users, name, password, role, reason):
    with pytest.raises(InvalidUser, match=reason) as refused:
        users.add(name, password, role)
    assert "\n" not in str(refused.value)


def test_a_name_is_given_once(users):
    kim = users.add("kim", "correct horse", "clerk")
    with pytest.raises(InvalidUser, match="already a user kim"):
        users.add(" kim ", "another password", "owner")
    assert users.verify("kim", "correct horse") == kim


def test_a_korean_name_is_a_name(users):
    assert users.verify("김민수", "비밀번호가깁니다") is None
    added = users.add("김민수", "비밀번호가깁니다", "owner")
    assert users.verify("김민수", "비밀번호가깁니다") == added


def test_a_damaged_hash_lets_nobody_in(users, database):
    users.add("kim", "correct horse", "clerk")
    with database.writing() as session:
        session.scalar(select(UserRow)).password_hash = "damaged"
    assert users.verify("kim", "correct horse") is None


def test_without_its_tables_the_store_is_unavailable(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    with pytest.raises(StoreUnavailable):
        SqlUsers(database).verify("kim", "correct horse")
    database.close()


def test_the_hash_is_made_as_rfc_9106_advises():
    assert users_module.hasher.type.name == "ID"
    assert users_module.hasher.memory_cost >= 64 * 1024
    assert users_module.hasher.time_cost >= 3


def test_another_password_signs_in_and_the_old_one_no_longer(users):
    before = users.add("kim", "first password", "clerk")
    after = users.change_password("kim", "second password")
    assert users.verify("kim", "first password") is None
    assert users.verify("kim", "second password") == after
    assert (after.id, after.role) == (before.id, before.role)
    assert after.stamp != before.stamp
    with pytest.raises(InvalidUser, match="at least 8"):
        users.change_password("kim", "short")


def test_who_was_removed_signs_in_no_longer(users):
    kim = users.add("kim", "long enough", "clerk")
    lee = users.add("lee", "long enough", "owner")
    assert users.remove("kim") == kim
    assert users.verify("kim", "long enough") is None
    assert users.get(kim.id) is None
    assert users.all() == [lee]


def test_nobody_of_that_name_is_said_in_one_line(users):
    for change in (users.remove, lambda name: users.change_password(name, "long enough")):
        with pytest.raises(InvalidUser, match="no user kim"):
            change("kim")
