"""The state of a run on disk: all that is needed to go on bit for bit after a crash."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from model.cli import SettingsError
from model.training.meter import Meter
from model.training.records import Row
from model.training.schedule import Patience

FILE = "state.pt"
SCENE_PARTS = "cutouts", "cutouts_bonus", "backgrounds"
SCENE_FILES = "manifest.csv", "sizes_cm.yaml"
MAY_CHANGE = {"epochs", "patience", "workers", "save_minutes", "device"}  # when a run goes on


@dataclass
class Progress:
    """How far a run is: whole epochs, batches of the running one, steps of the optimizer so far.

    patience: the best score and how long ago it was. meter: sums of the running epoch. rows: one
    for each epoch that is done.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    patience: Patience = field(default_factory=Patience)
    meter: Meter = field(default_factory=Meter)
    rows: list[Row] = field(default_factory=list)

    def next_epoch(self, row: Row) -> None:
        """Close the running epoch with its row."""
        self.rows.append(row)
        self.epoch, self.batch, self.meter = self.epoch + 1, 0, Meter()

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Progress:
        """Progress again from what ``asdict`` made of it."""
        patience, meter = Patience(**raw["patience"]), Meter(**raw["meter"])
        return cls(**(raw | {"patience": patience, "meter": meter}))


@dataclass(frozen=True)
class Identity:
    """What makes a run this run: settings, pictures and scenes, processes, where it began.

    start: numbers that the network began with and does not learn, such as its anchors. names: of
    its classes, in order.
    """

    settings: dict[str, Any]
    data_hash: str
    processes: int
    start: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def check(self, folder: Path, begun: Identity) -> None:
        """SettingsError when a run that began otherwise cannot go on like this."""
        differs = [
            name
            for name, value in begun.settings.items()
            if name not in MAY_CHANGE and self.settings.get(name) != value
        ]
        if differs:
            raise SettingsError(
                f"{folder}: began with another {', '.join(differs)}; start a new run for that"
            )
        if self.data_hash != begun.data_hash:
            raise SettingsError(f"{folder}: the data has changed since; start a new run")
        if begun.names and self.names != begun.names:
            raise SettingsError(
                f"{folder}: its classes were {', '.join(begun.names)}; start a new run for others"
            )
        if begun.start and self.start != begun.start:
            raise SettingsError(
                f"{folder}: the file of its weights or anchors has changed since; start a new run"
            )
        if self.processes != begun.processes:
            raise SettingsError(
                f"{folder}: began with {begun.processes} processes, not {self.processes}"
            )


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
    """SHA-256 over names and sizes of what scenes are made of in a folder; "" for no folder."""
    if not folder:
        return ""
    digest = hashlib.sha256()
    inside = (path for part in SCENE_PARTS for path in (Path(folder) / part).rglob("*"))
    files = (Path(folder) / name for name in SCENE_FILES)
    for path in sorted(p for p in (*inside, *files) if p.is_file()):
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
