"""Accounts of the people who work here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import InvalidUser
from app.store.tables import UserRow

if TYPE_CHECKING:
    from app.store.database import Database

ROLES = ("clerk", "owner")
MAX_NAME_LENGTH = 50
PASSWORD_LENGTH = range(8, 1025)  # the upper end keeps hashing from being a way to stall the lane

hasher = PasswordHasher()  # argon2id, parameters of RFC 9106's second recommendation


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in; role "clerk" or "owner".

    stamp: another one after each change of the password, of no use to guess it by.
    """

    id: int
    name: str
    role: str
    stamp: str


class SqlUsers:
    """The accounts in a Database. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, password: str, role: str) -> User:
        """Create an account. Raises InvalidUser on a bad or taken name, password or role."""
        name = name.strip()
        _check(name, role)
        _check_password(password)
        row = UserRow(
            name=name,
            password_hash=hasher.hash(password),
            role=role,
            created_at=datetime.now(UTC),
        )
        try:
            with self._database.writing() as session:
                session.add(row)
                session.flush()
                return _user(row)
        except IntegrityError as error:
            raise InvalidUser(f"There is already a user {name}: choose another name.") from error

    def change_password(self, name: str, password: str) -> User:
        """Give a user another password, which ends all sessions. Raises InvalidUser."""
        _check_password(password)
        with self._database.writing() as session:
            row = _known(session, name)
            row.password_hash = hasher.hash(password)
            return _user(row)

    def remove(self, name: str) -> User:
        """Take an account away; what its user did stays in the records. Raises InvalidUser."""
        with self._database.writing() as session:
            row = _known(session, name)
            user = _user(row)
            session.delete(row)
            return user

    def all(self) -> list[User]:
        """List the accounts by name."""
        with self._database.reading() as session:
            return [_user(row) for row in session.scalars(select(UserRow).order_by(UserRow.name))]

    def verify(self, name: str, password: str) -> User | None:
        """Return the user whose password this is, else None; an unknown name takes as long."""
        with self._database.reading() as session:
            row = session.scalar(select(UserRow).where(UserRow.name == name.strip()))
            user, password_hash = (_user(row), row.password_hash) if row else (None, _nobody())
        usable = len(password) in PASSWORD_LENGTH
        return user if _matches(password_hash, password if usable else "") and usable else None

    def get(self, user_id: int) -> User | None:
        """Return one user, None when the account is gone."""
        with self._database.reading() as session:
            row = session.get(UserRow, user_id)
            return _user(row) if row else None


def _known(session: Session, name: str) -> UserRow:
    row = session.scalar(select(UserRow).where(UserRow.name == name.strip()))
    if row is None:
        raise InvalidUser(f"There is no user {name}.")
    return row


def _check(name: str, role: str) -> None:
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidUser(f"A user's name has 1 to {MAX_NAME_LENGTH} visible characters.")
    if role not in ROLES:
        raise InvalidUser(f"The role must be one of: {', '.join(ROLES)}.")


def _check_password(password: str) -> None:
    if len(password) < PASSWORD_LENGTH.start:
        raise InvalidUser(f"The password must have at least {PASSWORD_LENGTH.start} characters.")
    if len(password) not in PASSWORD_LENGTH:
        raise InvalidUser(f"The password must have at most {PASSWORD_LENGTH.stop - 1} characters.")


def _matches(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """Return the hash that an unknown name is checked against."""
    return hasher.hash("nobody has this password")


def _user(row: UserRow) -> User:
    stamp = hashlib.sha256(row.password_hash.encode()).hexdigest()[:16]
    return User(row.id, row.name, row.role, stamp)
