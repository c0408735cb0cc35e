"""What the commands share: one clear line and exit status 2 for a user's mistake."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from model.data.dataset import DataError
from model.weights import WeightsError


def existing_file(text: str) -> Path:
    """An argument that must name a file."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    return path


def existing_folder(text: str) -> Path:
    """An argument that must name a folder."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such folder")
    return path


def refusing(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors a user can cause into one line on stderr and exit status 2."""

    @wraps(command)
    def run(argv: list[str] | None = None) -> None:
        try:
            command(argv)
        except (DataError, WeightsError) as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except ImportError as error:
            print(f"error: {error}; run 'pip install -r requirements.txt'", file=sys.stderr)
            raise SystemExit(2) from None

    return run
