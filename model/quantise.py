"""Teach a weights file to compute in int8, which halves the time a picture takes.

    python -m model.quantise --weights W --data DATA.yaml [--scenes FOLDER]

Measures on training pictures, and on scenes composed from training cut-outs, between which limits
the network's values lie (model.runtimes.int8), leaves the layers in float32 that suffer most, and
keeps what it measured in the file if that costs at most 0.5 points of mAP50:95 on ``val``.
OpenVINO then computes in int8; the torch runtime stays in float32.
"""

from __future__ import annotations

import argparse

from model.cli import SettingsError, existing_file, existing_folder, positive, refusing
from model.data.dataset import read_config, read_split, same_names
from model.runtimes import openvino_fits
from model.training.validation import PICTURES, Validation, some_training
from model.weights import read_info

VALIDATED_ON = 200  # composed scenes


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
    if not openvino_fits():
        raise SettingsError("int8 needs OpenVINO, which requirements.txt installs on x86 only")
    from model.training.int8 import said, teach_int8

    data = read_config(args.data)
    same_names(args.data, data.names, read_info(args.weights).names)
    scenes = str(args.scenes) if args.scenes else ""
    validation = Validation(read_split(data, "val"), data.names, scenes, VALIDATED_ON)
    training = some_training(read_split(data, "train"), data.names, scenes, args.count)
    change = teach_int8(args.weights, training, validation)
    print(said(change), end=f": {args.weights}\n")


if __name__ == "__main__":
    main()
