"""Start sellers one after the other and kill each in the middle of its sales.

    python -m tests.store.crash_nursery DATABASE_URL SELLERS SEED

Prints the idempotency key of every sale whose store said so before the seller died. A seller is a
fork: it starts in a moment, and hundreds of kills hit every step of a transaction.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.selling import sell

LONGEST_S = 0.1


def sell_for_ever(orders: SqlOrderStore, name: str, tell: int) -> None:
    n = 0
    while True:
        n += 1
        key = f"{name}-{n}"
        order = sell(orders, key)
        os.write(tell, f"{key}\n".encode())
        orders.release(order.id or 0)


def told_by(orders: SqlOrderStore, name: str, for_s: float) -> str:
    """Let a seller sell, kill it so long after its first sale, and return what it told of."""
    hear, tell = os.pipe()
    seller = os.fork()
    if seller == 0:
        sell_for_ever(orders, name, tell)
    os.close(tell)
    with os.fdopen(hear) as told:
        first = told.readline()
        time.sleep(for_s)
        os.kill(seller, signal.SIGKILL)
        os.waitpid(seller, 0)
        return first + told.read()


def main(url: str, sellers: int, seed: int) -> None:
    chance, database = random.Random(seed), Database(url)
    orders = SqlOrderStore(database)
    sell(orders, "the first")  # all that is made once is made before the forks
    database.close()
    for number in range(sellers):
        sys.stdout.write(told_by(orders, str(number), chance.uniform(0, LONGEST_S)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
