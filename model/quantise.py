"""Teach a weights file to compute in int8, which halves the time a picture takes.

    python -m model.quantise --weights W --data DATA.yaml [--scenes FOLDER]

Measures on training pictures, and on scenes composed from training cut-outs, between which limits
the network's values lie (model.runtimes.int8), leaves the layers in float32 that suffer most, and
keeps what it measured in the file if that costs at most 0.5 points of mAP50:95 on ``val``.
OpenVINO then computes in int8; the torch runtime stays in float32.
"""

from __future__ import annotations

import argparse
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openvino as ov
from tqdm import tqdm

from model.boxes import Letterbox
from model.cli import existing_file, existing_folder, positive, refusing
from model.data.dataset import read_config, read_split, same_names
from model.runtimes.base import load_fused
from model.runtimes.int8 import quantise, with_int8
from model.runtimes.openvino_runtime import ANY, OpenVinoDetector, compiled, graph_of
from model.training.validation import PICTURES, Validation, some_training
from model.weights import Int8, WeightsInfo, read_info, read_int8, write_int8
from model.yolov3 import ANCHORS_PER_SCALE

VALIDATED_ON = 200  # composed scenes
LOOKED_AT = 8  # of them, to tell how much each layer suffers
SUFFERED = 0.5  # share of the harm that the layers left in float32 did
MAY_COST = 0.005  # mAP50:95
SEEN = 0.0  # objectness logit from which a cell's values matter

Maps = Sequence[np.ndarray]


def teach_int8(weights: Path, training: Validation, validation: Validation) -> float:
    """Measure a file's int8 numbers on training pictures; keep them if they cost little.

    Returns the change of mAP50:95 on ``validation``, in [-1, 1]; under -0.005 the file is left
    computing in float32. ImportError without OpenVINO or NNCF.
    """
    with TemporaryDirectory() as folder:  # a shop may run on the file itself meanwhile
        trial = Path(shutil.copy(weights, folder))
        write_int8(trial, measured(trial, training))
        change = _map(trial, validation, int8=True) - _map(trial, validation, int8=False)
        write_int8(weights, read_int8(trial) if change >= -MAY_COST else {})
    return change


def measured(weights: Path, training: Validation) -> Int8:
    """A network's int8 numbers on pictures, but for its worst layers; the file stays as it is."""
    model, info = load_fused(weights)
    graph = graph_of(model, (1, 3, ANY, ANY))
    inputs = [network_input(image, info) for image, _ in training.pictures()]
    chosen = np.random.default_rng(0).permutation(len(inputs))[:LOOKED_AT]
    spread = [inputs[i] for i in chosen]
    return without_worst(graph, quantise(graph, inputs), spread)


def said(change: float) -> str:
    """What became of it, in words."""
    end = "kept" if change >= -MAY_COST else "too much, it stays in float32"
    return f"int8 changes mAP50:95 by {change:+.4f}: {end}"


def network_input(image: np.ndarray, info: WeightsInfo) -> np.ndarray:
    """A uint8 (H, W, 3) BGR picture → float32 (1, 3, rows, columns) as the network takes it."""
    fit = Letterbox.of(image, info.image_size, tight=True)
    rgb = fit.apply(image)[..., ::-1].astype(np.float32) / 255
    normal = (rgb - np.array(info.mean, np.float32)) / np.array(info.std, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


def without_worst(graph: ov.Model, int8: Int8, inputs: Sequence[np.ndarray]) -> Int8:
    """Leave out the layers that, each alone in int8, do half of the harm between them."""
    layers: dict[str, Int8] = defaultdict(dict)
    for place, numbers in int8.items():
        if numbers.ndim > 1:
            layers[place.rsplit(":", 1)[0]][place] = numbers
    true = _maps(graph, inputs)
    harms = {
        layer: _harm(_maps(with_int8(graph, places), inputs), true)
        for layer, places in tqdm(
            layers.items(), desc="what each layer suffers", leave=False, disable=None
        )
    }
    worst = sorted(harms, key=harms.__getitem__, reverse=True)
    before = accumulate((harms[layer] for layer in worst), initial=0.0)
    most = SUFFERED * sum(harms.values())
    left = {layer for layer, done in zip(worst, before, strict=False) if done < most}
    return {place: n for place, n in int8.items() if place.rsplit(":", 1)[0] not in left}


def _maps(graph: ov.Model, inputs: Iterable[np.ndarray]) -> list[Maps]:
    request = compiled(graph).create_infer_request()
    return [[np.array(m) for m in request.infer([x]).to_tuple()] for x in inputs]


def _harm(found: Sequence[Maps], true: Sequence[Maps]) -> float:
    """Mean squared error of objectness and class logits where there is something, else 0."""
    pairs = [
        pair for picture in zip(found, true, strict=True) for pair in zip(*picture, strict=True)
    ]
    errors = np.concatenate([_errors(*pair) for pair in pairs])
    return float(errors.mean()) if len(errors) else 0.0


def _errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Squared errors of the cells that see something, of two maps (1, 3·(5+C), rows, columns)."""
    grid = true.shape[2:]
    cells, error = (m.reshape(ANCHORS_PER_SCALE, -1, *grid) for m in (true, found - true))
    anchor, row, column = np.nonzero(cells[:, 4] > SEEN)
    return np.ravel(error[anchor, 4:, row, column] ** 2)


def _map(weights: Path, validation: Validation, *, int8: bool) -> float:
    """mAP50:95 with and without int8, the mean of photographs and scenes."""
    return validation.scores(OpenVinoDetector(weights, int8=int8))["map"]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.quantise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--weights", type=existing_file, required=True)
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml")
    p.add_argument("--scenes", type=existing_folder, help="folder to compose scenes from")
    p.add_argument(
        "--count", type=positive, default=PICTURES, help=f"pictures (default {PICTURES})"
    )
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    data = read_config(args.data)
    same_names(args.data, data.names, read_info(args.weights).names)
    scenes = str(args.scenes) if args.scenes else ""
    validation = Validation(read_split(data, "val"), data.names, scenes, VALIDATED_ON)
    training = some_training(read_split(data, "train"), data.names, scenes, args.count)
    change = teach_int8(args.weights, training, validation)
    print(said(change), end=f": {args.weights}\n")


if __name__ == "__main__":
    main()
