"""Run the whole lane for long: the real server and browsers, and whether anything creeps.

    python -m app.soak [--minutes 120] [--browsers 2] [--camera demo] [--out DIR] [--json OUT]

Prints a table; writes soak.csv and soak.png. For Linux; needs requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from app.errors import CheckoutError
from app.settings import RUNTIMES, Settings

NEEDED = ("psutil", "requests", "websocket", "matplotlib")
MOST_BROWSERS = 24  # as many as one server lets in


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 when nothing creeps, 1 when something does, 2 and one line otherwise."""
    try:
        arguments = parse(argv)
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise ModuleNotFoundError(
                f"{', '.join(missing)} missing: run 'pip install -r requirements-dev.txt'"
            )
        return watch_lane(arguments)
    except (CheckoutError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:  # before there was anything to report
        raise SystemExit(130) from None


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    settings = Settings.from_env()
    p = argparse.ArgumentParser(
        prog="python -m app.soak",
        description="Run server and browsers for long; say what grows. Ctrl+C ends it early. "
        "Exit status: 0 nothing creeps, 1 something does, 2 it cannot run.",
    )
    p.add_argument("--minutes", type=above(0, float), default=120.0)
    p.add_argument("--browsers", type=above(0, int), default=2)
    p.add_argument("--camera", default="demo", help="any source of CHECKOUT_CAMERA (default: demo)")
    p.add_argument("--runtime", choices=RUNTIMES, default=settings.runtime)
    p.add_argument("--weights", type=Path, default=settings.weights)
    p.add_argument(
        "--image-size", type=above(0, int), default=settings.image_size, help="of the network"
    )
    p.add_argument("--cores", type=above(-1, int), default=0, help="of the server (default: all)")
    p.add_argument("--every", type=above(0, float), default=5.0, help="seconds a sample")
    p.add_argument("--out", type=Path, default=Path("runs/soak"), help="folder for CSV and plot")
    p.add_argument("--json", metavar="OUT", help="write the figures here too; -: only there")
    arguments = p.parse_args(argv)
    if arguments.browsers > MOST_BROWSERS:
        p.error(f"--browsers: at most {MOST_BROWSERS} are let in")
    if not arguments.weights.is_file():
        p.error(f"--weights: {arguments.weights}: no such file")
    if arguments.image_size and arguments.image_size % 32:
        p.error(f"--image-size: {arguments.image_size}: needs a multiple of 32")
    if arguments.json not in (None, "-") and not Path(arguments.json).parent.is_dir():
        p.error(f"--json: {arguments.json}: no such folder")
    return arguments


def above(least: int, kind: Callable[[str], float]) -> Callable[[str], float]:
    """An argument that must be a number above ``least``."""

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = least
        if not least < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text}: needs a number above {least}")
        return value

    return number


def watch_lane(arguments: argparse.Namespace) -> int:
    """Run, report, and say whether all is flat."""
    from app.soak.report import as_json, as_table, write_csv, write_plot
    from app.soak.run import soak
    from app.soak.server import Gunicorn
    from app.vision.sources import check_source

    check_source(arguments.camera)
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {
        "CHECKOUT_CAMERA": arguments.camera,
        "CHECKOUT_RUNTIME": arguments.runtime,
        "CHECKOUT_WEIGHTS": str(arguments.weights.absolute()),
    }
    if arguments.image_size:
        settings["CHECKOUT_IMAGE_SIZE"] = str(arguments.image_size)
    with tempfile.TemporaryDirectory() as folder:
        server = Gunicorn(Path(folder), settings, cores=arguments.cores)
        run = soak(server, arguments.browsers, arguments.minutes, arguments.every)
    write_csv(arguments.out / "soak.csv", run.samples)
    write_plot(arguments.out / "soak.png", run)
    if arguments.json == "-":
        print(as_json(run))
    else:
        print(as_table(run))
        if arguments.json:
            Path(arguments.json).write_text(as_json(run), encoding="utf-8")
    if run.failure:
        print(f"error: {run.failure}", file=sys.stderr)
    return int(run.failure is not None or any(trend.bad for trend in run.trends()))


def end_in_order() -> None:
    """Take what else ends a program like Ctrl+C: the server runs on when nobody stops it."""
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:  # as under nohup
            signal.signal(sign, signal.default_int_handler)


if __name__ == "__main__":
    end_in_order()
    sys.exit(main())
