"""Sellers that are killed at any moment leave whole sales, and all of those they told of."""

from tests.store.crash import kill_sellers

SELLERS = 30


def test_killed_sellers_have_lost_and_doubled_nothing(database_url):
    kill_sellers(database_url, SELLERS, seed=1)
