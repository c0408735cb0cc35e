"""A browser as the server sees one: shows each picture, says so, and notes how old it was."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import engineio
import socketio
from socketio.exceptions import BadNamespaceError


class InOrder(engineio.Client):
    """Handles messages as they come; the library's own threads may swap a picture's two parts."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})


class Client(socketio.Client):
    """A Socket.IO client that keeps the order."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return InOrder


class Browser:
    """Connects as the customer's screen does, and again when the connection is lost."""

    def __init__(self, url: str) -> None:
        """Connect; raises socketio's ConnectionError when the server refuses."""
        self._ages_ms: list[float] = []
        self.connections = 0
        self._io = Client()
        self._io.on("connect", self._count)
        self._io.on("frame", self._show)
        self._io.connect(url, transports=["websocket"], wait_timeout=10)

    def close(self) -> None:
        """Disconnect, or stop trying to connect."""
        self._io.shutdown()
        self._io.eio.wait()

    def take_ages_ms(self) -> list[float]:
        """The age of each picture since the last call: from its capture to here, ms."""
        ages_ms, self._ages_ms = self._ages_ms, []
        return ages_ms

    def _count(self) -> None:
        self.connections += 1

    def _show(self, frame: dict[str, Any]) -> None:
        # the monotonic clock is one for all processes of a Linux machine
        self._ages_ms.append((time.monotonic() - frame["captured_at"]) * 1000)
        with suppress(BadNamespaceError):  # it is just being closed
            self._io.emit("frame_shown", {"seq": frame["seq"]})
