"""What a network needs to know to compute in int8, measured, judged and kept in its weights file.

The limits between which its values lie are measured on training pictures (model.runtimes.int8);
the layers that suffer most stay in float32. Needs OpenVINO and NNCF, which not every CPU has.
"""

from __future__ import annotations

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
from model.runtimes.base import load_fused
from model.runtimes.int8 import quantise, with_int8
from model.runtimes.openvino_runtime import ANY, OpenVinoDetector, compiled, graph_of
from model.training.validation import Validation
from model.weights import Int8, WeightsInfo, read_int8, write_int8
from model.yolov3 import ANCHORS_PER_SCALE

LOOKED_AT = 8  # of the pictures, to tell how much each layer suffers
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
