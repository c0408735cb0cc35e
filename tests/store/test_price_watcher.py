import logging
import os
import threading
import time
from pathlib import Path

import pytest

from app.shop.catalog import Catalog
from app.store.prices_xlsx import PriceWatcher
from tests.store.sheets import APPLE, PEAR, apple_with, save


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.xlsx"


@pytest.fixture
def got() -> list[Catalog]:
    return []


@pytest.fixture
def watcher(path, got):
    watcher = PriceWatcher(path, got.append, interval_s=0.02)
    yield watcher
    watcher.stop()


def wait_until(holds, timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.01)


def test_a_good_sheet_is_in_force_when_start_returns(path, got, watcher):
    save(path, APPLE)
    watcher.start()
    assert got == [watcher.catalog]
    assert (watcher.problem, watcher.catalog.version) == (None, 1)
    assert watcher.catalog.get("apple").price_minor == 1500


def test_a_saved_change_is_live_within_two_seconds(path, got):
    watcher = PriceWatcher(save(path, APPLE), got.append)  # at its usual pace
    watcher.start()
    save(path, apple_with("price", 1700))
    wait_until(lambda: watcher.catalog.version == 2, timeout_s=2)
    watcher.stop()
    assert [catalog.get("apple").price_minor for catalog in got] == [1500, 1700]


def test_a_sheet_that_did_not_change_is_not_read_again(path, got, watcher):
    save(path, APPLE)
    for _ in range(3):
        watcher.check()
    assert len(got) == 1


def test_a_sheet_that_was_locked_is_read_when_it_is_free(path, got, watcher, monkeypatch, caplog):
    save(path, APPLE)
    with monkeypatch.context() as locked:
        locked.setattr(Path, "read_bytes", lambda _: unreadable())
        watcher.check()
        watcher.check()
        assert "cannot be read" in str(watcher.problem)
        assert len(caplog.records) == 1  # once, not with every look
    watcher.check()
    assert (len(got), watcher.problem) == (1, None)


def unreadable() -> None:
    raise PermissionError(13, "Permission denied")


def test_a_sheet_that_nobody_foresaw_is_a_problem_too(path, got, watcher, monkeypatch):
    save(path, APPLE)
    watcher.check()
    save(path, apple_with("price", 1700))
    with monkeypatch.context() as broken:
        broken.setattr("app.store.prices_xlsx.read_price_sheet", lambda _: 1 // 0)
        watcher.check()
    assert "the log says why" in str(watcher.problem)
    assert [catalog.get("apple").price_minor for catalog in got] == [1500]


def test_a_file_put_in_its_place_is_seen_even_with_the_same_time_and_size(path, got, watcher):
    save(path, APPLE)
    watcher.check()
    before = path.stat()
    other = save(path.with_name("new.xlsx"), APPLE)
    other.write_bytes(other.read_bytes().ljust(before.st_size, b"\0")[: before.st_size])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    watcher.check()
    assert len(got) == 2


def test_starting_with_a_bad_sheet_sells_nothing_and_says_why(path, got, watcher):
    save(path, apple_with("price", -1))
    watcher.start()
    assert got == []
    assert watcher.catalog.sellable() == []
    assert watcher.problem.cell == "D2"
    save(path, APPLE)
    wait_until(lambda: watcher.problem is None)
    assert watcher.catalog.get("apple") is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: save(path, apple_with("price", "3,500")),
        lambda path: path.write_bytes(path.read_bytes()[:900]),
        lambda path: path.unlink(),
    ],
)
def test_a_bad_sheet_leaves_the_last_good_prices_until_a_good_one_comes(path, got, watcher, spoil):
    save(path, APPLE)
    watcher.check()
    good = watcher.catalog
    spoil(path)
    watcher.check()
    assert watcher.problem is not None
    assert watcher.catalog is good
    assert got == [good]
    save(path, APPLE, PEAR)
    watcher.check()
    assert watcher.problem is None
    assert len(got[-1].items) == 2


def test_a_problem_is_logged_once_per_save_in_one_line(path, watcher, caplog):
    caplog.set_level(logging.INFO, "checkout.prices")
    save(path, apple_with("price", -1))
    for _ in range(3):
        watcher.check()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("checkout.prices", "WARNING")
    assert "D2: " in record.message
    assert "\n" not in record.message


def test_excel_s_lock_file_is_no_price_sheet(path, got, watcher):
    save(path, APPLE)
    path.with_name("~$prices.xlsx").write_bytes(b"\x05owner" + b" " * 159)
    watcher.check()
    watcher.check()
    assert (len(got), watcher.problem) == (1, None)


def test_the_watcher_goes_on_when_the_receiver_fails(path, caplog):
    got = []

    def receive(catalog: Catalog) -> None:
        got.append(catalog)
        if catalog.version == 2:
            raise RuntimeError("the receiver failed")

    watcher = PriceWatcher(save(path, APPLE), receive, interval_s=0.02)
    watcher.start()
    save(path, apple_with("price", 1600))
    wait_until(lambda: len(got) == 2)
    save(path, apple_with("price", 1700))
    wait_until(lambda: len(got) == 3)
    watcher.stop()
    assert "the receiver failed" in caplog.text


def test_stopping_leaves_no_thread_behind(path, watcher):
    before = threading.active_count()
    watcher.start()
    watcher.start()
    assert threading.active_count() == before + 1
    watcher.stop()
    assert threading.active_count() == before


def test_stopping_a_watcher_that_never_started_is_nothing(path):
    PriceWatcher(path, print).stop()
