"""One line per event on stderr: time, level, who, then ``event key=value …``."""

from __future__ import annotations

import logging
import sys
import threading
from datetime import UTC, datetime

log = logging.getLogger("checkout.threads")


class OneLine(logging.Formatter):
    """Writes a record, with its traceback if there is one, as a single line."""

    def format(self, record: logging.LogRecord) -> str:
        """``2026-01-31T12:00:00.000Z INFO checkout.shop order_paid id=1``."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = f"{at.replace('+00:00', 'Z')} {record.levelname} {record.name} {record.getMessage()}"
        if record.exc_info:
            line += f" trace={self.formatException(record.exc_info)!r}"
        return line.replace("\r", "\\r").replace("\n", "\\n")


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send everything from ``level`` up to stderr; chatty libraries from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("alembic", "checkout.engineio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    threading.excepthook = log_thread_death


def log_thread_death(death: threading.ExceptHookArgs) -> None:
    """One line for a thread that dies of an exception; a browser that goes away is none."""
    name = death.thread.name if death.thread else ""
    if isinstance(death.exc_value, OSError) and name.endswith("(writer)"):
        log.info("browser_gone error=%r", str(death.exc_value))
    elif death.exc_value is not None:
        trace = (death.exc_type, death.exc_value, death.exc_traceback)
        log.error("thread_died name=%r", name, exc_info=trace)
