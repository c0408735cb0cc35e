"""The real server in a folder of its own, started as a shop starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from prometheus_client.parser import text_string_to_metric_families

from app.errors import CheckoutError
from app.settings import ROOT

START_S = 60.0
STOP_S = 15.0
ANSWER_S = 2.0


class ServerError(CheckoutError):
    """The server does not run; the message holds the last line of its log."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server and its worker have and use: processor seconds so far, the rest now."""

    cpu_s: float
    memory_mib: float
    threads: int
    files: int


class Gunicorn:
    """One gunicorn with a database of its own, on a free port of this machine."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], module: str = "wsgi", cores: int = 0
    ) -> None:
        """Start nothing yet.

        folder: for database and log. settings: CHECKOUT_… variables; of this process's own none is
        passed on. cores: on how many of the processors it may run, 0: on all (Linux).
        """
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = folder / "log.txt"
        self.env = {name: value for name, value in os.environ.items() if "CHECKOUT" not in name}
        self.env |= {
            "CHECKOUT_DATABASE_URL": f"sqlite:///{folder / 'checkout.sqlite3'}",
            "CHECKOUT_SECRET_KEY": os.urandom(16).hex(),
            "CHECKOUT_PORT": str(self.port),
            "CHECKOUT_LANGUAGE": "en",
            **settings,
        }
        chosen = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores])) if cores else ""
        self._command = ["taskset", "--cpu-list", chosen] if cores else []
        self._command += [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"]
        self._command.append(f"{module}:app")

    def start(self) -> Self:
        """Start it and wait until it answers; raises ServerError when it does not within 60 s."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl+C is for whoever started it, who then stops it in order
            )
        try:
            self._await_answer()
        except BaseException:  # Ctrl+C too: nothing may be left running
            self.stop()
            raise
        return self

    def _await_answer(self) -> None:
        give_up_at = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None:
                raise ServerError(f"the server does not start: {self.last_line}")
            if time.monotonic() > give_up_at:
                raise ServerError(f"the server does not answer: {self.last_line}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it says that it lives."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=ANSWER_S):
                return True
        except OSError:  # it listens before it can answer
            return False

    def stop(self) -> int:
        """End it in order: its exit status; raises TimeoutExpired when it has to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self.log_file.read_text()

    @property
    def last_line(self) -> str:
        """The last line of its log; of a start that failed the one that says why."""
        lines = self.log.strip().splitlines() or ["its log is empty"]
        return next((line for line in lines if line.startswith("checkout: ")), lines[-1])

    def metrics(self) -> dict[str, float]:
        """The figures of /metrics by name, without "checkout_"; quantiles as "name 0.5"."""
        try:
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=START_S) as answer:
                families = list(text_string_to_metric_families(answer.read().decode()))
        except OSError as error:
            raise ServerError(f"the server is gone ({error}): {self.last_line}") from error
        return {
            " ".join([s.name.removeprefix("checkout_"), *s.labels.values()]): s.value
            for family in families
            for s in family.samples
            if s.labels.keys() <= {"quantile"}
        }

    def usage(self) -> Usage:
        """What the operating system says of it; raises ServerError when it is gone."""
        try:
            arbiter = psutil.Process(self.process.pid)
            family = [arbiter, *arbiter.children(recursive=True)]
            return Usage(
                cpu_s=sum(sum(p.cpu_times()[:2]) for p in family),
                memory_mib=sum(p.memory_info().rss for p in family) / 2**20,
                threads=sum(p.num_threads() for p in family),
                files=sum(p.num_fds() for p in family),
            )
        except psutil.Error as error:
            raise ServerError(f"the server is gone: {self.last_line}") from error


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
