"""What the camera gets wrong: what it counted against what people then paid for.

Where the two differ somebody corrected the basket. What nobody noticed is not in here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from app.store.tables import MiscountRow, OrderRow


@dataclass(frozen=True, slots=True)
class SeenFruit:
    """How the camera did with one kind, in pieces.

    right: counted and paid for. missed: paid for, not counted. wrong: counted, not paid for.
    """

    key: str
    right: int
    missed: int
    wrong: int

    @property
    def mistakes(self) -> int:
        """Pieces that somebody had to correct."""
        return self.missed + self.wrong


@dataclass(frozen=True, slots=True)
class Mistaken:
    """How many orders had one kind too many and another too few: one was taken for the other."""

    seen: str
    was: str
    orders: int


@dataclass(frozen=True, slots=True)
class CameraReport:
    """The camera's mistakes: kinds with most mistakes first, mix-ups with most orders first."""

    fruits: tuple[SeenFruit, ...] = ()
    mistaken: tuple[Mistaken, ...] = ()


def camera_report(
    session: Session, of_orders: Sequence[ColumnElement[bool]], pieces: Mapping[str, int]
) -> CameraReport:
    """Report on the orders that fulfil ``of_orders``; pieces: how many of each kind they sold."""
    return CameraReport(_fruits(session, of_orders, pieces), _mistaken(session, of_orders))


def _fruits(
    session: Session, of_orders: Sequence[ColumnElement[bool]], pieces: Mapping[str, int]
) -> tuple[SeenFruit, ...]:
    row = MiscountRow
    missed = func.sum(case((row.paid > row.counted, row.paid - row.counted), else_=0))
    wrong = func.sum(case((row.counted > row.paid, row.counted - row.paid), else_=0))
    wanted = select(row.key, missed, wrong).join(OrderRow, OrderRow.id == row.order_id)
    rows = session.execute(wanted.where(*of_orders).group_by(row.key))
    mistakes = {key: (int(missed), int(wrong)) for key, missed, wrong in rows}
    fruits = []
    for key in {*(key for key, sold in pieces.items() if sold), *mistakes}:
        missed_of_it, wrong_of_it = mistakes.get(key, (0, 0))
        right = pieces.get(key, 0) - missed_of_it
        fruits.append(SeenFruit(key, right, missed_of_it, wrong_of_it))
    return tuple(sorted(fruits, key=lambda fruit: (-fruit.mistakes, fruit.key)))


def _mistaken(session: Session, of_orders: Sequence[ColumnElement[bool]]) -> tuple[Mistaken, ...]:
    """Only of orders with one kind of each sort: of more nobody knows which was which."""
    row = MiscountRow
    only = select(row.order_id, func.min(row.key).label("key")).where(*of_orders)
    only = only.join(OrderRow, OrderRow.id == row.order_id).group_by(row.order_id)
    only = only.having(func.count() == 1)
    many = only.where(row.counted > row.paid).subquery()
    few = only.where(row.counted < row.paid).subquery()
    pair = (many.c.key, few.c.key)
    pairs = select(*pair, func.count()).join_from(many, few, few.c.order_id == many.c.order_id)
    mixups = [Mistaken(*mixup) for mixup in session.execute(pairs.group_by(*pair))]
    return tuple(sorted(mixups, key=lambda mixup: (-mixup.orders, mixup.seen, mixup.was)))
