"""The door of /socket.io/: how many may be inside, and how a dead connection is thrown out.

A websocket holds one of the server's threads for as long as it is open. Engine.IO gives up on a
browser that no longer answers, but leaves its TCP connection, and with it the thread, to the
browser. Here the connection itself is shut, which frees both.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from engineio.exceptions import SocketIsClosedError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("checkout.sockets")
MAX_WAITING = 64  # packets queued for one browser; a reader that far behind is gone


class Gate:
    """WSGI middleware around everything; lets at most ``limit`` Socket.IO requests in at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._inside = 0
        self._closed = False
        self.sending = threading.RLock()  # held over packets that belong together
        self._raw: dict[str, socket.socket] = {}  # websockets by Engine.IO session id

    def install(self, wsgi: WSGIApplication, engine: Any) -> WSGIApplication:
        """Stand before ``wsgi`` and listen to the Engine.IO server's comings and goings."""
        self._next, self._engine = wsgi, engine
        engine.send_packet = self._one_at_a_time(engine.send_packet)
        listeners = {
            "connect": self._on_connect,
            "message": self._on_message,
            "disconnect": self._on_disconnect,
        }
        for event, listen in listeners.items():
            engine.on(event, listen(engine.handlers[event]))
        return self._pass

    def hang_up(self, engine_sid: str) -> None:
        """Shut the connection under a session, whatever its browser does."""
        with self._lock:
            raw = self._raw.pop(engine_sid, None)
        if raw is not None:
            with suppress(OSError):  # it was closed already
                raw.shutdown(socket.SHUT_RDWR)

    def drop_stalled(self) -> None:
        """Hang up on every browser that has let more than 64 packets pile up."""
        for sid, session in list(self._engine.sockets.items()):
            if session.queue.qsize() > MAX_WAITING:
                log.warning("browser_stalled waiting=%d", session.queue.qsize())
                self._throw_out(sid)

    def _throw_out(self, sid: str) -> None:
        session = self._engine.sockets.get(sid)
        if session is not None:
            session.close(wait=False, abort=True)
        self.hang_up(sid)

    def close(self, grace_s: float = 0.5) -> None:
        """Let nobody in any more, say goodbye to all inside, and shut who has not left in time."""
        with self._lock:
            self._closed = True
        for session in list(self._engine.sockets.values()):
            session.close(wait=False)
        deadline = time.monotonic() + grace_s
        while self._inside and time.monotonic() < deadline:
            time.sleep(0.01)
        for sid in list(self._raw):
            self.hang_up(sid)
        self._engine.shutdown()

    def _pass(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith("/socket.io/"):
            return self._next(environ, start)
        with self._lock:
            full = self._closed or self._inside >= self._limit
            self._inside += not full
        if full:
            start("503 Service Unavailable", [("Content-Type", "text/plain"), ("Retry-After", "5")])
            return [b"Too many connections: close another screen, then reload."]
        try:
            return self._serve(environ, start)
        finally:
            with self._lock:
                self._inside -= 1

    def _serve(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        # A picture is compressed already: deflating each again costs a tenth of a core.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        for sid in parse_qs(environ.get("QUERY_STRING", "")).get("sid", []):
            self._remember(sid, environ)
        try:
            return self._next(environ, start)
        except ValueError as error:  # bytes that are no packet; the library lets it through
            log.warning("bad_packet reason=%r", str(error)[:100])
            raise StopIteration from None  # how gunicorn is told that the connection is done

    def _remember(self, sid: str, environ: WSGIEnvironment) -> None:
        raw = environ.get("gunicorn.socket")
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket" and raw is not None:
            with self._lock:
                self._raw[sid] = raw

    def _one_at_a_time(self, send: Callable[..., None]) -> Callable[..., None]:
        def send_alone(sid: str, packet: object) -> None:
            with self.sending, suppress(SocketIsClosedError):  # it left a moment ago
                send(sid, packet)

        return send_alone

    def _on_connect(self, handle: Callable[..., Any]) -> Callable[..., Any]:
        def connected(sid: str, environ: WSGIEnvironment) -> Any:
            self._remember(sid, environ)
            return handle(sid, environ)

        return connected

    def _on_message(self, handle: Callable[..., Any]) -> Callable[..., Any]:
        def received(sid: str, data: object) -> Any:
            try:
                return handle(sid, data)
            except Exception as error:  # noqa: BLE001 - our handlers raise nothing: no such packet
                log.warning("bad_packet reason=%r", str(error)[:100])
                self._throw_out(sid)

        return received

    def _on_disconnect(self, handle: Callable[..., Any]) -> Callable[..., Any]:
        def disconnected(sid: str, reason: str) -> Any:
            answer = handle(sid, reason)
            if reason != self._engine.reason.SERVER_DISCONNECT:  # that one says goodbye first
                self.hang_up(sid)
            return answer

        return disconnected
