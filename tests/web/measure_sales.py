"""Measure sales that are on the disk when they are told: how many a second, and how soon.

    python -m tests.web.measure_sales [--database sqlite|postgresql] [--seconds 20] [--sales 200]

First the real server: one customer pays over Socket.IO, one clerk confirms over HTTP, from the wish
to the answer. Then the store alone: each order is created, paid and released, three transactions,
by one till; on PostgreSQL also by several at once. Prints the machine's own state too: what a flush
to this disk takes, and how busy the processors were. For Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.postgres import Postgres
from tests.store.selling import sell
from tests.web.crash import Shop
from tests.web.server import Screen, Visitor

TILLS = {"sqlite": (1,), "postgresql": (1, 4)}
FLUSHES = 100

Figures = dict[str, float]


def flush_ms(folder: Path) -> float:
    """The median time to write 4 KiB and have them on the disk."""
    took = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return float(np.median(took) * 1000)


def sales_per_s(url: str, tills: int, seconds: float) -> float:
    """How many orders a second are created, paid and released by so many tills at once."""
    counts, until = [0] * tills, time.monotonic() + seconds

    def run(till: int) -> None:
        database = Database(url)
        orders = SqlOrderStore(database)
        while time.monotonic() < until:
            order = sell(orders, f"{tills} tills, {till}: {counts[till]}", lane=str(till))
            orders.release(order.id or 0)
            counts[till] += 1
        database.close()

    began = time.monotonic()
    with ThreadPoolExecutor(tills) as pool:
        list(pool.map(run, range(tills)))
    return sum(counts) / (time.monotonic() - began)


def end_to_end(shop: Shop, sales: int) -> Figures:
    """Sell one by one: ms from the wish to pay, and from the clerk's word, to the answer."""
    pay_s, confirm_s, url = [], [], shop.server.url
    with Screen(url, transports=["websocket"]) as screen, Visitor(url) as clerk:
        assert clerk.sign_in(shop.clerk_names[0]).status_code == 303
        token = clerk.token("/clerk")
        for n in range(sales):
            version = screen.ask("add_item", {"key": "apple", "quantity": 1})["version"]
            wish = {"cart_version": version, "method": "clerk", "idempotency_key": f"wish {n}"}
            began = time.perf_counter()
            order = screen.ask("pay", wish)["order"]
            pay_s.append(time.perf_counter() - began)
            for path in (f"/clerk/orders/{order['id']}/confirm", "/clerk/counter"):
                form = {"csrf_token": token, "method": "clerk"}
                began = time.perf_counter()
                done = clerk.session.post(url + path, form, allow_redirects=False, timeout=10)
                if "confirm" in path:
                    confirm_s.append(time.perf_counter() - began)
                assert done.status_code == 303
    figures = {}
    for name, took_s in (("pay", pay_s), ("confirm", confirm_s)):
        for percent in (50, 95, 99):
            figures[f"{name}_p{percent}_ms"] = float(np.percentile(took_s, percent) * 1000)
    return figures


def measure(url: str, folder: Path, seconds: float, sales: int) -> Figures:
    figures = {"flush_p50_ms": flush_ms(folder), "cores": float(os.cpu_count() or 0)}
    with Shop(folder, url, seed=1) as shop:
        figures |= end_to_end(shop, sales)
    for tills in TILLS[url.partition(":")[0]]:
        figures[f"sales_per_s_{tills}_till"] = sales_per_s(url, tills, seconds)
    return figures | {"load_1_min": os.getloadavg()[0]}


def main() -> None:
    p = argparse.ArgumentParser(prog="python -m tests.web.measure_sales", description=__doc__)
    p.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    p.add_argument("--seconds", type=float, default=20, help="of selling, for each kind of shop")
    p.add_argument("--sales", type=int, default=200, help="over the real server")
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder / 'checkout.sqlite3'}"
        if args.database == "postgresql":
            postgres = Postgres()
            stack.callback(postgres.remove)
            url = postgres.start().url(postgres.new_database())
        figures = measure(url, folder, args.seconds, args.sales)
    for name, value in figures.items():
        print(f"{name:<24}{value:>10.2f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
