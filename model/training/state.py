"""The state of a run on disk: all that is needed to go on bit for bit after a crash."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from model.cli import SettingsError

FILE = "state.pt"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state so that a crash at any moment leaves the old or the new one, never half."""
    partial = folder / f"{FILE}.partial"
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Read the state without running anything in it; None for a run that has none yet.

    Raises SettingsError for a file that is damaged or not a state.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0]
        raise SettingsError(
            f"{path}: not a readable state ({reason}); delete it to begin this run anew"
        ) from error


def folder_hash(folder: str) -> str:
    """SHA-256 over the names and sizes of a folder's files; "" for no folder."""
    if not folder:
        return ""
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
    return digest.hexdigest()


def random_state() -> dict[str, Any]:
    """Where torch's random numbers stand, on the CPU and on each card."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def set_random_state(state: dict[str, Any]) -> None:
    """Let torch's random numbers go on from there."""
    torch.set_rng_state(state["cpu"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
