"""Gives out receipts: on a screen whenever asked, on paper once by itself after each sale."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask
from flask_babel import force_locale
from flask_babel import gettext as _
from PIL import Image

from app.receipt_settings import ReceiptSettings
from app.shop.cart import CartSnapshot
from app.shop.checkout import Checkout
from app.shop.order import Order, OrderStatus
from app.store.notes import Notes
from app.store.orders import SqlOrderStore
from app.store.printer import PrinterState, PrintJob, ReceiptPrinter
from app.store.receipt_paper import ReceiptText, draw_picture, korean_fonts
from app.store.receipts import receipt_of
from app.web.language import speaking
from app.web.receipt_links import receipt_url
from app.web.receipt_text import receipt_text

log = logging.getLogger("checkout.receipts")


class ReceiptDesk:
    """The receipts of one lane, and its printer if it has one."""

    def __init__(
        self,
        settings: ReceiptSettings,
        orders: SqlOrderStore,
        notes: Notes,
        changed: Callable[[], None],
    ) -> None:
        """changed: called after each try to print, from the printer's thread."""
        self._settings, self._orders, self._notes, self._changed = settings, orders, notes, changed
        self._app: Flask | None = None
        self._printed_id: int | None = None
        self._printer = (
            ReceiptPrinter(settings.printer, settings.printer_dots, self._tried)
            if settings.printer
            else None
        )

    def init_app(self, app: Flask, checkout: Checkout) -> None:
        """Print the receipt of every sale from now on, in the language of this app's shop."""
        self._app = app
        checkout.subscribe(self._sold)

    def start(self) -> None:
        """Begin to print."""
        if self._printer:
            self._printer.start()

    def stop(self) -> None:
        """End the printer's thread."""
        if self._printer:
            self._printer.stop()

    def text(self, order_id: int, language: str) -> ReceiptText:
        """The receipt of a paid order, for a screen. Raises OrderNotFound, StoreUnavailable."""
        receipt = receipt_of(self._orders, order_id)
        url = receipt_url(order_id)
        return receipt_text(receipt, self._settings.business, language, url)

    def paper_text(self, order_id: int, language: str, copy: bool = False) -> ReceiptText:
        """The same in letters that can be drawn here: without a Korean font it is in English."""
        receipt, url = receipt_of(self._orders, order_id), receipt_url(order_id)
        business = self._settings.business
        if korean_fonts():
            return receipt_text(receipt, business, language, url, copy)
        with force_locale("en"):
            note = _("This computer has no Korean letters: names are in English.")
        return receipt_text(receipt, business, "en", url, copy, (note,))

    def printer_state(self) -> PrinterState | None:
        """How the printer is; None when there is none."""
        return self._printer.state() if self._printer else None

    def owed(self) -> int:
        """How many receipts should have been printed and were not."""
        state = self.printer_state()
        return len(state.unprinted) if state else 0

    def print_again(self, order_id: int, actor: str) -> None:
        """Print a copy for a clerk; without a printer nothing happens.

        Raises OrderNotFound, StoreUnavailable.
        """
        order = receipt_of(self._orders, order_id).order
        self._notes.note(actor, "receipt_copied", {"order": order.number})
        self._print(order, copy=True)

    def _sold(self, _cart: CartSnapshot, order: Order | None) -> None:
        if order is not None and order.status is OrderStatus.PAID and order.id != self._printed_id:
            self._printed_id = order.id
            self._print(order, copy=False)

    def _print(self, order: Order, copy: bool) -> None:
        if self._printer is not None:
            order_id = order.id or 0
            paint = self._painter(order_id, copy, self._printer.dots)
            self._printer.submit(PrintJob(order_id, order.number, paint, copy))

    def _painter(self, order_id: int, copy: bool, dots: int) -> Callable[[], Image.Image]:
        def paint() -> Image.Image:
            assert self._app is not None
            language = self._app.config["SHOP_LANGUAGE"]
            with speaking(self._app, language):
                return draw_picture(self.paper_text(order_id, language, copy), dots)

        return paint

    def _tried(self, job: PrintJob, printed: bool) -> None:
        if not printed:
            self._notes.note("printer", "receipt_not_printed", {"order": job.number})
        self._changed()
