"""What a data set is made of, counted on pictures whose content is known."""

import cv2
import numpy as np
import pytest
import yaml

from model import dataset
from model.anchors import coco_anchors
from model.data.dataset import read_config, read_split, write_config, write_labels
from model.data.stats import as_table, input_sizes, measure
from model.plots import plot_anchors, plot_labels
from tests.model.helpers import SAMPLE

NAMES = ("apple", "pear", "unused")


@pytest.fixture
def known(tmp_path):
    """A red and a half black, half white picture, and a black one without boxes."""
    half = np.zeros((200, 400, 3), np.uint8)
    half[:, 200:] = 255
    pictures = {
        "red": (np.full((100, 100, 3), (0, 0, 255), np.uint8), [(0, 0.5, 0.5, 0.31, 0.33)]),
        "half": (half, [(0, 0.5, 0.5, 0.08, 0.16), (0, 0.2, 0.5, 0.24, 0.48), (1, 0.5, 0.5, 1, 1)]),
        "black": (np.zeros((50, 50, 3), np.uint8), []),
    }
    for name, (image, boxes) in pictures.items():
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image)
        write_labels(path, np.array(boxes).reshape(-1, 5))
    return write_config(tmp_path, NAMES, {"train": "images"})


def test_boxes_are_counted_by_class_and_by_cocos_sizes(known):
    stats = measure(read_split(read_config(known), "train"), 3)
    assert (stats.pictures, stats.backgrounds) == (3, 1)
    assert stats.boxes.tolist() == [3, 1, 0]
    assert stats.pictures_with.tolist() == [2, 1, 0]
    # 31×33 px is just below 32², 32×32 is not; 96×96 is large
    assert stats.sizes.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_every_picture_counts_the_same_in_the_mean_whatever_its_size(known):
    stats = measure(read_split(read_config(known), "train"), 3)
    red, green = np.array([1, 1, 0, 1, 0, 0]), np.array([0, 0, 0, 1, 0, 0])  # two pixels each
    assert stats.mean_rgb == pytest.approx([red.mean(), green.mean(), green.mean()])
    assert stats.std_rgb == pytest.approx([red.std(), green.std(), green.std()])


def test_sizes_are_fractions_of_the_square_that_a_picture_is_fitted_into(known):
    sizes = input_sizes(read_split(read_config(known), "train"))
    expected = [[0.08, 0.08], [0.24, 0.24], [1, 0.5], [0.31, 0.33]]
    np.testing.assert_allclose(sizes, expected, atol=1e-6)


def test_the_table_has_a_row_a_class_and_figures_that_training_takes(known):
    table = as_table(measure(read_split(read_config(known), "train"), 3), NAMES)
    assert [line.split()[0] for line in table.splitlines()[:5]] == ["class", *NAMES, "all"]
    assert "all                          4         3         1         1         2" in table
    assert "--normalisation 0.5000,0.1667,0.1667/" in table


def test_the_command_writes_the_table_and_the_plots(known, tmp_path, capsys):
    dataset.main(["stats", str(known), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "stats.txt").read_text() in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "out" / "labels.png")).std() > 10


def test_plots_of_nothing_are_drawn_too(tmp_path):
    plot_labels([], NAMES, tmp_path / "labels.png")
    nothing = np.zeros((0, 2))
    plot_anchors(nothing, coco_anchors(), coco_anchors(), np.zeros(0), tmp_path / "anchors.png")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("method", "scales"), [("kmeans", 3), ("genetic", 2)])
def test_the_anchors_command_writes_what_fits_better_than_cocos(method, scales, tmp_path, capsys):
    out = tmp_path / "deep" / "anchors.yaml"
    options = f"--method {method} --scales {scales} --out {out}".split()
    dataset.main(["anchors", str(SAMPLE / "data.yaml"), *options])
    anchors = np.array(yaml.safe_load(out.read_text())["anchors"])
    assert anchors.shape == (scales, 3, 2)
    assert (np.diff(anchors.prod(-1).ravel()) >= 0).all()
    before, after = (
        float(line.split("IoU ")[1].split(",")[0])
        for line in capsys.readouterr().out.splitlines()
        if "IoU" in line
    )
    assert after > before
    assert out.with_suffix(".png").stat().st_size > 0


def test_too_few_boxes_for_anchors_are_one_line_and_status_two(known, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        dataset.main(["anchors", str(known), "--out", str(tmp_path / "a.yaml")])
    assert stop.value.code == 2
    assert "9 anchors need at least as many boxes, got 4" in capsys.readouterr().err
