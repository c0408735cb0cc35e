"""A shop whose server is killed again and again in the middle of its sales."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil
from sqlalchemy import select, text

from app.store.audit import audit_orders
from app.store.database import Database
from app.store.journal import Journal
from app.store.tables import JournalRow, OrderRow, PaymentRow
from app.store.users import SqlUsers
from tests.postgres import Postgres
from tests.web.crowd import Busy, Clerk, Customer, Ledger
from tests.web.server import PASSWORD, Screen, Server, Visitor, wait_until

NO_CAMERA = "99"  # a webcam that is not there: the shop sells by hand, as fast as people can
CUSTOMERS, CLERKS = 3, 2


@dataclass(slots=True)
class Tally:
    """What a run found; ``untold``: paid, but the server died before anybody heard of it."""

    kills: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    paid: int = 0
    told_paid: int = 0
    untold: int = 0
    unfinished: Counter[str] = field(default_factory=Counter)  # left by a kill, by status


class Shop:
    """The real server on a database, with a crowd that never stops selling."""

    def __init__(self, folder: Path, url: str, seed: int) -> None:
        self.ledger, self.tally, self._random = Ledger(), Tally(), random.Random(seed)
        self._url = url
        self.server = Server(folder, Path(NO_CAMERA))
        self.server.env["CHECKOUT_DATABASE_URL"] = url
        self.clerk_names = [f"clerk{n}" for n in range(CLERKS)]
        self._clerks = [Clerk(name, self.server.url, self.ledger) for name in self.clerk_names]
        self._customers = [
            Customer(f"customer {n}", self.server.url, self.ledger, seed) for n in range(CUSTOMERS)
        ]
        self._crowd: list[Busy] = [*self._clerks, *self._customers]

    def __enter__(self) -> Shop:
        self._hire()
        self.server.start()
        for clerk in self._clerks:
            clerk.sign_in()
        for somebody in self._crowd:
            somebody.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        for somebody in self._crowd:
            somebody.over.set()
        for somebody in self._crowd:
            somebody.join()
        self.server.stop()

    def _hire(self) -> None:
        database = Database(self._url)
        database.migrate()
        for clerk in self._clerks:
            SqlUsers(database).add(clerk.name, PASSWORD, "clerk")
        database.close()

    def sell(self, sales: int) -> None:
        """Open, until so many more orders were paid; the crowd goes on selling."""
        before = len(self.ledger.paid)
        for somebody in self._crowd:
            somebody.open.set()
        wait_until(lambda: self._failed() or len(self.ledger.paid) >= before + sales, 120)
        self._raise_failures()

    def rest(self) -> None:
        """Let everybody finish what they are at, and then wait."""
        for somebody in self._crowd:
            somebody.resting.clear()
            somebody.open.clear()
        wait_until(lambda: all(somebody.resting.is_set() for somebody in self._crowd), 60)
        self._raise_failures()

    def _failed(self) -> bool:
        return any(somebody.failure for somebody in self._crowd)

    def _raise_failures(self) -> None:
        for somebody in self._crowd:
            if somebody.failure is not None:
                raise AssertionError(f"{somebody.name} failed") from somebody.failure

    def strike(self, within_s: float) -> None:
        """Kill the server at a random moment of its sales, look at what is left, start it again."""
        time.sleep(self._random.uniform(0, within_s))
        kill(self.server, self._random)
        self.tally.kills["server"] += 1
        self.rest()
        unfinished = self.examine()
        self.server.start()
        if unfinished is not None:
            self.tally.unfinished[unfinished.status] += 1
        self._is_shown(unfinished)

    def strike_database(self, postgres: Postgres, within_s: float) -> None:
        """Crash the database server under the running till, and start it again."""
        time.sleep(self._random.uniform(0, within_s))
        postgres.stop(signal.SIGQUIT)
        self.tally.kills["database"] += 1
        self.rest()
        postgres.start()
        self.examine()

    def examine(self) -> OrderRow | None:
        """Compare the database with what people were told; the order that was left unfinished."""
        database = Database(self._url)
        try:
            assert Journal(database).verify() is None
            assert audit_orders(database) == ""
            return self._compare(database)
        finally:
            database.close()

    def _compare(self, database: Database) -> OrderRow | None:
        told, journal = self.ledger, paid_in_journal(database)
        with database.reading() as session:
            orders = {row.id: row for row in session.scalars(select(OrderRow).order_by("id"))}
            confirmed = select(PaymentRow.order_id).where(PaymentRow.outcome == "confirmed")
            payments = Counter(session.scalars(confirmed))
            if database.is_sqlite:
                assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        paid = {row.id for row in orders.values() if row.status == "paid"}
        assert told.paid <= paid, "somebody was told of a payment that is not there"
        assert payments == Counter(paid), "an order was paid twice, or paid without a payment"
        assert journal == Counter(orders[key].number for key in paid)
        assert all(orders[key].status == "cancelled" for key in told.cancelled)
        for key, what in told.orders.items():
            row = orders[key]
            assert {(row.number, row.total_minor)} == {(t.number, t.total_minor) for t in what}
        made = {row.idempotency_key: row.id for row in orders.values()}
        assert told.keys.items() <= made.items(), "an order that somebody was told of is not there"
        assert not told.refused & made.keys(), "a payment that was refused has made an order"
        self._count(len(orders), paid)
        return unfinished(list(orders.values()))

    def _count(self, orders: int, paid: set[int]) -> None:
        self.tally.orders, self.tally.paid = orders, len(paid)
        self.tally.told_paid = len(self.ledger.paid)
        self.tally.untold = len(paid - self.ledger.paid)

    def _is_shown(self, left: OrderRow | None) -> None:
        """After the restart the screens show what was left unfinished, for a decision."""
        expected = {"status": left and left.status, "number": left and left.number}
        with Screen(self.server.url) as screen, Visitor(self.server.url) as visitor:
            wait_until(lambda: {"cart", "order"} <= screen.latest.keys())
            shown = {name: screen.latest["order"][name] for name in expected}
            assert shown == expected
            assert screen.cart["status"] == (left.status if left else "open")
            assert visitor.sign_in(self.clerk_names[0]).status_code == 303
            page = visitor.get("/clerk").text
        if left is not None:
            waits = left.status == "awaiting_payment"
            assert left.number in page
            assert f'action="/clerk/{f"orders/{left.id}/confirm" if waits else "counter"}"' in page


def kill(server: Server, chance: random.Random) -> None:
    """SIGKILL to gunicorn and its worker, in either order: nobody gets to say goodbye."""
    family = [psutil.Process(server.process.pid)]
    family += family[0].children(recursive=True)
    chance.shuffle(family)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, 10)
    server.process.wait(10)


def paid_in_journal(database: Database) -> Counter[str]:
    wanted = select(JournalRow.details).where(JournalRow.event == "order_paid")
    with database.reading() as session:
        return Counter(json.loads(details)["order"] for details in session.scalars(wanted))


def unfinished(orders: list[OrderRow]) -> OrderRow | None:
    """The lane's last order, when it still needs somebody."""
    last = orders[-1] if orders else None
    if last is None or last.status == "awaiting_payment":
        return last
    return last if last.status == "paid" and last.released_at is None else None
