"""Measure a detector as a model card has it: photographs, and scenes by how crowded they are.

    python -m model.scorecard --weights W --data DATA.yaml [--split val] [--scenes FOLDER]
                              [--manifest CSV] [--image-size 320]
    python -m model.scorecard --weights W --data DATA.yaml --scenes FOLDER --conditions

The scenes are composed from the split's cut-outs, the same for the same seed. A manifest divides
the photographs by where they come from: columns file and provenance. ``--conditions`` shows scenes
of 5–9 fruits from nearer and further away, and as worse cameras and lamps show them (of a YAML file
of one's own: ``--conditions FILE``, written as ``model/data/conditions.yaml``). Prints a Markdown
table. Beside mAP and whole baskets (cAcc: the share of pictures with every count right) it says, of
a hundred fruits, how many got a wrong name, were missed, and were found where none is; in how many
pictures a checkout would ask for a name; and what cAcc is in those where it would not.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from albumentations import Compose
from tqdm import tqdm

from model.boxes import iou_xyxy
from model.cli import existing_file, existing_folder, positive, refusing, whole
from model.data.conditions import CONDITIONS, load_conditions, under
from model.data.dataset import DataError, Labelled, read_config, read_split, read_table, same_names
from model.data.library import SceneLibrary, load_library
from model.data.mix import Picture
from model.data.synthesize import SceneConfig, compose
from model.detector import load_detector
from model.evaluate import evaluate, from_files, summarise
from model.metrics import PictureResult, checkout_metrics, counted, counts, reliability
from model.metrics.mistakes import picture_mistakes

APPLES = {"from further away": (0.05, 0.09), "from nearer": (0.3, 0.4)}  # shares of the longer side
CLUTTER = {"easy": (1, 4), "medium": (5, 9), "hard": (10, 15)}  # fruits of a scene
PHOTOGRAPHS = "photographs"
# what the checkout asks about and what it holds for sure: app.vision.settle_config
DOUBTFUL, SURE = 0.36, 0.6
CLEAR = 2.0  # times the next name's score
SAME_IOU = 0.5

Titled = tuple[str, Iterable[Picture]]
Composer = Callable[[SceneConfig], Iterable[Picture]]

HEADER = (
    *("", "pictures", "mAP50", "mAP50:95", "cAcc", "ACD", "mCCD", "mCIoU", "misnamed", "missed"),
    *("imagined", "ECE", "asked", "cAcc unasked"),
)


def row(results: Sequence[PictureResult], summary: dict, classes: int) -> list[str]:
    """One line of the table from an evaluation of at least one picture."""
    confidence = summary["conf"]
    kinds = Counter(
        mistake.kind
        for number, result in enumerate(results)
        for mistake in picture_mistakes(number, result, confidence).mistakes
    )
    fruits = max(1, sum(len(r.truth_class) for r in results))
    asked = np.array([asks(r, min(confidence, DOUBTFUL)) for r in results])
    found, truth = counts(results, classes, confidence)
    unasked = checkout_metrics(found[~asked], truth[~asked])["cacc"] if not asked.all() else None
    return [
        str(len(results)),
        *(percent(summary[key]) for key in ("map50", "map", "cacc")),
        *(f"{summary[key]:.2f}" for key in ("acd", "mccd")),
        percent(summary["mciou"]),
        *(percent(kinds[k] / fruits) for k in ("name", "missed")),
        percent((kinds["imagined"] + kinds["twice"]) / fruits),
        f"{reliability(results).ece:.3f}",
        percent(float(asked.mean())),
        percent(unasked),
    ]


def line(title: str, results: Sequence[PictureResult], summary: dict, classes: int) -> str:
    """A row with its title, in Markdown."""
    return "| " + " | ".join([title, *row(results, summary, classes)]) + " |"


def asks(result: PictureResult, least: float) -> bool:
    """Whether a checkout would ask what some fruit is: a low score, or another name close by.

    least: the score in [0, 1] from which it asks.
    """
    for box in counted(result, least):
        score = result.found_score[box]
        same = iou_xyxy(result.found_xyxy[[box]], result.found_xyxy)[0] >= SAME_IOU
        rivals = result.found_score[same & (result.found_class != result.found_class[box])]
        if score < SURE or (rivals * CLEAR > score).any():
            return True
    return False


def percent(share: float | None) -> str:
    """A share in [0, 1] as per cent with one decimal; a dash for none."""
    return "–" if share is None else f"{share * 100:.1f}"


def scenes(
    library: SceneLibrary, config: SceneConfig, count: int, seed: int, size: tuple[int, int]
) -> Iterator[Picture]:
    """Composed pictures with their boxes, one after the other. size: width and height, pixels."""
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(count), unit="img", desc="compose", disable=None):
        yield compose(library, config, rng, *size)


def by_clutter(of_kind: Composer) -> Iterator[Titled]:
    """Scenes by how crowded they are, with their titles. of_kind: composes them."""
    for name, fruits in CLUTTER.items():
        yield f"scenes, {fruits[0]}–{fruits[1]} fruits ({name})", of_kind(SceneConfig(fruits))


def by_condition(
    of_kind: Composer,
    conditions: dict[str, Compose],
    seed: int,
) -> Iterator[Titled]:
    """The same scenes under each condition, and others from nearer and further away."""
    plain = SceneConfig(CLUTTER["medium"])
    yield "as validation has them", of_kind(plain)
    for title, apple_share in APPLES.items():
        yield title, of_kind(replace(plain, apple_share=apple_share))
    for title, condition in conditions.items():
        yield title, under(condition, of_kind(plain), seed)


def provenance(manifest: Path, samples: Sequence[Labelled]) -> list[str]:
    """Where each photograph comes from, "unknown" where the manifest does not say.

    manifest: CSV with columns file, as seen from its folder, and provenance; DataError without.
    """
    rows = read_table(manifest, "file", "provenance")
    known = {(manifest.parent / row["file"]).resolve(): row["provenance"] for row in rows}
    return [known.get(sample.path.resolve(), "unknown") for sample in samples]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.scorecard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--weights", type=existing_file, required=True, help="safetensors file")
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml")
    p.add_argument("--split", default="val", choices=("train", "val"))
    p.add_argument("--scenes", type=existing_folder, help="folder to compose scenes from")
    p.add_argument("--manifest", type=existing_file, help="CSV: file, provenance of photographs")
    p.add_argument(
        "--conditions",
        type=existing_file,
        nargs="?",
        const=CONDITIONS,
        metavar="YAML",
        help="scenes under worse cameras and lamps instead",
    )
    p.add_argument("--count", type=positive, default=100, help="scenes of each kind (default 100)")
    p.add_argument("--seed", type=whole, default=11)
    p.add_argument(
        "--size",
        type=positive,
        nargs=2,
        default=(640, 480),
        metavar=("W", "H"),
        help="of the scenes, pixels (default 640 480)",
    )
    p.add_argument("--image-size", type=positive, help="input, pixels (default: the weights')")
    p.add_argument("--runtime", default="auto", choices=("auto", "openvino", "torch"))
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    if args.conditions and not args.scenes:
        raise DataError("--conditions needs scenes: name their folder (--scenes)")
    if args.image_size and args.image_size % 32:
        raise DataError("--image-size takes multiples of 32")
    data = read_config(args.data)
    detector = load_detector(args.weights, args.runtime, image_size=args.image_size)
    same_names(args.data, data.names, detector.names)
    photographs = [] if args.conditions else read_split(data, args.split)
    sources = provenance(args.manifest, photographs) if args.manifest else []

    sets: list[Titled] = [] if args.conditions else [(PHOTOGRAPHS, from_files(photographs))]
    if args.scenes:
        library = load_library(args.scenes, data.names, args.split)
        composed = partial(scenes, library, count=args.count, seed=args.seed, size=args.size)
        if args.conditions:
            sets.extend(by_condition(composed, load_conditions(args.conditions), args.seed))
        else:
            sets.extend(by_clutter(composed))
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for title, pictures in sets:
        measured = evaluate(detector, pictures)
        print(line(title, measured.results, measured.summary, len(data.names)), flush=True)
        for source in sorted(set(sources)) if title == PHOTOGRAPHS else ():
            part = [r for r, s in zip(measured.results, sources, strict=True) if s == source]
            summary = summarise(part, data.names, detector.confidence)
            name = f"{title}, {source.replace('_', ' ')}"
            print(line(name, part, summary, len(data.names)), flush=True)


if __name__ == "__main__":
    main()
