"""Runs the real gunicorn and talks to it as browsers do."""

import json
import queue
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests
from flask.testing import FlaskClient
from socketio.exceptions import BadNamespaceError

from app.soak.browser import Client
from app.soak.server import Gunicorn
from tests.web.scene import PLACES, SIZE

ROOT = Path(__file__).parents[2]
CUTOUTS = ROOT / "tests" / "data" / "cutouts"
PASSWORD = "correct horse battery"
SECRET_KEY = "a key that only the tests know"
FPS = 15
WIDTH, HEIGHT = 960, 540


def wait_until(true: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Ask until the answer is true; AssertionError when it does not become so in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = true()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {true}")


def film_counter(path: Path, seconds: float = 2.0, thing_after_s: float | None = None) -> None:
    """A counter with real fruit in its eight places, and a strip that moves with every frame.

    The strip is so faint that it is taken for no hand, which would keep the scene unsettled.
    thing_after_s: from then on something purple lies on the last place.
    """
    still = np.full((HEIGHT, WIDTH, 3), (214, 222, 226), np.uint8)
    names = ["apple_1", "orange_1", "pear_1", "lemon_1", "grapes_1", "melon_1", "apple_2", "pear_2"]
    for name, (x, y) in zip(names, PLACES, strict=True):
        paste(still, CUTOUTS / f"{name}.png", round(x * WIDTH), round(y * HEIGHT))
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    frames = round(seconds * FPS)
    for number in range(frames):
        frame = still.copy()
        frame[HEIGHT - 15 :, : WIDTH * (number + 1) // frames] = (204, 212, 216)
        if thing_after_s is not None and number > thing_after_s * FPS:
            middle = round(WIDTH * (PLACES[-1][0] + 0.1)), round(HEIGHT * (PLACES[-1][1] + 0.2))
            cv2.circle(frame, middle, HEIGHT // 8, (140, 40, 120), cv2.FILLED)
        film.write(frame)
    film.release()


def paste(picture: np.ndarray, cutout: Path, left: int, top: int) -> None:
    fruit = cv2.imread(str(cutout), cv2.IMREAD_UNCHANGED)
    assert fruit is not None, cutout
    room_width, room_height = round(SIZE[0] * WIDTH), round(SIZE[1] * HEIGHT)
    scale = min(room_width / fruit.shape[1], room_height / fruit.shape[0])
    fruit = cv2.resize(fruit, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = fruit.shape[:2]
    part = picture[top : top + height, left : left + width]
    alpha = fruit[:, :, 3:].astype(np.float32) / 255
    part[:] = (fruit[:, :, :3] * alpha + part * (1 - alpha)).astype(np.uint8)


class Server(Gunicorn):
    """One gunicorn in a folder of its own, that sees what a test lays on its counter."""

    def __init__(self, folder: Path, film: Path, module: str = "tests.web.serve") -> None:
        self.scene_file = folder / "scene.json"
        settings = {
            "CHECKOUT_CAMERA": str(film),
            "CHECKOUT_WEIGHTS": str(self.scene_file),
            "CHECKOUT_PRICES": str(ROOT / "prices.xlsx"),
            "CHECKOUT_SECRET_KEY": SECRET_KEY,
            "CHECKOUT_PAYMENTS": "clerk",
        }
        super().__init__(folder, settings, module)
        self.lay()

    def lay(self, *keys: str) -> None:
        """Put fruit on the counter, one per place; no keys: an empty counter."""
        draft = self.scene_file.with_suffix(".draft")
        draft.write_text(json.dumps(keys))
        draft.replace(self.scene_file)

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", *arguments],
            cwd=ROOT,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def add_user(self, name: str, role: str = "clerk") -> None:
        done = self.command(
            "users", "add", name, "--role", role, "--password-stdin", stdin=PASSWORD
        )
        assert done.returncode == 0, done.stderr


class Visitor:
    """A plain browser without JavaScript: cookies, forms and their tokens."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def get(self, path: str = "/", **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=10, **options)

    def token(self, path: str = "/") -> str:
        return field(self.get(path).text, "csrf_token")

    def post(self, path: str, form_on: str = "/", **fields: object) -> requests.Response:
        """Send a form of the page ``form_on``, without following the redirect."""
        data = {"csrf_token": self.token(form_on), **fields}
        return self.session.post(self.url + path, data, allow_redirects=False, timeout=10)

    def sign_in(self, name: str) -> requests.Response:
        return self.post("/login", "/login", name=name, password=PASSWORD)


def field(html: str, name: str) -> str:
    """The value of the first field with this name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no field {name}"
    return found[1]


class Screen:
    """A Socket.IO client that shows every picture it gets, and remembers what it was told."""

    events = ("frame", "cart", "lane", "order", "problem")

    def __init__(self, url: str, language: str = "en", shows: bool = True, **options: Any) -> None:
        self.latest: dict[str, Any] = {}
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.frames = 0
        self._shows = shows
        self.io = self._client()
        for event in self.events:
            self.io.on(event, self._hears(event))
        self.io.connect(f"{url}?lang={language}", wait_timeout=10, **options)

    def _client(self) -> Client:
        return Client(reconnection=False)

    def _hears(self, event: str) -> Callable[[Any], None]:
        def hear(data: Any) -> None:
            self.latest[event] = data
            if event == "frame":
                self.frames += 1
                if self._shows:
                    with suppress(BadNamespaceError):  # it is just being closed
                        self.io.emit("frame_shown", {"seq": data["seq"]})
            else:
                self.heard.put((event, data))

        return hear

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.io.connected:
            self.io.disconnect()
            self.io.eio.wait()

    def ask(self, event: str, *data: object) -> dict[str, Any]:
        answer = self.io.call(event, data if len(data) != 1 else data[0], timeout=10)
        assert isinstance(answer, dict)
        return answer

    @property
    def cart(self) -> dict[str, Any]:
        cart: dict[str, Any] = self.latest["cart"]
        return cart

    def quantities(self) -> dict[str, int]:
        return {
            line["id"]: line["quantity"] for line in self.latest.get("cart", {}).get("lines", [])
        }

    def sees(self, expected: dict[str, int], settled: bool = True) -> None:
        """Wait until the basket is as expected and, unless told otherwise, at rest."""
        try:
            wait_until(
                lambda: self.quantities() == expected and self.latest["lane"]["settled"] is settled
            )
        except AssertionError:
            raise AssertionError(f"{self.quantities()} {self.latest.get('lane')}") from None

    def becomes(self, status: str) -> None:
        wait_until(lambda: self.cart["status"] == status)

    def pay(self, key: str, version: int | None = None) -> dict[str, Any]:
        seen = self.cart["version"] if version is None else version
        return self.ask("pay", {"cart_version": seen, "method": "clerk", "idempotency_key": key})


def by_key(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {line["key"]: line for line in lines}


def signed_in(browser: FlaskClient, name: str) -> FlaskClient:
    """Sign a browser in that is in this process."""
    assert browser.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303
    return browser
