"""Kill the shop's server, and its database, again and again in the middle of thousands of sales.

    python -m tests.web.crash_soak [--database sqlite|postgresql] [--sellers 300] [--minutes 5]

First processes that only sell are killed, many a second, on a database of their own. Then real
clients pay over Socket.IO and real clerks confirm over HTTP, while the server is killed: after each
kill the database is compared with what people were told, and the restarted screens with what was
left unfinished. On PostgreSQL every third blow hits the database server instead. Ends with an error
at the first sale that is lost, doubled or changed; else prints what was counted. For Linux.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from app.store.database import Database
from tests.postgres import Postgres
from tests.store.crash import kill_sellers
from tests.web.crash import Shop, Tally

SALES_BETWEEN = 60
WITHIN_S = 1.0


def soak(shop: Shop, minutes: float, postgres: Postgres | None) -> Tally:
    """Sell and strike until the time is over, then let everybody finish and look once more."""
    until = time.monotonic() + minutes * 60
    with tqdm(total=round(minutes * 60), unit="s") as bar:
        while (left_s := until - time.monotonic()) > 0:
            bar.update(round(minutes * 60 - left_s) - bar.n)
            bar.set_postfix(sold=len(shop.ledger.paid), kills=shop.tally.kills.total())
            shop.sell(SALES_BETWEEN)
            if postgres is not None and shop.tally.kills.total() % 3 == 2:
                shop.strike_database(postgres, WITHIN_S)
            else:
                shop.strike(WITHIN_S)
    shop.sell(SALES_BETWEEN)
    shop.rest()
    shop.examine()
    return shop.tally


def main() -> None:
    p = argparse.ArgumentParser(prog="python -m tests.web.crash_soak", description=__doc__)
    p.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    p.add_argument("--sellers", type=int, default=300)
    p.add_argument("--minutes", type=float, default=5)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = None
        if args.database == "postgresql":
            postgres = Postgres()
            stack.callback(postgres.remove)
            postgres.start()
        found = kill_sellers(new_url(folder, postgres), args.sellers, args.seed)
        print(f"{args.sellers} sellers killed: {found}")
        shop = stack.enter_context(Shop(folder, new_url(folder, postgres), args.seed))
        tally = soak(shop, args.minutes, postgres)
    for name, kills in sorted(tally.kills.items()):
        print(f"{name + ' killed':<28}{kills:>8}")
    for name in ("orders", "paid", "told_paid", "untold"):
        print(f"{name:<28}{getattr(tally, name):>8}")
    for status, count in sorted(tally.unfinished.items()):
        print(f"{'left ' + status:<28}{count:>8}")
    print("nothing lost, doubled or changed")


def new_url(folder: Path, postgres: Postgres | None) -> str:
    """The address of an empty database with its tables."""
    file = folder / f"{secrets.token_hex(4)}.sqlite3"
    url = postgres.url(postgres.new_database()) if postgres else f"sqlite:///{file}"
    database = Database(url)
    database.migrate()
    database.close()
    return url


if __name__ == "__main__":
    main()
