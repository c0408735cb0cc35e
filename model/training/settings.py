"""Every setting of a training run, from defaults, a YAML file and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from model.backbones import BACKBONES
from model.cli import SettingsError
from model.data.augment import AugmentConfig
from model.data.synthesize import SceneConfig
from model.loss import LOSS_PRESETS, LossConfig
from model.yolov3 import NECKS

Dataclass = TypeVar("Dataclass")


def setting(default: Any, text: str) -> Any:
    """A field with the sentence that ``--help`` shows of it."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run; saved as args.yaml. Raises SettingsError for a value out of range."""

    data: str = setting("", "data.yaml with names, train and val")
    scenes: str = setting("", "folder with cutouts/ and backgrounds/ to compose scenes from")
    bad: Literal["refuse", "skip"] = setting(
        "refuse", "what to do about a picture that cannot be learnt from: stop, or leave it out"
    )
    without: str = setting("", "text file that names training pictures to leave out, one a line")
    weights: str = setting(
        "imagenet",
        "what to start from: imagenet, random (the trunk then learns from the beginning, at the "
        "head's rate and with its BatchNorm), a weights file of ours, or Darknet's",
    )
    backbone: str = setting("efficientnet_lite0", "trunk of the network")
    neck: str = setting(
        "own",
        "neck and head of the network: own (the starting weights', else slim), or one of "
        f"{', '.join(NECKS)}; another one than the starting weights' begins anew on their trunk",
    )
    image_size: int = setting(416, "side of a square input, pixels, a multiple of 32")
    anchors: str = setting(
        "own", "own (the starting weights', else COCO's), coco, auto (fitted to the data), or YAML"
    )
    normalisation: str = setting(
        "own", "own (the starting weights', else the trunk's), or R,G,B/R,G,B: mean and deviation"
    )
    epochs: int = setting(30, "how often every picture is seen")
    batch: int = setting(16, "pictures a step, in each process")
    accumulate: int = setting(1, "batches whose gradients are added up before a step")
    optimizer: Literal["adamw", "adam", "sgd"] = setting("adamw", "who takes the steps")
    lr: float = setting(1e-3, "learning rate of the head at its peak")
    trunk_lr: float = setting(0.1, "the trunk's rate, as a share of the head's")
    momentum: float = setting(0.9, "of SGD; of Adam and AdamW the first beta")
    weight_decay: float = setting(5e-4, "of convolutions; never of BatchNorm and biases")
    clip: float = setting(10.0, "longest gradient that is not shortened; 0 shortens none")
    schedule: Literal["cosine", "step", "plateau"] = setting(
        "cosine", "how the rate falls: to 1 %% in a half cosine, in steps, or when nothing improves"
    )
    warmup_epochs: float = setting(0.5, "epochs in which the rate rises from 0 to its peak")
    step_epochs: tuple[float, ...] = setting(
        (20.0, 26.0), "step: after which epochs the rate drops"
    )
    drop: float = setting(0.1, "step, plateau: what the rate is multiplied by at a drop")
    plateau_patience: int = setting(5, "plateau: epochs without a better score that are borne")
    frozen_epochs: int = setting(5, "epochs in which the whole trunk rests")
    frozen_stages: int = setting(0, "first stages of the trunk that rest for good")
    trunk_bn: Literal["frozen", "trainable"] = setting(
        "frozen", "whether the trunk's BatchNorm keeps the statistics it came with"
    )
    ema: float = setting(0.999, "decay of the averaged weights; 0 keeps no average")
    blend: float = setting(
        0.0,
        "share of the starting weights in those that are kept, when trained ones are trained on",
    )
    multi_scale: float = setting(0.0, "batches vary in size by up to this share")
    share: float = setting(1.0, "share of the training photographs that is used, drawn by the seed")
    composed: float = setting(1.0, "scenes composed for each real picture, with --scenes")
    distractors: float = setting(
        SceneConfig.distractors, "chance of each of up to three things not for sale in a scene"
    )
    variety: float = setting(
        SceneConfig.variety, "chance that a fruit in a scene gets another build and skin"
    )
    val_scenes: int = setting(120, "composed scenes to validate on, with --scenes")
    best: Literal["map", "cacc"] = setting("map", "score whose best epoch is kept")
    patience: int = setting(0, "epochs without a better score before stopping early; 0: never")
    int8: bool = setting(False, "end with weights that OpenVINO computes in int8")
    workers: int = setting(2, "processes that prepare pictures; 0: none")
    save_minutes: float = setting(5.0, "minutes between saved states within an epoch")
    seed: int = setting(0, "all chance follows from it")
    deterministic: bool = setting(False, "let a second run give the very same weights")
    device: str = setting("auto", "cpu, cuda or auto")
    amp: Literal["auto", "bf16", "fp16", "none"] = setting(
        "auto", "half precision on CUDA: auto is bf16 where the card has it; never on the CPU"
    )
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.image_size < 64 or self.image_size % 32:
            raise SettingsError(
                f"image_size must be a multiple of 32 over 32, got {self.image_size}"
            )
        for name, known in (("backbone", BACKBONES), ("neck", ("own", *NECKS))):
            _one_of(name, getattr(self, name), known)
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:  # nor nan
                raise SettingsError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("distractors", "variety", "blend"):
            if getattr(self, name) > 1:
                raise SettingsError(f"{name} must lie in 0…1, got {getattr(self, name)}")
        if not 0 < self.share <= 1:
            raise SettingsError(f"share must lie in 0…1, above 0, got {self.share}")
        for name, most in _BELOW.items():
            if getattr(self, name) >= most:
                raise SettingsError(f"{name} must be below {most}, got {getattr(self, name)}")


_LEAST = {
    **dict.fromkeys(("epochs", "batch", "accumulate"), 1),
    **dict.fromkeys(
        "lr trunk_lr momentum weight_decay clip warmup_epochs drop plateau_patience frozen_epochs "
        "frozen_stages ema blend multi_scale composed distractors variety val_scenes patience "
        "workers save_minutes seed".split(),
        0,
    ),
}
_BELOW = {"momentum": 1, "ema": 1, "multi_scale": 1}


def updated(config: Dataclass, changes: Mapping[str, Any], where: str = "") -> Dataclass:
    """A copy of a settings dataclass with some values replaced, nested ones too.

    changes: names (with ``_`` or ``-``) to values as YAML or a command line gives them. ``loss``
    may be the name of a preset, or a mapping with ``preset`` and what differs from it; ``augment``
    likewise. Raises SettingsError that names an unknown setting or a value of the wrong kind.
    """
    hints = get_type_hints(type(config))
    values = {}
    for key, value in changes.items():
        name = key.replace("-", "_")
        if name not in hints:
            raise SettingsError(f"unknown setting {where}{key}; there are {', '.join(hints)}")
        current = getattr(config, name)
        values[name] = (
            _nested(name, current, value)
            if is_dataclass(current)
            else _converted(where + name, hints[name], value)
        )
    return replace(config, **values)  # type: ignore[type-var]


def _nested(name: str, current: Any, value: Any) -> Any:
    changes = {"preset": value} if isinstance(value, str) else value
    if not isinstance(changes, Mapping):
        raise SettingsError(f"{name} is a preset's name or a mapping, got {value!r}")
    if isinstance(current, LossConfig) and "preset" in changes:
        _one_of("loss", changes["preset"], LOSS_PRESETS)
        current = LOSS_PRESETS[changes["preset"]]
        changes = {key: v for key, v in changes.items() if key != "preset"}
    return updated(current, changes, f"{name}.")


def _converted(name: str, hint: Any, value: Any) -> Any:
    """A value of the field's own type; SettingsError when it cannot be one."""
    if get_origin(hint) is Literal:
        return _one_of(name, value, get_args(hint))
    if get_origin(hint) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise SettingsError(f"{name}: expected a list, got {value!r}")
        return tuple(_converted(name, get_args(hint)[0], part) for part in parts)
    try:
        converted = hint(value)
    except (TypeError, ValueError):
        converted = None
    exact = isinstance(value, str) or converted == value
    if converted is None or not exact or isinstance(value, bool) != (hint is bool):
        raise SettingsError(f"{name}: expected {_KINDS[hint]}, got {value!r}")
    return converted


_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _one_of(name: str, value: Any, known: Iterable[Any]) -> Any:
    if value not in known:
        raise SettingsError(f"{name}: unknown {value!r}; choose one of {', '.join(sorted(known))}")
    return value


def settled(config: TrainConfig) -> TrainConfig:
    """The settings as a run uses them: a random trunk has nothing that is worth keeping."""
    if config.weights != "random":
        return config
    return replace(config, frozen_epochs=0, frozen_stages=0, trunk_lr=1.0, trunk_bn="trainable")


def read_settings(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file of settings, an empty one for an empty file; SettingsError."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(raw or {}, dict):
        raise SettingsError(f"{path}: needs a mapping of settings to values")
    return raw or {}


def write_settings(path: Path, config: TrainConfig) -> None:
    """Write every setting, in the order of their fields."""
    path.write_text(yaml.safe_dump(asdict(config), sort_keys=False), encoding="utf-8")


def leaves(config: object) -> Iterable[tuple[Field, Any]]:
    """The fields of a settings dataclass with their types, the nested ones left away."""
    hints = get_type_hints(type(config))
    return [(f, hints[f.name]) for f in fields(config) if not is_dataclass(hints[f.name])]  # type: ignore[arg-type]
