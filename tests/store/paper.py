"""A receipt printer in the network: takes bytes, and knows what stands on its paper."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

import numpy as np

RASTER, FEED, CUT, INIT = b"\x1dv0", b"\x1bd", b"\x1dV", b"\x1b@"


class Printer:
    """Listens on a free port; deaf: takes connections and reads nothing from them."""

    def __init__(self, deaf: bool = False) -> None:
        self.receipts: list[bytes] = []
        self.deaf, self._open = deaf, True
        self._held: list[socket.socket] = []
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, name="paper")

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Printer:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._open = False
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            pass
        self._thread.join()
        self.drop()
        self._socket.close()

    def drop(self) -> None:
        """Break off what was not read."""
        while self._held:
            self._held.pop().close()

    def _serve(self) -> None:
        while True:
            connection, _address = self._socket.accept()
            if not self._open:
                connection.close()
                return
            if self.deaf:
                self._held.append(connection)
                continue
            with connection:
                self.receipts.append(read_all(connection))


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def read_paper(data: bytes) -> tuple[np.ndarray, int]:
    """Decode ESC/POS: the picture (rows, dots), True where the paper is black, and the cuts.

    "GS v 0 m xL xH yL yH" draws, "ESC d n" feeds, "GS V 0" cuts (Epson's ESC/POS reference).
    Any other byte is an error: the test's printer knows no letters.
    """
    strips, cuts, at = [], 0, 0
    while at < len(data):
        if data.startswith(RASTER, at):
            row_bytes = int.from_bytes(data[at + 4 : at + 6], "little")
            rows = int.from_bytes(data[at + 6 : at + 8], "little")
            bits = np.frombuffer(data, np.uint8, row_bytes * rows, at + 8)
            strips.append(np.unpackbits(bits.reshape(rows, row_bytes), axis=1).astype(bool))
            at += 8 + row_bytes * rows
        elif data.startswith(FEED, at):
            at += 3
        elif data.startswith(CUT, at):
            cuts, at = cuts + 1, at + 3
        elif data.startswith(INIT, at):
            at += 2
        else:
            raise AssertionError(f"byte {at} is no command: {data[at : at + 8]!r}")
    return np.concatenate(strips), cuts
