"""What a shop's server lives through: stalled browsers, floods, dead parts, being switched off."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import openpyxl
import psutil
import pytest
import requests
import websocket

from tests.web.server import ROOT, Screen, Server, Visitor, wait_until


class Raw:
    """A websocket that has said hello as Socket.IO does, and reads nothing by itself."""

    def __init__(self, server: Server) -> None:
        self.web = websocket.create_connection(
            f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket", timeout=10
        )
        self.tcp = self.web.sock
        assert self.web.recv().startswith("0")
        self.web.send("40")

    def close(self) -> None:
        self.web.close()
        self.tcp.close()  # which the library leaves open when the other side was first

    @property
    def closed(self) -> bool:
        try:
            return self.web.recv() == ""
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return True


def long_poll(server: Server) -> threading.Thread:
    """A polling browser that waits for news."""
    url = f"{server.url}/socket.io/?EIO=4&transport=polling"
    url += "&sid=" + json.loads(requests.get(url, timeout=5).text[1:])["sid"]

    def wait() -> None:
        requests.get(url, timeout=10)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def worker_of(server: Server) -> psutil.Process:
    return psutil.Process(server.process.pid).children()[0]


def figure(server: Server, name: str) -> float:
    text = requests.get(f"{server.url}/metrics", timeout=5).text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def frames_in(screen: Screen, seconds: float) -> int:
    before = screen.frames
    time.sleep(seconds)
    return screen.frames - before


def test_stalled_browsers_cost_nothing_and_slow_nobody(shop: Server) -> None:
    with Screen(shop.url, transports=["websocket"]) as screen:
        wait_until(lambda: screen.frames > 10)
        alone = frames_in(screen, 2.0)
        stalled = [Raw(shop) for _ in range(8)]
        try:
            wait_until(lambda: figure(shop, "checkout_browsers") == 9)
            wait_until(lambda: screen.frames > 30)
            memory = worker_of(shop).memory_info().rss
            for _ in range(30):  # the cart changes too, and they read none of it
                screen.ask("add_item", {"key": "pear", "quantity": 1})
            # Several tries: what else this machine does must not count.
            wait_until(lambda: frames_in(screen, 2.0) >= 0.8 * alone, 15)
            assert worker_of(shop).memory_info().rss - memory < 8 * 2**20
        finally:
            for raw in stalled:
                raw.close()


def test_a_browser_that_shows_nothing_gets_one_picture_only(shop: Server) -> None:
    with Screen(shop.url, shows=False) as idle, Screen(shop.url) as busy:
        wait_until(lambda: busy.frames > 20)

        assert idle.frames == 1


def test_an_answer_for_another_picture_gives_no_credit(shop: Server) -> None:
    with Screen(shop.url, shows=False) as idle:
        wait_until(lambda: idle.frames == 1)
        seq = idle.latest["frame"]["seq"]
        for wrong in (seq + 1, max(0, seq - 1), 10**9):
            assert idle.ask("frame_shown", {"seq": wrong}) == {"ok": True}
        time.sleep(0.3)
        assert idle.frames == 1

        idle.ask("frame_shown", {"seq": seq})
        wait_until(lambda: idle.frames == 2)


def test_a_browser_that_asks_too_often_is_told_to_wait(shop: Server) -> None:
    with Screen(shop.url, shows=False, transports=["websocket"]) as hasty:
        answers: list[str] = []
        for _ in range(1000):
            hasty.io.emit(
                "remove_line",
                {"id": "manual:pear"},
                callback=lambda answer: answers.append(answer["code"]),
            )
        wait_until(lambda: len(answers) == 1000)

    assert answers[0] == "line_not_found"
    assert "busy" in answers


def test_only_so_many_browsers_are_let_in(shop: Server) -> None:
    crowd: list[Raw] = []
    with suppress(websocket.WebSocketBadStatusException):
        for _ in range(30):
            crowd.append(Raw(shop))
    try:
        assert len(crowd) == 24
        assert requests.get(f"{shop.url}/healthz", timeout=5).ok
        assert requests.get(shop.url, timeout=5).ok
    finally:
        for raw in crowd:
            raw.close()
    wait_until(lambda: figure(shop, "checkout_browsers") == 0)


@pytest.mark.parametrize(
    "garbage",
    ["", "9", "x", "4", "42", "42[", '42{"a":1}', '42["no_such_event"]', "451-[]", "4" + "9" * 100],
)
def test_garbage_harms_nobody(shop: Server, garbage: str) -> None:
    before = shop.log.count("Traceback")
    raw = Raw(shop)
    with suppress(OSError, websocket.WebSocketException):
        raw.web.send(garbage)
        raw.web.send(garbage.encode(), websocket.ABNF.OPCODE_BINARY)
    time.sleep(0.05)
    raw.close()

    with Screen(shop.url) as screen:
        wait_until(lambda: screen.frames > 0)
    assert shop.log.count("Traceback") == before


def test_an_oversized_message_closes_the_connection(shop: Server) -> None:
    raw = Raw(shop)
    raw.web.send('42["add_item",{"key":"' + "a" * 20_000 + '"}]')
    wait_until(lambda: raw.closed)
    raw.close()


def test_too_many_wrong_passwords_are_too_many(own_server: Server) -> None:
    own_server.add_user("clara")
    own_server.start()
    with Visitor(own_server.url) as visitor:
        statuses = [
            visitor.post("/login", "/login", name="clara", password=f"wrong {n}").status_code
            for n in range(11)
        ]
        right = visitor.sign_in("clara")

    assert statuses == [401] * 10 + [429]
    assert right.status_code == 429


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_switching_off_takes_everything_with_it(own_server: Server, stop: signal.Signals) -> None:
    own_server.start()
    with Screen(own_server.url, transports=["websocket"]) as screen:
        stalled = Raw(own_server)
        poller = long_poll(own_server)
        wait_until(lambda: screen.frames > 3)
        family = [psutil.Process(own_server.process.pid), worker_of(own_server)]

        began = time.monotonic()
        own_server.process.send_signal(stop)
        status = own_server.process.wait(10)
        took_s = time.monotonic() - began

        wait_until(lambda: not screen.io.connected)
        stalled.close()
        poller.join()

    assert status == 0, own_server.log
    assert took_s < 5.0, own_server.log
    assert not any(process.is_running() for process in family)
    assert "stopped" in own_server.log
    assert "\nTraceback" not in own_server.log


def test_a_server_without_weights_serves_by_hand(own_server: Server, tmp_path: Path) -> None:
    own_server.env["CHECKOUT_WEIGHTS"] = str(tmp_path / "missing.safetensors")
    own_server.start()

    ready = requests.get(f"{own_server.url}/readyz", timeout=5)
    assert ready.status_code == 503
    assert ready.json()["parts"]["detector"]["ok"] is False
    assert "missing.safetensors" in ready.json()["parts"]["detector"]["reason"]
    with Screen(own_server.url) as screen:
        wait_until(lambda: screen.latest.get("problem", {}).get("code") == "detector_down")
        assert screen.ask("add_item", {"key": "apple", "quantity": 2})["ok"]
        wait_until(lambda: screen.quantities() == {"manual:apple": 2})
        assert screen.pay("by-hand-1")["ok"]


def test_a_detector_that_fails_closes_the_automatic_way_until_it_works(shop: Server) -> None:
    with Screen(shop.url) as screen:
        shop.lay("apple")
        screen.sees({"camera:apple": 1})

        shop.lay("broken")
        wait_until(lambda: screen.latest["problem"]["code"] == "detector_down")
        assert screen.quantities() == {"camera:apple": 1}
        assert screen.pay("broken-1")["code"] == "camera_down"
        ready = requests.get(f"{shop.url}/readyz", timeout=5)
        assert (ready.status_code, ready.json()["parts"]["detector"]["ok"]) == (503, False)

        shop.lay("apple")
        wait_until(lambda: screen.latest["problem"]["code"] is None)
        screen.sees({"camera:apple": 1})


def test_a_price_sheet_that_breaks_is_named_and_the_last_prices_stay(
    own_server: Server, tmp_path: Path
) -> None:
    sheet = tmp_path / "prices.xlsx"
    sheet.write_bytes((ROOT / "prices.xlsx").read_bytes())
    own_server.env["CHECKOUT_PRICES"] = str(sheet)
    own_server.add_user("otto", "owner")
    own_server.start()

    book = openpyxl.load_workbook(sheet)
    column = [cell.value for cell in book.active[1]].index("price") + 1
    cell = book.active.cell(2, column, -5).coordinate
    book.save(sheet)
    book.close()

    def reason() -> str:
        parts = requests.get(f"{own_server.url}/readyz", timeout=5).json()["parts"]
        return str(parts["prices"]["reason"])

    wait_until(lambda: reason().startswith(f"{cell}: "), 2.0)
    with Screen(own_server.url) as screen, Visitor(own_server.url) as owner:
        assert screen.ask("add_item", {"key": "apple", "quantity": 1})["ok"]
        owner.sign_in("otto")
        assert f"</strong> {cell}: " in owner.get("/owner").text
    assert "Traceback" not in own_server.log


def test_without_a_price_sheet_nothing_is_sold(own_server: Server, tmp_path: Path) -> None:
    own_server.env["CHECKOUT_PRICES"] = str(tmp_path / "none.xlsx")
    own_server.start()

    ready = requests.get(f"{own_server.url}/readyz", timeout=5).json()
    assert ready["parts"]["prices"]["ok"] is False
    with Screen(own_server.url) as screen:
        wait_until(lambda: screen.latest.get("problem", {}).get("code") == "prices_missing")
        assert screen.ask("add_item", {"key": "apple", "quantity": 1})["code"] == "unknown_item"


def test_a_database_that_fails_stops_sales_and_says_so(own_server: Server) -> None:
    own_server.add_user("clara")
    own_server.start()
    with Screen(own_server.url) as screen, Visitor(own_server.url) as clerk:
        clerk.sign_in("clara")
        own_server.lay("apple")
        screen.sees({"camera:apple": 1})
        path = own_server.env["CHECKOUT_DATABASE_URL"].removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE orders RENAME TO lost")

        assert screen.pay("lost-1")["code"] == "store_unavailable"
        assert screen.cart["status"] == "open"
        ready = requests.get(f"{own_server.url}/readyz", timeout=5)
        page = clerk.get("/clerk")

    assert (ready.status_code, ready.json()["parts"]["database"]["ok"]) == (503, False)
    assert page.status_code == 503
    assert "Sales cannot be saved now." in page.text
    assert "Traceback" not in own_server.log


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("CHECKOUT_PORT", "eighty", 2),
        ("CHECKOUT_LANGUAGE", "fr", 2),
        ("CHECKOUT_CAMERA", "/no/such/film.mp4", 3),
        ("CHECKOUT_DATABASE_URL", "sqlite:////proc/no/such/folder/db", 3),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    own_server: Server, name: str, value: str, status: int
) -> None:
    own_server.env[name] = value
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"],
        cwd=ROOT,
        env=own_server.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == status, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("checkout: ")]) == 1
    assert "Traceback" not in done.stderr
