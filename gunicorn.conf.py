"""How gunicorn serves the checkout: one process, threads, and a way out that takes all with it."""

import ctypes
import signal
import sys
import threading

from gunicorn.glogging import Logger

from app.errors import SettingsError
from app.settings import Settings
from app.web.logs import OneLine

try:
    settings = Settings.from_env()
except SettingsError as error:
    print(f"checkout: {error}", file=sys.stderr)
    sys.exit(2)


class OneLineLogger(Logger):
    """Gunicorn's own events, in the same form as ours."""

    def setup(self, cfg):
        """Write errors as one line each."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(OneLine())


host = f"[{settings.host}]" if ":" in settings.host else settings.host
bind = [f"{host}:{settings.port}"]
logger_class = OneLineLogger
workers = 1  # cart and camera live in one process
worker_class = "gthread"
threads = 32  # a connected browser holds one
timeout = 60
graceful_timeout = 4
keepalive = 5
control_socket_disable = True

M_ARENA_MAX = -8  # as glibc's malloc.h numbers it


def post_fork(server, worker):  # noqa: ARG001 - gunicorn's form
    """Let all threads share two heaps; where they come and go, as codecs' do, more only swell."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc only
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)


def post_worker_init(worker):
    """On SIGTERM close the websockets too: each holds a thread that gunicorn would wait for."""

    def handle_exit(number, frame):
        threading.Thread(target=stop_parts, args=(worker,), name="stop").start()
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, handle_exit)


def worker_int(worker):
    """On SIGINT or SIGQUIT gunicorn leaves at once; stop what runs first."""
    stop_parts(worker)


def stop_parts(worker):
    """Stop camera, detector, prices and browsers; only the first call does anything."""
    if STOPPING.acquire(blocking=False):
        worker.wsgi.extensions["checkout_parts"].stop()


STOPPING = threading.Lock()
