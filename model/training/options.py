"""The command line of a training, made from its settings."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from model.backbones import BACKBONES
from model.cli import SettingsError, existing_file, existing_folder
from model.loss import LOSS_PRESETS
from model.training.settings import TrainConfig, leaves, read_settings, updated
from model.yolov3 import NECKS

_CHOICES: dict[str, Collection[str]] = {"backbone": BACKBONES, "neck": ("own", *NECKS)}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every setting; what is not given stays away from the namespace."""
    default = TrainConfig()
    parser.add_argument(
        "--config", type=existing_file, metavar="YAML", help="settings; flags win over them"
    )
    parser.add_argument(
        "--resume", type=existing_folder, metavar="RUN", help="go on with this run's folder"
    )
    parser.add_argument("--name", default="", help="name of the run (default: the next run number)")
    group = parser.add_argument_group("settings, also in --config with _ for -")
    for field, kind in leaves(default):
        _add(group, "", field.name, kind, getattr(default, field.name), field.metadata["help"])
    group = parser.add_argument_group("loss: in --config under 'loss'; see model.loss.LossConfig")
    group.add_argument(
        "--loss",
        dest="loss.preset",
        choices=LOSS_PRESETS,
        default=argparse.SUPPRESS,
        help="named settings",
    )
    for field, kind in leaves(default.loss):
        _add(group, "loss.", field.name, kind, getattr(default.loss, field.name))
    group = parser.add_argument_group("augmentation: in --config under 'augment'")
    group.add_argument(
        "--augment",
        dest="augment.preset",
        default=argparse.SUPPRESS,
        help="name of a preset, or a YAML file",
    )
    for field, kind in leaves(default.augment):
        if field.name != "preset":
            _add(group, "augment.", field.name, kind, getattr(default.augment, field.name))


def _add(group: Any, prefix: str, name: str, kind: Any, default: object, text: str = "") -> None:
    """One flag; the augmentation's have no prefix, since no other setting is named like them."""
    flag = f"--{prefix.replace('augment.', '').replace('.', '-')}{name.replace('_', '-')}"
    shown = ",".join(f"{v:g}" for v in default) if isinstance(default, tuple) else default
    more: dict[str, Any] = {"help": f"{text} (default {shown})".strip()}
    if kind is bool:
        more |= {"action": argparse.BooleanOptionalAction}
    elif get_origin(kind) is Literal or name in _CHOICES:
        more |= {"choices": sorted(_CHOICES.get(name, get_args(kind)))}
    else:
        more |= {"metavar": {int: "N", float: "X"}.get(kind, name.upper())}
    group.add_argument(flag, dest=prefix + name, default=argparse.SUPPRESS, **more)


def changes_of(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given on the command line, nested as in YAML."""
    changes: dict[str, Any] = {}
    for key, value in vars(args).items():
        outer, _, inner = key.rpartition(".")
        if outer:
            changes.setdefault(outer, {})[inner] = value
        elif key not in ("config", "resume", "name"):
            changes[key] = value
    return changes


def settings_of(args: argparse.Namespace) -> list[TrainConfig]:
    """Defaults, over them the YAML of --config, over it the flags: one for each of its steps.

    ``steps`` in that YAML is a list of settings over the others there; a step that names no weights
    itself starts from the best of the one before (its ``weights`` are then ""), the first from
    those of the YAML or the flag. Raises SettingsError.
    """
    shared = read_settings(args.config) if args.config else {}
    steps = shared.pop("steps", [{}])
    if not (isinstance(steps, list) and steps and all(isinstance(s, dict) for s in steps)):
        raise SettingsError(f"{args.config}: steps must be a list of mappings of settings")
    configs = []
    for number, step in enumerate(steps):
        config = updated(TrainConfig(), {"weights": ""} if number else {})
        for layer in (shared, step, changes_of(args)):
            own = layer is step or not number  # what the first step starts from is no other's
            config = updated(config, {k: v for k, v in layer.items() if own or k != "weights"})
        configs.append(config)
    return configs


def read_run(folder: Path) -> TrainConfig:
    """The settings of a run's folder; SettingsError when they are not there or not readable."""
    return updated(TrainConfig(), read_settings(folder / "args.yaml"))
