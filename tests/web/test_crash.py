"""The server is killed in the middle of its sales: nothing that anybody was told gets lost."""

from pathlib import Path

from tests.web.crash import Shop

KILLS = 2
SALES_BETWEEN = 8


def test_a_killed_server_has_lost_and_doubled_nothing(database_url: str, tmp_path: Path) -> None:
    with Shop(tmp_path, database_url, seed=1) as shop:
        for _ in range(KILLS):
            shop.sell(SALES_BETWEEN)
            shop.strike(within_s=0.3)
        shop.sell(SALES_BETWEEN)
        shop.rest()
        shop.examine()

    assert shop.tally.kills["server"] == KILLS
    assert shop.tally.told_paid >= SALES_BETWEEN * (KILLS + 1)
