"""A network camera: a real HTTP server that streams JPEGs, and can fail like real ones."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import cv2
import numpy as np

FPS = 25.0


class MjpegCamera:
    """Streams multipart/x-mixed-replace on 127.0.0.1 between ``with``'s begin and end.

    mode: "moving"; "frozen" sends one picture for ever; "silent" sends nothing more but stays
    connected. It may be changed while the stream runs.
    """

    def __init__(self, mode: str = "moving", port: int = 0) -> None:
        self.mode = mode
        self.connections = 0
        self.number = 0
        self.stopping = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.connections += 1
                camera.stream(self)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = False  # so that closing waits for them
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/video"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> MjpegCamera:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def stream(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        handler.end_headers()
        while not self.stopping.wait(1 / FPS):
            self.number += self.mode == "moving"
            if self.mode == "silent":
                continue
            head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
            data = jpeg(self.number)
            try:
                handler.wfile.write(head % len(data) + data + b"\r\n")
            except OSError:  # the viewer is gone
                return


def jpeg(number: int) -> bytes:
    image = np.full((120, 160, 3), 60, np.uint8)
    image[:, number * 7 % 160] = 255
    return cv2.imencode(".jpg", image)[1].tobytes()
