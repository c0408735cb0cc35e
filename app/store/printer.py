"""The receipt printer: paints and sends in a thread of its own, so that no sale waits for paper.

It speaks ESC/POS and gets every receipt as a picture, because few printers know Korean letters.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from escpos.escpos import Escpos
    from PIL import Image

MAX_WAITING = 8  # paper that comes minutes later helps nobody
SLOW_AFTER_S = 5.0  # the clerk hears of a printer that is busy with one receipt for so long
SEND_WITHIN_S = 20.0
SEND_BUFFER_BYTES = 4096
STOP_WITHIN_S = 2.0
PROFILES = {576: "TM-T20II", 512: "TM-T88V", 384: "POS-5890"}  # python-escpos, by dots of width

log = logging.getLogger("checkout.printer")


@dataclass(frozen=True, slots=True)
class NetworkPrinter:
    """A printer in the network, on its raw port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UsbPrinter:
    """A USB printer by its two numbers; needs the system's libusb."""

    vendor: int
    product: int


@dataclass(frozen=True, slots=True)
class FilePrinter:
    """A device file such as /dev/usb/lp0; a plain file holds the last receipt."""

    path: Path


PrinterAddress = NetworkPrinter | UsbPrinter | FilePrinter


@dataclass(frozen=True, slots=True)
class PrintJob:
    """One receipt to print; paint: makes its picture, black on white, in the printer's thread."""

    order_id: int
    number: str
    paint: Callable[[], Image.Image]
    copy: bool = False


@dataclass(frozen=True, slots=True)
class PrinterState:
    """What the clerk should know: the last try failed, one takes long, these are not printed."""

    failing: bool = False
    slow: bool = False
    waiting: int = 0
    unprinted: tuple[PrintJob, ...] = ()


Done = Callable[[PrintJob, bool], None]


def tell_nobody(_job: PrintJob, _printed: bool) -> None:
    """Where nobody wants to hear of it."""


class ReceiptPrinter:
    """Prints one receipt after the other between ``start`` and ``stop``."""

    def __init__(
        self,
        address: PrinterAddress,
        dots: int,
        done: Done = tell_nobody,
        send_within_s: float = SEND_WITHIN_S,
    ) -> None:
        """dots: width of the paper, a key of ``PROFILES``. done: called
        with whether a receipt was printed: after each try in the printer's thread, and where one is
        given up. It must neither wait nor raise."""
        self._address, self.dots, self._done = address, dots, done
        self._send_within_s = send_within_s
        self._changed = threading.Condition()
        self._waiting: deque[PrintJob] = deque()
        self._unprinted: deque[PrintJob] = deque(maxlen=MAX_WAITING)
        self._busy_since_s: float | None = None
        self._failing = self._stopping = False
        self._thread: threading.Thread | None = None

    def submit(self, job: PrintJob) -> None:
        """Take a receipt, from any thread; returns at once and never raises.

        When too many wait, the oldest is given up and counts as not printed.
        """
        with self._changed:
            self._forget(job)
            self._waiting.append(job)
            given_up = self._waiting.popleft() if len(self._waiting) > MAX_WAITING else None
            if given_up:
                self._unprinted.append(given_up)
            self._changed.notify()
        if given_up:
            self._done(given_up, False)

    def state(self) -> PrinterState:
        """How it is now."""
        with self._changed:
            busy_since_s = self._busy_since_s
            slow = busy_since_s is not None and monotonic() - busy_since_s > SLOW_AFTER_S
            return PrinterState(self._failing, slow, len(self._waiting), tuple(self._unprinted))

    def start(self) -> None:
        """Begin to print."""
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the receipt that is being printed, if that is quick; others are given up."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        drivers()  # before anybody waits for it
        while (job := self._next()) is not None:
            try:
                send(job.paint(), self._address, self.dots, self._send_within_s)
                printed = True
                log.info("receipt_printed number=%s copy=%s", job.number, job.copy)
            except Exception as error:  # whatever is wrong with this one, the next is tried too
                printed = False
                log.exception("receipt_not_printed number=%s reason=%s", job.number, error)
            self._finish(job, printed)

    def _next(self) -> PrintJob | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if self._stopping:
                return None
            self._busy_since_s = monotonic()
            return self._waiting.popleft()

    def _finish(self, job: PrintJob, printed: bool) -> None:
        with self._changed:
            self._busy_since_s, self._failing = None, not printed
            if not printed:
                self._forget(job)
                self._unprinted.append(job)
        self._done(job, printed)

    def _forget(self, job: PrintJob) -> None:
        for known in [known for known in self._unprinted if known.order_id == job.order_id]:
            self._unprinted.remove(known)


def send(picture: Image.Image, address: PrinterAddress, dots: int, within_s: float) -> None:
    """Print a picture and cut the paper.

    within_s: how long connecting, and each part of the picture, may take; a device file may take
    for ever. Raises what the connection raises.
    """
    printer = connect(address, PROFILES[dots], within_s)
    try:
        printer.image(picture, impl="bitImageRaster")
        printer.cut()
    finally:
        printer.close()


def connect(address: PrinterAddress, profile: str, within_s: float) -> Escpos:
    """Open the printer's connection."""
    file, network, usb = drivers()
    match address:
        case FilePrinter(path):
            printer = file(str(path), profile=profile)
            printer.open()
        case NetworkPrinter(host, port):
            printer = network(host, port, profile=profile)
            # Its own open() knows no IPv6 and leaves the socket open when it fails.
            printer.device = socket.create_connection((host, port), within_s)
            # A printer that hangs must not look like one that prints: little may wait on our side.
            printer.device.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        case UsbPrinter(vendor, product):
            printer = usb(vendor, product, timeout=round(within_s * 1000), profile=profile)
            printer.open()
    return printer


def drivers() -> tuple[type[Escpos], type[Escpos], type[Escpos]]:
    """python-escpos, loaded only where there is a printer: it is slow and writes a file."""
    from escpos import capabilities
    from escpos.printer import File, Network, Usb

    cache = Path(capabilities.pickle_path)  # written on import, into a new folder that nobody reads
    cache.unlink(missing_ok=True)
    with suppress(OSError):
        cache.parent.rmdir()
    return File, Network, Usb
