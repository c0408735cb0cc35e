"""What the commands share: one clear line and exit status 2 for a user's mistake."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from model.data.dataset import DataError
from model.loss import NonFiniteLoss
from model.weights import WeightsError


class SettingsError(Exception):
    """A setting that is unknown or out of range; the message names it and says what to do."""


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


def positive(text: str) -> int:
    """An argument that must be a whole number above 0."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: needs a whole number above 0")
    return number


def whole(text: str) -> int:
    """An argument that must be a whole number, 0 or above, such as a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: needs a whole number, 0 or above")
    return int(text)


def chance(text: str) -> float:
    """An argument that must lie in 0…1, both ends too."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: must lie in 0…1")
    return number


def share(text: str) -> float:
    """An argument that must lie between 0 and 1, such as a confidence."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must lie between 0 and 1")
    return number


def refusing(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors a user can cause into one line on stderr and exit status 2."""

    @wraps(command)
    def run(argv: list[str] | None = None) -> None:
        try:
            command(argv)
        except (DataError, SettingsError, WeightsError, NonFiniteLoss) as error:
            print(f"error: {_said(error)}", file=sys.stderr)
            raise SystemExit(2) from None
        except OSError as error:
            print(f"error: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
            raise SystemExit(2) from None
        except ImportError as error:
            print(f"error: {error}; run 'pip install -r requirements.txt'", file=sys.stderr)
            raise SystemExit(2) from None

    return run


def _said(error: Exception) -> str:
    """What an error says, in one line; a data loader's worker wraps its traceback around that."""
    lines = [line.strip() for line in str(error).strip().split("\n")]
    if any("Traceback (most recent call last)" in line for line in lines):
        return lines[-1].removeprefix(f"{DataError.__module__}.DataError: ")
    return " ".join(lines)
