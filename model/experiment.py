"""Repeat an experiment: one change at a time, over seeds, as a table.

    python -m model.experiment STUDY… --data DATA.yaml [--scenes FOLDER] [--config SMALL.yaml]

A study is a YAML file (or the name of one in model/studies): the settings that all its variants
share, and the variants with what each changes. The same settings are never trained twice: a run is
found again by its settings, one that was stopped goes on, and what is there is only put into the
table. ``--config`` lays other settings under all variants, as for a short version.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from model.cli import existing_file, existing_folder, refusing
from model.data.dataset import DataError
from model.training.settings import TrainConfig, read_settings, updated, write_settings

STUDIES = Path(__file__).with_name("studies")
COLUMNS = {"map50": "mAP50", "map": "mAP50:95", "cacc": "cAcc"}
PER_CENT = 100


@dataclass(frozen=True)
class Study:
    """What is asked, the settings all variants share, each variant's changes, and the seeds.

    The first variant is what the others are compared with.
    """

    name: str
    question: str
    base: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """The scores of a variant's finished runs, a list a column, and runs that broke off."""

    scores: Mapping[str, Sequence[float]]
    failed: int = 0


def read_study(text: str) -> Study:
    """Read a study by its path or its shipped name; DataError says what is wrong with it."""
    shipped = STUDIES / f"{text}.yaml"
    path = shipped if shipped.is_file() else Path(text)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in STUDIES.glob("*.yaml")))
        raise DataError(f"{text}: no such study; there are {known}, or name a file")
    raw = read_settings(path)
    unknown = set(raw) - {"question", "base", "variants", "seeds"}
    if unknown or not isinstance(raw.get("variants"), dict) or not raw["variants"]:
        raise DataError(f"{path}: needs 'variants' (name: changes), may have question, base, seeds")
    base, seeds = raw.get("base") or {}, raw.get("seeds", [0, 1])
    parts = [base, *(change or {} for change in raw["variants"].values())]
    if not all(isinstance(part, dict) for part in parts):
        raise DataError(f"{path}: 'base' and each of the 'variants' must be settings: values")
    if not (isinstance(seeds, list) and seeds and all(isinstance(s, int) for s in seeds)):
        raise DataError(f"{path}: 'seeds' must be a list of whole numbers, got {seeds!r}")
    changes = {str(name): change or {} for name, change in raw["variants"].items()}
    return Study(path.stem, str(raw.get("question", "")), base, changes, tuple(seeds))


def variant_config(study: Study, variant: str, seed: int, shared: Mapping[str, Any]) -> TrainConfig:
    """The settings of one run: defaults, the study's base, what is shared, the variant's change."""
    config = TrainConfig()
    for layer in (study.base, shared, study.variants[variant], {"seed": seed}):
        config = updated(config, layer)
    return config


def run_folder(out: Path, config: TrainConfig) -> Path:
    """Where a run with these settings lies, whatever study it belongs to."""
    text = json.dumps(asdict(config), sort_keys=True)
    return out / "runs" / hashlib.sha256(text.encode()).hexdigest()[:12]


def final_scores(folder: Path) -> dict[str, float] | None:
    """The scores on val of a finished run's best weights; None for a run that is not finished."""
    path = folder / "metrics.json"
    if not path.exists():
        return None
    measured = json.loads(path.read_text(encoding="utf-8"))
    return {column: float(measured[column]) for column in COLUMNS}


def train(folder: Path, config: TrainConfig) -> bool:
    """Train or go on in a process of its own; whether it came to its end."""
    settings = folder / "args.yaml"
    where = ["--resume", str(folder)]
    if not (folder / "state.pt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_settings(settings, config)
        where = ["--config", str(settings), "--name", str(folder.resolve())]
    return (
        subprocess.run([sys.executable, "-m", "model.train", *where], check=False).returncode == 0
    )


def run_study(
    study: Study, shared: Mapping[str, Any], out: Path, training: bool = True
) -> dict[str, Outcome]:
    """Every variant's outcome; what is missing of a study is trained first, if that is wanted."""
    jobs = [(variant, seed) for variant in study.variants for seed in study.seeds]
    configs = {job: variant_config(study, *job, shared) for job in jobs}  # wrong ones fail first
    outcomes = {name: Outcome({column: [] for column in COLUMNS}) for name in study.variants}
    for number, ((variant, seed), config) in enumerate(configs.items(), 1):
        folder, before = run_folder(out, config), outcomes[variant]
        scores = final_scores(folder)
        if scores is None and training:
            print(f"{study.name} {number}/{len(jobs)}: {variant}, seed {seed}", flush=True)
            if not train(folder, config):
                outcomes[variant] = Outcome(before.scores, before.failed + 1)
                continue
            scores = final_scores(folder)
        if scores is not None:
            more = {column: [*before.scores[column], scores[column]] for column in COLUMNS}
            outcomes[variant] = Outcome(more, before.failed)
    return outcomes


def as_markdown(study: Study, outcomes: Mapping[str, Outcome]) -> str:
    """The table: mean ± sample deviation over the seeds, in per cent; ± only from two runs on."""
    lines = [
        f"### {study.question or study.name}",
        "",
        "| | " + " | ".join(COLUMNS.values()) + " | runs |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for variant, outcome in outcomes.items():
        cells = [_cell(outcome.scores[column]) for column in COLUMNS]
        runs = str(len(outcome.scores["map"])) + (
            f", {outcome.failed} failed" if outcome.failed else ""
        )
        lines.append(f"| {variant} | " + " | ".join(cells) + f" | {runs} |")
    return "\n".join(lines) + "\n"


def _cell(scores: Sequence[float]) -> str:
    if not scores:
        return "–"
    values = np.array(scores) * PER_CENT
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def plot(study: Study, outcomes: Mapping[str, Outcome], out: Path) -> None:
    """A dot for every run, a row for every variant, and the first variant's mean as a line."""
    figure = Figure(figsize=(8, 1 + 0.45 * len(outcomes)), layout="constrained")
    axis = figure.subplots()
    names = list(outcomes)
    for row, name in enumerate(names):
        scores = np.array(outcomes[name].scores["map50"]) * PER_CENT
        axis.plot(scores, np.full(len(scores), row), "o", color="tab:blue", alpha=0.8)
    if len(first := outcomes[names[0]].scores["map50"]):
        axis.axvline(float(np.mean(first)) * PER_CENT, color="grey", linewidth=1)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(title=study.question or study.name, xlabel="mAP50, %; a dot a run")
    axis.grid(axis="x", alpha=0.3)
    figure.savefig(out, dpi=110)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.experiment", description=__doc__.split("\n")[0]
    )
    p.add_argument("studies", nargs="+", metavar="STUDY", help="a YAML file or a shipped name")
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml")
    p.add_argument("--scenes", type=existing_folder, help="folder to compose scenes from")
    p.add_argument("--config", type=existing_file, help="settings to lay under all variants")
    p.add_argument("--seeds", type=int, nargs="+", help="instead of the study's own")
    p.add_argument(
        "--table", action="store_true", help="train nothing, write the tables of what is there"
    )
    p.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="default runs/experiments"
    )
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    shared = read_settings(args.config) if args.config else {}
    shared |= {"data": str(args.data)} | ({"scenes": str(args.scenes)} if args.scenes else {})
    studies = [read_study(text) for text in args.studies]
    for study in studies:
        if args.seeds:
            study = Study(**(vars(study) | {"seeds": tuple(args.seeds)}))
        outcomes = run_study(study, shared, args.out, not args.table)
        table = as_markdown(study, outcomes)
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / f"{study.name}.md").write_text(table, encoding="utf-8")
        plot(study, outcomes, args.out / f"{study.name}.png")
        print(table)


if __name__ == "__main__":
    main()
