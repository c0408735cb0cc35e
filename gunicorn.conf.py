"""How gunicorn serves the checkout: one process, threads, and a way out that takes all with it."""

import signal
import sys
import threading

from app.errors import SettingsError
from app.settings import Settings

try:
    settings = Settings.from_env()
except SettingsError as error:
    print(f"checkout: {error}", file=sys.stderr)
    sys.exit(2)

bind = [f"{settings.host}:{settings.port}"]
workers = 1  # cart and camera live in one process
worker_class = "gthread"
threads = 32  # a connected browser holds one
timeout = 60
graceful_timeout = 4
keepalive = 5
control_socket_disable = True


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
