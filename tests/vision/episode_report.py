"""How right and how calm baskets are when the real detector watches episodes.

``python -m tests.vision.episode_report`` films random episodes, puts them through what
``app.replay`` does and prints the table of docs/settle.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.settings import Settings
from app.vision.annotate import annotate, encode_jpeg
from model.cli import existing_file, existing_folder, positive, refusing
from model.data.dataset import DataError
from model.detector import Detector, load_detector
from tests.vision.episode_film import watched
from tests.vision.episode_pictures import draw_timeline, draw_worst
from tests.vision.episode_score import Score, percentile, score
from tests.vision.episodes import Episode, random_episode

EPISODE_FPS = 30.0
LIBRARY = ("cutouts/**/*.png", "backgrounds/**/*.jpg")


@refusing
def main(argv: Sequence[str] | None = None) -> None:
    given = _parse(argv)
    detector = load_detector(given.weights, given.runtime, given.threads)
    cutouts, backgrounds = library(given.cutouts) if given.cutouts else (None, None)
    scores = {}
    for seed in tqdm(range(given.seed, given.seed + given.episodes), unit=" episodes"):
        episode = random_episode(seed, cutouts, backgrounds=backgrounds)
        scores[seed] = _judge(replace(episode, fps=EPISODE_FPS / given.every), detector, given)
    print(table(scores))
    if given.json:
        rows = [{"seed": seed} | _plain(one) for seed, one in scores.items()]
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _plain(one: Score) -> dict[str, Any]:
    """A score as JSON can hold it: a wait without end is null."""
    waits = {name: value for name, value in asdict(one).items() if name.endswith("waits_s")}
    finite = {name: [None if math.isinf(s) else s for s in waits[name]] for name in waits}
    return asdict(one) | finite


def _judge(episode: Episode, detector: Detector, given: argparse.Namespace) -> Score:
    moments, pictures = [], []
    frames = round(episode.duration_s * episode.fps)
    name = f"seed {episode.seed}"
    for moment, look in tqdm(watched(episode, detector), name, frames, leave=False):
        moments.append(moment)
        if given.save:
            pictures.append(encode_jpeg(annotate(look.image, look.scene.tracks, {}, 640)))
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
        draw_timeline(moments, given.save / f"{episode.seed}.png")
        draw_worst(moments, pictures, given.save / f"{episode.seed}_worst.png")
    return score(moments)


def library(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the cut-outs and backgrounds of a folder of training data that no training saw.

    Those that its manifest.csv calls ``val``; all of them where there is no manifest. Raises
    DataError when there are none.
    """
    cutouts, backgrounds = (sorted(folder.glob(kind)) for kind in LIBRARY)
    manifest = folder / "manifest.csv"
    if manifest.exists():
        with manifest.open(encoding="utf-8", newline="") as file:
            kept = {folder / row["file"] for row in csv.DictReader(file) if row["split"] == "val"}
        cutouts = [file for file in cutouts if file in kept]
        backgrounds = [file for file in backgrounds if file in kept]
    if not cutouts or not backgrounds:
        raise DataError(f"{folder}: needs cutouts/NAME/*.png and backgrounds that are for val")
    return cutouts, backgrounds


COLUMNS = (
    "episode",
    "sure",
    "right",
    "right or asked",
    "a question open",
    "silently wrong at rest",
    "double counts",
    "flips a minute",
    "sure lost",
    "rest to right: median, 90 %, never",
    "to right or asked",
)


def table(scores: dict[int, Score]) -> str:
    """A Markdown table, one row per episode and one for all."""
    rows = [(str(seed), one) for seed, one in scores.items()]
    rows.append(("all", sum(scores.values(), Score())))
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_cells(name, one) for name, one in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(name: str, one: Score) -> tuple[str, ...]:
    settled = max(1, one.settled)
    return (
        name,
        f"{one.settled / one.moments:.1%}",
        f"{one.right / settled:.1%}",
        f"{(one.right + one.asked) / settled:.1%}",
        f"{one.questions / settled:.1%}",
        f"{one.silent / max(1, one.rest):.1%}",
        str(one.doubles),
        f"{60 * one.flips / max(1.0, one.rest_s):.2f}",
        str(one.lapses),
        _seconds(one.right_waits_s),
        _seconds(one.waits_s),
    )


def _seconds(waits_s: Sequence[float]) -> str:
    middle, slow = percentile(waits_s, 0.5), percentile(waits_s, 0.9)
    words = ["never" if math.isinf(s) else f"{s:.2f} s" for s in (middle, slow)]
    return ", ".join([*words, f"{sum(map(math.isinf, waits_s))} of {len(waits_s)}"])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    settings = Settings.from_env()
    parser = argparse.ArgumentParser(
        prog="python -m tests.vision.episode_report",
        description="Film random checkouts, let the detector watch them, and judge the baskets.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--episodes", type=positive, default=12, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument(
        "--cutouts",
        type=existing_folder,
        help="folder of training data whose val cut-outs and backgrounds are filmed "
        "instead of those of the tests",
    )
    parser.add_argument("--weights", type=existing_file, default=settings.weights)
    parser.add_argument("--runtime", default=settings.runtime)
    parser.add_argument("--threads", type=positive, default=1, help="of the network")
    parser.add_argument(
        "--every", type=positive, default=2, metavar="N", help="film every N-th of 30 pictures a s"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures, one per seed")
    parser.add_argument(
        "--save", type=Path, metavar="DIR", help="draw a timeline and the worst moments of each"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
