"""The printer's thread, with a printer in the network that takes bytes, hangs, or is not there."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import usb.core
from PIL import Image

from app.soak.server import free_port
from app.store.printer import (
    MAX_WAITING,
    FilePrinter,
    NetworkPrinter,
    PrinterAddress,
    PrintJob,
    ReceiptPrinter,
    UsbPrinter,
)
from tests.store.paper import Printer, read_paper
from tests.web.server import wait_until

DOTS = 576


def picture(rows: int = 40, seed: int = 0) -> Image.Image:
    black = np.random.default_rng(seed).random((rows, DOTS)) < 0.3
    return Image.fromarray(~black)


def job(number: int, paint: Callable[[], Image.Image] = picture, copy: bool = False) -> PrintJob:
    return PrintJob(number, f"1-261122-{number:04d}", paint, copy)


class Tries:
    """What became of each try."""

    def __init__(self) -> None:
        self.list: list[tuple[int, bool]] = []

    def __call__(self, done: PrintJob, printed: bool) -> None:
        self.list.append((done.order_id, printed))


@pytest.fixture
def tries() -> Tries:
    return Tries()


@pytest.fixture
def running(tries: Tries) -> Iterator[Callable[..., ReceiptPrinter]]:
    """Makes printers that are started, and stopped at the end."""
    made: list[ReceiptPrinter] = []

    def make(address: PrinterAddress, within_s: float = 0.5, dots: int = DOTS) -> ReceiptPrinter:
        made.append(ReceiptPrinter(address, dots, tries, within_s))
        made[-1].start()
        return made[-1]

    yield make
    for printer in made:
        printer.stop()


Make = Callable[..., ReceiptPrinter]


@pytest.fixture
def paper() -> Iterator[Printer]:
    with Printer() as printer:
        yield printer


def test_what_the_printer_gets_is_the_picture_dot_by_dot_and_a_cut(
    paper: Printer, running: Make, tries: Tries
) -> None:
    long = picture(2500)  # more than one strip
    running(NetworkPrinter("127.0.0.1", paper.port), 10).submit(job(1, lambda: long))
    wait_until(lambda: paper.receipts)

    black, cuts = read_paper(paper.receipts[0])
    assert np.array_equal(black, ~np.asarray(long))
    assert cuts == 1
    wait_until(lambda: tries.list == [(1, True)])


def test_receipts_come_out_in_order_and_leave_nothing_to_say(
    paper: Printer, running: Make, tries: Tries
) -> None:
    printer = running(NetworkPrinter("127.0.0.1", paper.port), 10)
    for number in range(1, 4):
        printer.submit(job(number, lambda number=number: picture(seed=number)))  # type: ignore[misc]
    wait_until(lambda: len(tries.list) == 3)

    seeds = [~np.asarray(picture(seed=number)) for number in (1, 2, 3)]
    assert all(
        np.array_equal(read_paper(receipt)[0], black)
        for receipt, black in zip(paper.receipts, seeds, strict=True)
    )
    state = printer.state()
    assert (state.failing, state.slow, state.waiting, state.unprinted) == (False, False, 0, ())


def test_a_printer_that_is_off_is_told_and_the_next_receipt_is_tried_all_the_same(
    running: Make, tries: Tries
) -> None:
    printer = running(NetworkPrinter("127.0.0.1", free_port()))
    printer.submit(job(1))
    printer.submit(job(2))
    wait_until(lambda: tries.list == [(1, False), (2, False)])

    state = printer.state()
    assert state.failing
    assert [one.order_id for one in state.unprinted] == [1, 2]


def test_a_printer_that_hangs_is_given_up_in_time_though_it_took_the_connection(
    running: Make, tries: Tries
) -> None:
    with Printer(deaf=True) as deaf:
        printer = running(NetworkPrinter("127.0.0.1", deaf.port), 0.3)
        started_s = time.monotonic()
        printer.submit(job(1, lambda: picture(900)))
        assert time.monotonic() - started_s < 0.1  # whoever sells does not wait
        wait_until(lambda: tries.list == [(1, False)])

    assert time.monotonic() - started_s < 5
    assert printer.state().failing


def test_a_receipt_that_is_printed_later_is_no_longer_missed(
    paper: Printer, running: Make, tries: Tries
) -> None:
    def torn() -> Image.Image:
        raise OSError("no font")

    printer = running(NetworkPrinter("127.0.0.1", paper.port), 10)
    printer.submit(job(1, torn))
    wait_until(lambda: tries.list == [(1, False)])
    assert printer.state().failing

    printer.submit(job(1, copy=True))
    wait_until(lambda: tries.list == [(1, False), (1, True)])
    assert printer.state().unprinted == ()
    assert not printer.state().failing


def test_an_order_is_missed_once_however_often_it_was_tried(running: Make, tries: Tries) -> None:
    printer = running(NetworkPrinter("127.0.0.1", free_port()))
    for _ in range(3):
        printer.submit(job(7))
    wait_until(lambda: len(tries.list) == 3)

    assert [one.order_id for one in printer.state().unprinted] == [7]


def test_too_many_waiting_receipts_push_out_the_oldest_and_say_so(
    running: Make, tries: Tries, tmp_path: Path
) -> None:
    painting, go_on = threading.Event(), threading.Event()

    def slow() -> Image.Image:
        painting.set()
        go_on.wait(20)
        return picture()

    printer = running(FilePrinter(tmp_path / "paper"))
    printer.submit(job(1, slow))
    assert painting.wait(20)
    for number in range(2, MAX_WAITING + 4):
        printer.submit(job(number))
    state = printer.state()
    go_on.set()

    assert state.waiting == MAX_WAITING
    assert [one.order_id for one in state.unprinted] == [2, 3]
    assert tries.list[:2] == [(2, False), (3, False)]
    wait_until(lambda: printer.state().waiting == 0)


def test_one_receipt_that_takes_long_is_told(
    running: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.printer.SLOW_AFTER_S", 0.05)
    os.mkfifo(tmp_path / "stuck")  # a device that nobody reads: opening it takes for ever
    printer = running(FilePrinter(tmp_path / "stuck"))
    printer.submit(job(1))
    wait_until(lambda: printer.state().slow)

    assert not printer.state().failing
    reader = os.open(tmp_path / "stuck", os.O_RDONLY | os.O_NONBLOCK)
    wait_until(lambda: not printer.state().slow)
    os.close(reader)


def test_a_device_file_gets_the_same_bytes(running: Make, tmp_path: Path, tries: Tries) -> None:
    running(FilePrinter(tmp_path / "lp0")).submit(job(1))
    wait_until(lambda: tries.list == [(1, True)])

    black, cuts = read_paper((tmp_path / "lp0").read_bytes())
    assert np.array_equal(black, ~np.asarray(picture()))
    assert cuts == 1


def test_narrow_paper_gets_a_narrow_picture_and_no_cut_where_there_is_no_knife(
    running: Make, tmp_path: Path, tries: Tries
) -> None:
    narrow = Image.new("1", (384, 30), 0)
    running(FilePrinter(tmp_path / "lp0"), dots=384).submit(job(1, lambda: narrow))
    wait_until(lambda: tries.list == [(1, True)])

    black, cuts = read_paper((tmp_path / "lp0").read_bytes())
    assert (black.shape, bool(black.all()), cuts) == ((30, 384), True, 0)


class UsbDevice:
    """A USB printer as pyusb finds it."""

    class Backend:
        pass

    backend = Backend()

    def __init__(self) -> None:
        self.paper = b""
        self.timeouts_ms: set[float] = set()

    def set_configuration(self) -> None:
        pass

    def reset(self) -> None:
        pass

    def write(self, endpoint: int, data: bytes, timeout_ms: float) -> None:
        self.paper += data
        self.timeouts_ms.add(timeout_ms)


def test_a_usb_printer_is_found_by_its_numbers(
    running: Make, tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, asked = UsbDevice(), []

    def find(**numbers: Any) -> UsbDevice:
        asked.append(numbers)
        return device

    monkeypatch.setattr(usb.core, "find", find)
    monkeypatch.setattr("usb.util.dispose_resources", lambda device: None)
    running(UsbPrinter(0x04B8, 0x0E15), 2.5).submit(job(1))
    wait_until(lambda: tries.list == [(1, True)])

    assert asked == [{"idVendor": 0x04B8, "idProduct": 0x0E15}]
    assert np.array_equal(read_paper(device.paper)[0], ~np.asarray(picture()))
    assert device.timeouts_ms == {2500}


def test_a_usb_printer_that_is_not_plugged_in_is_told(running: Make, tries: Tries) -> None:
    printer = running(UsbPrinter(0x0001, 0x0001))
    printer.submit(job(1))
    wait_until(lambda: tries.list == [(1, False)])

    assert printer.state().failing


def test_a_printer_that_never_started_stops_without_waiting() -> None:
    started_s = time.monotonic()
    ReceiptPrinter(NetworkPrinter("127.0.0.1", 9100), DOTS).stop()

    assert time.monotonic() - started_s < 0.5
