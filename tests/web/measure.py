"""Measure the whole lane: the real server with the real detector, and one browser that looks.

    python -m tests.web.measure [--minutes 10] [--camera demo] [--runtime auto] [--json OUT]

Prints detections a second, capture to emit (p50, p95), the server's share of the CPU, its memory
from start to end, and the seconds from the start to the first picture with boxes. For Linux.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from tests.web.server import ROOT, Screen, Server, Visitor, wait_until


class RealServer(Server):
    """The server as `make run` starts it, but in a folder of its own."""

    def __init__(self, folder: Path, camera: str, runtime: str, weights: Path) -> None:
        super().__init__(folder, Path(camera), module="wsgi")
        self.env |= {
            "CHECKOUT_CAMERA": camera,
            "CHECKOUT_WEIGHTS": str(weights),
            "CHECKOUT_RUNTIME": runtime,
        }

    def figures(self) -> dict[str, float]:
        """The unlabelled figures of /metrics by name."""
        with Visitor(self.url) as visitor:
            rows = re.findall(r"^checkout_(\w+) (\S+)$", visitor.get("/metrics").text, re.M)
        return {name: float(value) for name, value in rows}

    def cpu_and_memory(self) -> tuple[float, float]:
        """Processor seconds and resident MiB of the server and its worker."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        cpu = sum(sum(p.cpu_times()[:2]) for p in family)
        return cpu, sum(p.memory_info().rss for p in family) / 2**20


class Looker(Screen):
    """A browser that notes when each picture came and how old it was."""

    def __init__(self, url: str) -> None:
        self.ages_ms: list[float] = []
        super().__init__(url, transports=["websocket"])

    def _hears(self, event):
        told = super()._hears(event)

        def hear(data):
            if event == "frame":
                # the monotonic clock is one for all processes of a Linux machine
                self.ages_ms.append((time.monotonic() - data["captured_at"]) * 1000)
            told(data)

        return hear


def measure(server: RealServer, minutes: float) -> dict[str, float]:
    """Run the lane with one browser and return what it did."""
    started = time.monotonic()
    server.start()
    with Looker(server.url) as screen:
        wait_until(lambda: screen.frames and screen.latest["lane"]["fps"] > 0, 60)
        first_s = time.monotonic() - started
        time.sleep(5)  # warm-up: caches, threads, the first connections
        before, (cpu_before, memory_before) = server.figures(), server.cpu_and_memory()
        screen.ages_ms.clear()
        began = time.monotonic()
        time.sleep(minutes * 60)
        spent = time.monotonic() - began
        after, (cpu_after, memory_after) = server.figures(), server.cpu_and_memory()
        ages = np.array(screen.ages_ms)
    done = {name: after[name] - before.get(name, 0) for name in after}
    return {
        "start_to_first_picture_s": first_s,
        "captured_per_s": done["frames_captured_total"] / spent,
        "detections_per_s": done["detections_total"] / spent,
        "dropped": done["frames_dropped_total"],
        "pictures_per_s": len(ages) / spent,
        "detect_mean_ms": done["detect_seconds_sum"] / done["detect_seconds_count"] * 1000,
        "capture_to_browser_p50_ms": float(np.percentile(ages, 50)),
        "capture_to_browser_p95_ms": float(np.percentile(ages, 95)),
        "capture_to_emit_mean_ms": done["capture_to_emit_seconds_sum"]
        / done["capture_to_emit_seconds_count"]
        * 1000,
        "cpu_cores": (cpu_after - cpu_before) / spent,
        "memory_start_mib": memory_before,
        "memory_end_mib": memory_after,
    }


def main() -> None:
    p = argparse.ArgumentParser(prog="python -m tests.web.measure", description=__doc__)
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--camera", default="demo", help="any source of CHECKOUT_CAMERA")
    p.add_argument("--runtime", default="auto", choices=("auto", "openvino", "torch"))
    p.add_argument("--weights", type=Path, default=ROOT / "weights" / "default.safetensors")
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = RealServer(Path(folder), args.camera, args.runtime, args.weights.absolute())
        try:
            figures = measure(server, args.minutes)
        finally:
            server.stop()
    for name, value in figures.items():
        print(f"{name:<28}{value:>10.2f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
