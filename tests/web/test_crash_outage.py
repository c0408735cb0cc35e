"""A full disk, a database that is gone, and both back: the whole server, as people see it."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from app.store.audit import audit_orders
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from app.store.users import SqlUsers
from tests.postgres import Postgres
from tests.web.crash import NO_CAMERA
from tests.web.server import PASSWORD, Screen, Server, Visitor, wait_until

WITHIN_S = 30.0  # a database that is gone is waited for, for up to 5 s at a time
SMALL_DISK_MIB = 4
UNLIMITED = resource.RLIM_INFINITY

Act = Callable[[], Any]


def may_mount() -> bool:
    """Whether this process may make a file system of its own (CAP_SYS_ADMIN, bit 21)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapEff:")[1].split()[0], 16) >> 21 & 1)


def server_on(url: str, folder: Path) -> Server:
    database = Database(url)
    database.migrate()
    SqlUsers(database).add("clara", PASSWORD, "clerk")
    database.close()
    server = Server(folder, Path(NO_CAMERA))
    server.env["CHECKOUT_DATABASE_URL"] = url
    return server.start()


def database_state(server: Server) -> dict[str, Any]:
    state: dict[str, Any] = requests.get(f"{server.url}/readyz", timeout=30).json()
    return state["parts"]["database"]


class Till:
    """One sale on a screen and at the clerk's, in which the database fails twice."""

    def __init__(self, server: Server, screen: Screen, clerk: Visitor) -> None:
        self._server, self._screen, self._clerk = server, screen, clerk

    def sell_through(self, name: str, break_it: Act, mend_it: Act) -> int:
        """Sell one apple all the same; its order."""
        assert self._screen.ask("add_item", {"key": "apple", "quantity": 1})["ok"]
        self._screen.sees({"manual:apple": 1}, settled=False)
        break_it()
        refused = self._patient("pay", self._wish(name))
        assert (refused["ok"], refused["code"]) == (False, "store_unavailable")
        assert self._screen.cart["status"] == "open"
        self._says_so_until(mend_it)

        order: dict[str, Any] = self._screen.ask("pay", self._wish(name))["order"]
        self._screen.becomes("awaiting_payment")
        break_it()
        assert self._confirm(order["id"]) == 503
        cancelled = self._patient("cancel", {"order_id": order["id"]})
        assert cancelled["code"] == "store_unavailable"
        assert self._screen.cart["status"] == "awaiting_payment"
        self._says_so_until(mend_it)

        assert self._confirm(order["id"]) == 303
        self._screen.becomes("paid")
        assert self._clerk.post("/clerk/counter", "/clerk").status_code == 303
        self._screen.becomes("open")
        return int(order["id"])

    def _wish(self, name: str) -> dict[str, Any]:
        version = self._screen.cart["version"]
        return {"cart_version": version, "method": "clerk", "idempotency_key": name}

    def _patient(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._screen.io.call(event, data, timeout=WITHIN_S)
        return answer

    def _confirm(self, order_id: int) -> int:
        # The page comes from the database too: the token of one that is open already.
        form = {"csrf_token": self._clerk.token("/login"), "method": "clerk"}
        return self._clerk.session.post(
            f"{self._clerk.url}/clerk/orders/{order_id}/confirm",
            form,
            allow_redirects=False,
            timeout=WITHIN_S,
        ).status_code

    def _says_so_until(self, mend_it: Act) -> None:
        screen = self._screen
        wait_until(lambda: screen.latest["problem"]["code"] == "store_unavailable", WITHIN_S)
        assert screen.latest["problem"]["message"].startswith("Sales cannot be saved now.")
        state = database_state(self._server)
        assert (state["ok"], state["reason"] != "") == (False, True)
        mend_it()
        wait_until(lambda: screen.latest["problem"]["code"] == "camera_down", WITHIN_S)
        assert database_state(self._server) == {"ok": True, "reason": ""}


@pytest.fixture
def sell_through(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Sell while a server's database breaks, in one way after the other; then look into it."""
    servers: list[Server] = []

    def sell(url: str, *ways: tuple[str, Callable[[Server], Act], Act]) -> None:
        servers.append(server_on(url, tmp_path))
        with Screen(servers[0].url) as screen, Visitor(servers[0].url) as clerk:
            assert clerk.sign_in("clara").status_code == 303
            till = Till(servers[0], screen, clerk)
            sold = {
                name: till.sell_through(name, break_(servers[0]), mend)
                for name, break_, mend in ways
            }
        holds(url, sold)

    yield sell
    for server in servers:
        assert server.stop() == 0, server.log
        assert "Traceback" not in server.log


def holds(url: str, sold: dict[str, int]) -> None:
    """Each order is there once, paid once, and the journal says how long nothing was saved."""
    database = Database(url)
    try:
        orders = SqlOrderStore(database)
        assert {name: orders.find_by_key(name).id for name in sold} == sold  # type: ignore[union-attr]
        assert [len(orders.payments(order_id)) for order_id in sold.values()] == [1] * len(sold)
        events = [record.event for record in Journal(database).records()]
        assert events.count("order_awaiting_payment") == events.count("order_paid") == len(sold)
        assert events.count("database_back") == 2 * len(sold)
        assert (Journal(database).verify(), audit_orders(database)) == (None, "")
    finally:
        database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the shop's file lies: on a small disk of its own, where this process may make one."""
    disk = tmp_path / "disk"
    (disk / "shop").mkdir(parents=True)
    if not may_mount():
        yield disk / "shop"
        return
    size = f"size={SMALL_DISK_MIB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "shop", str(disk)], check=True)
    try:
        (disk / "shop").mkdir()
        yield disk / "shop"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Take what is free, to the last byte."""
    with suppress(OSError), (disk / "photos").open("wb", buffering=0) as photos:
        for _ in range(SMALL_DISK_MIB * 2**20 // 512):
            photos.write(bytes(512))


class NoMore:
    """A server whose files may not grow: the nearest to a full disk that everybody may make."""

    def __init__(self, log: Path) -> None:
        self._log, self._worker = log, 0

    def of(self, server: Server) -> Act:
        def act() -> None:
            [worker] = psutil.Process(server.process.pid).children()
            self._worker = worker.pid
            size = self._log.stat().st_size
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))

        return act

    def end(self) -> None:
        resource.prlimit(self._worker, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


def test_sqlite_on_a_full_disk_and_gone_and_back(folder: Path, tmp_path: Path, sell_through):
    away, no_more = folder.with_name("away"), NoMore(folder / "checkout.sqlite3-wal")
    ways = [
        ("no more", no_more.of, no_more.end),
        ("gone", lambda _: lambda: folder.rename(away), lambda: away.rename(folder)),
    ]
    if may_mount():
        photos = folder.parent / "photos"
        ways.append(("full", lambda _: lambda: fill(folder.parent), photos.unlink))
    sell_through(f"sqlite:///{folder / 'checkout.sqlite3'}", *ways)


def test_postgresql_stopped_and_read_only_and_back(postgres: Postgres, sell_through):
    name = postgres.new_database()

    def only_reads(on: bool) -> None:
        postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {on}")
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    try:
        sell_through(
            postgres.url(name),
            ("stopped", lambda _: postgres.stop, postgres.start),
            ("read-only", lambda _: lambda: only_reads(True), lambda: only_reads(False)),
        )
    finally:
        postgres.start()
