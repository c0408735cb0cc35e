from app.shop.catalog import Catalog
from tests.shop.fakes import APPLE, CATALOG, LEMON, PEAR


def test_an_active_item_is_for_sale():
    assert CATALOG.get("apple") is APPLE
    assert CATALOG.sellable() == [APPLE, PEAR]


def test_an_inactive_item_is_known_but_not_for_sale():
    assert CATALOG.get("lemon") is None
    assert CATALOG.known("lemon") is LEMON


def test_an_empty_catalog_sells_nothing():
    assert Catalog().get("apple") is None
    assert Catalog().sellable() == []


def test_lines_follow_the_sheet_and_strangers_come_last():
    keys = ["zebra", "lemon", "apple", "banana", "pear"]
    assert sorted(keys, key=CATALOG.position) == ["apple", "pear", "lemon", "banana", "zebra"]


def test_names_are_korean_for_ko_and_english_otherwise():
    assert (APPLE.name("ko"), APPLE.name("en"), APPLE.name("fr")) == ("사과", "Apple", "Apple")
