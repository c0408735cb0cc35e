from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.payment_settings import PaymentSettings
from app.settings import Settings
from app.store.payments.portone import PortOneSettings
from app.web.account import limiter
from app.web.parts import Parts
from tests.shop.fakes import CATALOG
from tests.store.portone_server import API_SECRET, STORE_ID, WEBHOOK_SECRET, PortOneServer
from tests.web.paying import new_shop
from tests.web.server import PASSWORD, Screen, Server, film_counter, signed_in, wait_until


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "counter.avi"
    film_counter(path)
    return path


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Server]:
    """One server for all tests that leave it as they found it."""
    server = Server(tmp_path_factory.mktemp("shop"), film)
    server.add_user("clara", "clerk")
    server.add_user("otto", "owner")
    server.start()
    yield server
    assert server.stop() == 0, server.log


@pytest.fixture(scope="session")
def paying(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Server]:
    """A shop that offers cash, card and codes, for all tests that leave it as they found it."""
    server = new_shop(tmp_path_factory.mktemp("paying"), film)
    yield server
    assert server.stop() == 0, server.log


@pytest.fixture
def shop(running: Server) -> Iterator[Server]:
    """The running server with an empty counter, and no trace of the test afterwards."""
    yield running
    running.lay()
    with Screen(running.url) as screen:
        wait_until(lambda: {"cart", "lane", "order"} <= screen.latest.keys())
        if screen.cart["status"] == "awaiting_payment":
            screen.ask("cancel", {"order_id": screen.latest["order"]["id"]})
        screen.becomes("open")
        wait_until(lambda: not any(line.startswith("camera") for line in screen.quantities()))
        for line in screen.quantities():
            screen.ask("remove_line", {"id": line})
        screen.sees({})


@pytest.fixture
def screen(shop: Server) -> Iterator[Screen]:
    with Screen(shop.url, transports=["websocket"]) as screen:
        wait_until(lambda: len(screen.latest) == len(Screen.events))
        yield screen


@pytest.fixture
def own_server(tmp_path: Path, film: Path) -> Iterator[Server]:
    """A server for one test, not started yet."""
    server = Server(tmp_path, film)
    yield server
    if hasattr(server, "process") and server.process.poll() is None:
        server.stop()


# The app in this process, where a test may let its parts fail


@pytest.fixture
def gateway() -> Iterator[PortOneServer]:
    server = PortOneServer()
    yield server
    server.stop()


@pytest.fixture
def settings(tmp_path: Path, gateway: PortOneServer) -> Settings:
    portone = PortOneSettings(STORE_ID, "channel", API_SECRET, WEBHOOK_SECRET, gateway.url)
    return Settings(
        camera="demo",
        secret_key="k" * 16,
        database_url=f"sqlite:///{tmp_path / 'checkout.sqlite3'}",
        payments=PaymentSettings(offered=("cash", "card", "portone"), portone=portone),
        instance=tmp_path,
        language="en",
    )


@pytest.fixture
def parts(settings: Settings) -> Iterator[Parts]:
    parts = Parts(settings, load=no_detector)
    parts.checkout.replace_catalog(CATALOG)
    yield parts
    parts.notes.stop()
    parts.database.close()


def no_detector(*_: object, **__: object) -> None:
    raise RuntimeError("not needed")


@pytest.fixture
def browser(settings: Settings, parts: Parts) -> FlaskClient:
    app = create_app(settings, parts)
    app.config["WTF_CSRF_ENABLED"] = False
    limiter.cache_clear()  # no test counts another's wrong passwords
    for name in ("kim", "lee"):
        parts.users.add(name, PASSWORD, "clerk")
    return signed_in(app.test_client(), "kim")
