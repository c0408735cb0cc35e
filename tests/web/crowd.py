"""Customers and clerks who sell as fast as they can, and remember what they were told."""

from __future__ import annotations

import queue
import random
import re
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
import websocket
from socketio.exceptions import SocketIOError

from app.soak.browser import Client
from tests.web.server import Screen, Visitor, field

FRUIT = ("apple", "pear", "lemon", "melon", "grapes")
CANCELLED_SHARE = 0.1
PAUSE_S = 0.02  # between two looks of a clerk, and before a lost connection is tried again


class NoAnswer(Exception):
    """The connection broke before the answer came: it may have happened, or not."""


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody was told about one order."""

    number: str
    total_minor: int
    status: str


class Ledger:
    """What all of them were told; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.orders: dict[int, set[Told]] = {}
        self.keys: dict[str, int] = {}  # which order a wish to pay was told to have made
        self.refused: set[str] = set()  # wishes that were told to have made none
        self.taken: set[int] = set()  # orders that a clerk was told are paid

    def tell(self, order: dict[str, Any], key: str | None = None) -> None:
        with self._lock:
            told = Told(order["number"], order["total"], order["status"])
            self.orders.setdefault(order["id"], set()).add(told)
            if key is not None:
                assert self.keys.setdefault(key, order["id"]) == order["id"], "one wish, two orders"

    def refuse(self, key: str) -> None:
        with self._lock:
            self.refused.add(key)

    def take(self, order_id: int) -> None:
        with self._lock:
            self.taken.add(order_id)

    @property
    def paid(self) -> set[int]:
        """Orders that a customer or a clerk was told are paid."""
        with self._lock:
            return self.taken | self._with("paid")

    @property
    def cancelled(self) -> set[int]:
        with self._lock:
            return self._with("cancelled")

    def _with(self, status: str) -> set[int]:
        return {key for key, told in self.orders.items() if any(t.status == status for t in told)}


class Web(websocket.WebSocket):
    """A websocket that knows its TCP connection, which the library forgets when it is reset."""

    tcp: socket.socket | None = None

    def connect(self, url: str, **options: Any) -> None:
        super().connect(url, **options)
        self.tcp = self.sock


class LedgerScreen(Screen):
    """A screen that writes down each order it is told of, and may lose its server at any time."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self._ledger, self._webs = ledger, list[Web]()
        try:
            super().__init__(url, shows=False, transports=["websocket"])
        except SocketIOError:
            self._hang_up()
            raise

    def _client(self) -> Client:
        def make(**options: Any) -> Web:
            self._webs.append(Web(**options))
            return self._webs[-1]

        return Client(reconnection=False, websocket_extra_options={"class_": make})

    def close(self) -> None:
        super().close()
        self._hang_up()

    def _hang_up(self) -> None:
        for web in self._webs:
            if web.tcp is not None:
                web.tcp.close()

    def _hears(self, event: str) -> Callable[[Any], None]:
        told = super()._hears(event)

        def hear(data: Any) -> None:
            if event == "order" and data["id"] is not None:
                self._ledger.tell(data)
            told(data)

        return hear

    def ask(self, event: str, *data: object) -> dict[str, Any]:
        """The answer, or NoAnswer as soon as the connection is gone."""
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.io.emit(event, *data, callback=answers.put)
        while True:
            connected = self.io.connected
            try:
                return answers.get(timeout=0.05)
            except queue.Empty:
                if not connected:
                    raise NoAnswer from None


class Busy(threading.Thread, ABC):
    """Somebody who works until ``over``, and rests while ``open`` is not set."""

    def __init__(self, name: str, url: str, ledger: Ledger) -> None:
        super().__init__(name=name)
        self.url, self.ledger = url, ledger
        self.open, self.over, self.resting = threading.Event(), threading.Event(), threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                if not self.open.is_set():
                    self.resting.set()
                    self.open.wait(PAUSE_S)
                    continue
                self.resting.clear()
                self.work()
        except Exception as error:  # noqa: BLE001 - the test raises it again
            self.failure = error
            self.resting.set()
        finally:
            self.leave()

    @abstractmethod
    def work(self) -> None:
        """Go on until the shop closes or the connection breaks."""

    def leave(self) -> None:
        """Close what is still open."""

    @property
    def going(self) -> bool:
        return self.open.is_set() and not self.over.is_set()


class Customer(Busy):
    """Fills the basket by hand, pays, sometimes thinks better of it, and begins again.

    A wish to pay that got no answer is sent again with the same key, as a browser does.
    """

    def __init__(self, name: str, url: str, ledger: Ledger, seed: int) -> None:
        super().__init__(name, url, ledger)
        self._random, self._wishes = random.Random(f"{seed} {name}"), 0
        self._unanswered: dict[str, Any] | None = None
        self.pay_s: list[float] = []

    def work(self) -> None:
        try:
            with LedgerScreen(self.url, self.ledger) as screen:
                while self.going and screen.io.connected:
                    self._once(screen)
        except (SocketIOError, NoAnswer):
            self.over.wait(PAUSE_S)

    def _once(self, screen: LedgerScreen) -> None:
        if self._unanswered is not None:
            self._pay(screen, self._unanswered)
        elif screen.latest.get("cart", {}).get("status") == "open":
            self._buy(screen)
        else:
            try:
                screen.heard.get(timeout=PAUSE_S)
            except queue.Empty:
                return

    def _buy(self, screen: LedgerScreen) -> None:
        fruit = {"key": self._random.choice(FRUIT), "quantity": self._random.randint(1, 3)}
        basket = screen.ask("add_item", fruit)
        if not basket["ok"]:
            return
        self._wishes += 1
        wish = {"method": "clerk", "idempotency_key": f"{self.name} {self._wishes}"}
        self._pay(screen, {"cart_version": basket["version"], **wish})

    def _pay(self, screen: LedgerScreen, wish: dict[str, Any]) -> None:
        self._unanswered, key = wish, wish["idempotency_key"]
        answer = screen.ask("pay", wish)
        if answer.get("code") == "store_unavailable":
            self.over.wait(PAUSE_S)  # nobody knows: asked again with the same key
            return
        self._unanswered = None
        if not answer["ok"]:
            self.ledger.refuse(key)
            return
        self.ledger.tell(answer["order"], key)
        if self._random.random() < CANCELLED_SHARE:
            ended = screen.ask("cancel", {"order_id": answer["order"]["id"]})
            if ended["ok"]:
                self.ledger.tell(ended["order"])


class Clerk(Busy):
    """Takes the money for every order that waits, and says that the counter is empty."""

    def __init__(self, name: str, url: str, ledger: Ledger) -> None:
        super().__init__(name, url, ledger)
        self._browser = Visitor(url)

    def sign_in(self) -> None:
        assert self._browser.sign_in(self.name).status_code == 303

    def work(self) -> None:
        try:
            while self.going:
                self._look()
        except requests.RequestException:
            self.over.wait(PAUSE_S)

    def leave(self) -> None:
        self._browser.session.close()

    def _look(self) -> None:
        page = self._browser.get("/clerk?part=1").text
        waiting = re.findall(r"/clerk/orders/(\d+)/confirm", page)
        for order_id in waiting:
            path = f"/clerk/orders/{order_id}/confirm"
            if self._send(path, page, method="clerk").status_code == 303:
                self.ledger.take(int(order_id))
        if 'action="/clerk/counter"' in page or waiting:
            self._send("/clerk/counter", page)
        else:
            self.over.wait(PAUSE_S)

    def _send(self, path: str, page: str, **fields: str) -> requests.Response:
        form = {"csrf_token": field(page, "csrf_token"), **fields}
        return self._browser.session.post(self.url + path, form, allow_redirects=False, timeout=10)
