"""Train a detector.

    python -m model.train --data DATA.yaml [--scenes FOLDER] [--epochs N] [--resume RUN]

Real pictures come from a data.yaml; with ``--scenes`` half of what the network sees is composed on
the fly from cut-outs and backgrounds. The trunk is frozen at first, so that a new head cannot spoil
its ImageNet features, and then fine-tuned more slowly than the head. On several GPUs or machines:
``torchrun --nproc-per-node N -m model.train …`` (several machines must share the runs' folder).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path

from model.cli import SettingsError, refusing
from model.trainer import Trainer
from model.training.options import add_options, changes_of, read_run, settings_of
from model.training.processes import Place, joined
from model.training.settings import TrainConfig, updated, write_settings

RUNS = Path("runs/train")
ENVIRONMENT = {  # read by the C libraries only at start
    # glibc gives large blocks back after every step; without these, the kernel pages them in anew
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_ARENA_MAX": "2",
    "THP_MEM_ALLOC_ENABLE": "1",
    # threads that wait in a loop for long would take the cores from those who prepare pictures,
    # threads that sleep at once wake up too late
    "GOMP_SPINCOUNT": "20000",
    # without it CUDA's matrix products may differ between two runs
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def parser() -> argparse.ArgumentParser:
    """The command line; a flag for every setting."""
    p = argparse.ArgumentParser(
        prog="python -m model.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(p)
    return p


def plan(args: argparse.Namespace) -> list[tuple[TrainConfig, Path]]:
    """The settings and folders of the runs, mostly one; with --resume the run to go on with."""
    if args.resume:
        if args.config or args.name:
            raise SettingsError("--resume has settings and a name: leave out --config and --name")
        return [(updated(read_run(args.resume), changes_of(args)), args.resume)]
    configs = settings_of(args)
    if not all(config.data for config in configs):
        raise SettingsError("--data DATA.yaml is needed (or --resume RUN)")
    folder = RUNS / (args.name or free_name())
    if len(configs) == 1:
        return [(configs[0], folder)]
    runs: list[tuple[TrainConfig, Path]] = []
    for number, config in enumerate(configs, 1):
        start = config.weights or str(best_weights(runs[-1][1]))
        runs.append((replace(config, weights=start), folder / f"step{number}"))
    return runs


def best_weights(folder: Path) -> Path:
    """Where a run keeps the weights of its best epoch."""
    return folder / "weights" / "best.safetensors"


def free_name() -> str:
    """The first run name that is not taken: run1, run2, …"""
    return next(name for n in count(1) if not (RUNS / (name := f"run{n}")).exists())


@contextmanager
def nobody_else(folder: Path) -> Iterator[None]:
    """Hold a run's folder; SettingsError when another training does: their files would mix."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"{folder}: another training runs there; choose a --name") from None
        yield


def train(config: TrainConfig, folder: Path, place: Place) -> None:
    """Train into a folder, going on where a run stopped there; the first process writes."""
    trainer = Trainer(config, folder, place)
    with nobody_else(folder) if place.first else nullcontext():
        trainer.load()
        if place.first:
            write_settings(folder / "args.yaml", trainer.config)
            print(trainer, flush=True)
        trainer.run()
    if place.first:
        weights = best_weights(folder)
        print(f"done: {weights} ({config.best} {trainer.best:.4f})")
        print(
            f"next: CHECKOUT_WEIGHTS={weights} make run, or copy it to weights/default.safetensors"
        )


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    runs = plan(parser().parse_args(argv))
    folder = runs[0][1]
    try:
        with joined(runs[0][0].device) as place:
            for config, folder in runs:
                train(config, folder, place)
    except KeyboardInterrupt:
        again = f"python -m model.train --resume {folder} goes on"
        if len(runs) > 1:
            again = f"the same command with --name {folder.parent.name} goes on"
        print(f"\nstopped: {again}", file=sys.stderr)
        raise SystemExit(130) from None


def restart_with_environment() -> None:
    """Start again with the settings above."""
    if sys.platform == "linux" and any(os.environ.get(k) != v for k, v in ENVIRONMENT.items()):
        os.environ.update(ENVIRONMENT)
        os.execv(sys.executable, [sys.executable, "-m", "model.train", *sys.argv[1:]])


if __name__ == "__main__":
    restart_with_environment()
    main()
