"""What a run starts from: network, anchors, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.anchors import coco_anchors, fit_anchors
from model.cli import SettingsError
from model.darknet import is_darknet_file, load_darknet_trunk
from model.data.trainset import TrainSet
from model.training.settings import TrainConfig, read_settings
from model.weights import WeightsInfo, load_weights
from model.yolov3 import ANCHORS_PER_SCALE, YoloV3

FITTED_ON = 400  # pictures whose boxes anchors are fitted to
Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Start:
    """A network with what its training needs to know.

    anchors: (scales, 3, 2) fractions of the input. mean, std: RGB in [0, 1]. said: one line for
    the reader where something is not as in the starting file, else empty.
    """

    model: YoloV3
    anchors: np.ndarray
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    backbone: str
    neck: str
    said: str = ""


def start(config: TrainConfig, classes: Sequence[str], items: TrainSet) -> Start:
    """Build the network that a run begins with, filled from ``config.weights``.

    classes: names of all that it is to tell apart. Raises SettingsError, WeightsError, or
    ImportError where a package with weights is missing.
    """
    if config.weights in ("imagenet", "random") or is_darknet_file(Path(config.weights)):
        begun = _new(config, len(classes))
    else:
        begun = _continued(config, classes)
    mean, std = normalisation(config.normalisation) or (begun.mean, begun.std)
    anchors = chosen_anchors(config, items, begun.anchors)
    if anchors.shape != begun.anchors.shape:
        raise SettingsError(
            f"the network has {begun.anchors.shape[:2]} scales and anchors, not {anchors.shape[:2]}"
        )
    return replace(begun, anchors=anchors, mean=mean, std=std)


def _new(config: TrainConfig, classes: int) -> Start:
    """A new neck and head on a trunk from ImageNet, from a Darknet file, or on a random one."""
    neck = "slim" if config.neck == "own" else config.neck
    model = YoloV3(classes, config.backbone, neck)
    if config.weights == "imagenet":
        if not model.backbone.imagenet:
            raise SettingsError(
                f"there are no ImageNet weights for {config.backbone}; begin with --weights random "
                "or a Darknet file"
            )
        model.backbone.load_imagenet()
    elif config.weights != "random":
        load_darknet_trunk(model, Path(config.weights))
    trunk = model.backbone
    anchors = coco_anchors(model.scales)
    return Start(model, anchors, trunk.mean, trunk.std, config.backbone, neck)


def _continued(config: TrainConfig, classes: Sequence[str]) -> Start:
    """The network of a weights file of ours; classes it does not know begin anew.

    A trained network keeps its anchors in pixels when the input grows, as in the paper's
    multi-scale training: what it has learnt about sizes stays true.
    """
    path = Path(config.weights)
    old, info = load_weights(path)
    if config.backbone not in (TrainConfig.backbone, info.backbone):
        raise SettingsError(f"{path}: has the trunk {info.backbone}, not {config.backbone}")
    if config.neck not in ("own", info.neck):
        return _on_trunk(old.backbone, info, config.neck, len(classes))
    model = YoloV3(len(classes), info.backbone, info.neck)
    heads = tuple(f"{name}." for name, layer in model.named_modules() if _is_last(layer))
    kept = {k: v for k, v in old.state_dict().items() if not k.startswith(heads)}
    model.load_state_dict(kept, strict=False)
    for before, after in zip(_last(old), _last(model), strict=True):
        _carry_classes(before, after, info.classes, classes)
    known = set(classes) & set(info.classes)
    said = (
        f"{path.name} knows {len(known)} of the {len(classes)} classes; the rest begin anew"
        if len(known) < len(classes)
        else ""
    )
    anchors = info.anchor_array * info.image_size / config.image_size
    return Start(model, anchors, info.mean, info.std, info.backbone, info.neck, said)


def _on_trunk(trunk: nn.Module, info: WeightsInfo, neck: str, classes: int) -> Start:
    """A new neck and head on the trunk of a weights file of ours."""
    model = YoloV3(classes, info.backbone, neck)
    model.backbone.load_state_dict(trunk.state_dict())
    anchors = coco_anchors(model.scales)
    return Start(model, anchors, info.mean, info.std, info.backbone, neck)


def _last(model: YoloV3) -> list[nn.Conv2d]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and _is_last(layer)]


def _is_last(layer: nn.Module) -> bool:
    """A last layer is told by its bias: all others have BatchNorm's."""
    return isinstance(layer, nn.Conv2d) and layer.bias is not None


@torch.no_grad()
def _carry_classes(
    before: nn.Conv2d, after: nn.Conv2d, old: Sequence[str], new: Sequence[str]
) -> None:
    """Fill a last layer with what another knows of boxes, objectness and the classes of its name.

    Both have, for each anchor, five outputs and then one for each class.
    """
    known = [name for name in new if name in old]
    source = [*range(5), *(5 + list(old).index(name) for name in known)]
    target = [*range(5), *(5 + list(new).index(name) for name in known)]
    assert before.bias is not None
    assert after.bias is not None
    for theirs, mine in ((before.weight, after.weight), (before.bias, after.bias)):
        by_anchor = theirs.view(ANCHORS_PER_SCALE, -1, *theirs.shape[1:])
        mine.view(ANCHORS_PER_SCALE, -1, *mine.shape[1:])[:, target] = by_anchor[:, source]


def normalisation(text: str) -> Normalisation | None:
    """Read "R,G,B/R,G,B" as mean and standard deviation in [0, 1]; None for "own"."""
    if text == "own":
        return None
    try:
        mean, std = (tuple(map(float, part.split(","))) for part in text.split("/"))
        (r, g, b), (dr, dg, db) = mean, std
    except ValueError:
        raise SettingsError(f"normalisation: expected own or R,G,B/R,G,B, got {text!r}") from None
    if min(dr, dg, db) <= 0:
        raise SettingsError(f"normalisation: a deviation must be over 0, got {text!r}")
    return (r, g, b), (dr, dg, db)


def chosen_anchors(config: TrainConfig, items: TrainSet, own: np.ndarray) -> np.ndarray:
    """The anchors that ``config.anchors`` asks for, float32 fractions of the input."""
    if config.anchors == "own":
        return own
    if config.anchors == "coco":
        return coco_anchors(len(own))
    if config.anchors == "auto":
        return _fitted(items, len(own))
    return _read_anchors(Path(config.anchors))


def _fitted(items: TrainSet, scales: int) -> np.ndarray:
    """Anchors fitted to boxes as training shows them: augmented, as shares of the input."""
    picked = np.random.default_rng(0).permutation(len(items))[:FITTED_ON]
    sizes = [items[int(index)][1][:, 3:].numpy() for index in tqdm(picked, "anchors", unit="img")]
    try:
        return fit_anchors(np.concatenate(sizes), scales)[0]
    except ValueError as error:
        raise SettingsError(f"anchors auto: {error}; use --anchors coco") from None


def _read_anchors(path: Path) -> np.ndarray:
    """Read the YAML that ``model.dataset anchors`` writes."""
    try:
        anchors = np.array(read_settings(path)["anchors"], np.float32)
    except (KeyError, TypeError, ValueError):
        anchors = np.zeros(0, np.float32)
    if anchors.ndim != 3 or anchors.shape[2] != 2 or not (anchors > 0).all():
        raise SettingsError(
            f"{path}: needs 'anchors', a list of sizes (scales × 3 × width, height)"
        )
    return anchors
