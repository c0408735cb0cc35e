"""docs/new_fruit.md, followed to the letter with small pictures and a short training."""

import re
import shlex

import cv2
import numpy as np
import openpyxl
import pytest

from app.store.prices_xlsx import read_price_sheet
from model import dataset, detect, train
from model.weights import load_weights
from tests.model.helpers import ROOT, random_weights

DOC = (ROOT / "docs" / "new_fruit.md").read_text(encoding="utf-8")
BLOCKS = [
    "\n".join(line[4:] for line in block.splitlines())
    for block in re.findall(r"(?:^    .+\n)+", DOC, re.MULTILINE)
]
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("python ")]
MAINS = {"model.dataset": dataset.main, "model.train": train.main}
COLOURS = {"apple": (40, 30, 190), "persimmon": (20, 120, 240)}
FEWER = {"--pictures 400": "--pictures 6", "--pictures 120": "--pictures 3", "--epochs 12": ""}
QUICK = "--epochs 1 --frozen-epochs 1 --image-size 96 --batch 4 --workers 0 --device cpu"


def photograph(path, colour, seed):
    rng = np.random.default_rng(seed)
    image = np.full((240, 320, 3), 235, np.uint8)
    axes = tuple(int(n) for n in rng.integers(45, 70, 2))
    cv2.ellipse(image, (160, 120), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def follow(command):
    """Run a command of the guide, made shorter."""
    for long, short in FEWER.items():
        command = command.replace(long, short)
    _, _, module, *arguments = shlex.split(command)
    MAINS[module]([*arguments, *(QUICK.split() if module == "model.train" else [])])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop's folder after every command of the guide."""
    folder = tmp_path_factory.mktemp("owner")
    for name, colour in COLOURS.items():
        for number in range(4):
            photograph(folder / "photos" / name / f"{number}.jpg", colour, number)
        photograph(folder / "photos" / f"{name}_aside" / "9.jpg", colour, 9)
    (folder / "weights").mkdir()
    random_weights(folder, names=("apple", "orange")).rename(
        folder / "weights" / "default.safetensors"
    )
    (folder / "shop").mkdir()
    for file, mark in (("data.yaml", "names: "), ("sizes_cm.yaml", "persimmon: ")):
        [block] = [b for b in BLOCKS if mark in b and "python" not in b]
        (folder / "shop" / file).write_text(block, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in COMMANDS:
            follow(command)
    return folder


def test_every_photograph_became_a_cut_out(shop):
    cuts = {name: len(list((shop / "shop" / "cutouts" / name).iterdir())) for name in COLOURS}
    assert cuts == {"apple": 4, "persimmon": 4}
    assert (shop / "shop" / "cutouts" / "persimmon.jpg").exists()


def test_scenes_show_the_new_fruit_with_boxes(shop):
    labels = list((shop / "shop" / "scenes" / "train" / "labels").glob("*.txt"))
    assert len(labels) == 6
    rows = "".join(path.read_text() for path in labels).splitlines()
    assert {row.split()[0] for row in rows} == {"0", "1"}
    assert list((shop / "shop" / "pages").rglob("page_001.jpg"))


def test_the_trained_detector_knows_the_new_fruit_and_runs(shop, capsys):
    path = shop / "runs" / "train" / "persimmon" / "weights" / "best.safetensors"
    _, info = load_weights(path)
    assert info.names == ("apple", "persimmon")
    picture = next((shop / "shop" / "scenes" / "val" / "images").glob("*.jpg"))
    detect.main(["--weights", str(path), str(picture), "--runtime", "torch"])
    assert '"detections"' in capsys.readouterr().out


def test_the_price_row_of_the_guide_is_one_the_checkout_reads(tmp_path):
    header, row = (
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in DOC.splitlines()
        if re.match(r"\| (key|persimmon) ", line)
    )
    book = openpyxl.load_workbook(ROOT / "prices.xlsx")
    sheet = book.worksheets[0]
    columns = [cell.value for cell in sheet[1]]
    cells = dict(zip(header, row, strict=True)) | {"price": 1500}
    sheet.append([cells[name] for name in columns])
    book.save(tmp_path / "prices.xlsx")
    assert read_price_sheet(tmp_path / "prices.xlsx").items["persimmon"].price_minor == 1500
