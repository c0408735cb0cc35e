"""The model card's table: what it counts, and the command that prints it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.data.dataset import read_config, read_split
from model.data.library import load_library
from model.data.synthesize import SceneConfig
from model.evaluate import summarise
from model.metrics import PictureResult
from model.scorecard import asks, main, provenance, row, scenes
from tests.model.helpers import DEFAULT_WEIGHTS, SAMPLE
from tests.model.small_run import small_data

BOX = (10.0, 10.0, 50.0, 50.0)
FAR = (60.0, 60.0, 90.0, 90.0)


def picture(truth, found):
    """truth: (class, box) pairs; found: (class, score, box) triples."""
    return PictureResult(
        100,
        100,
        np.array([box for _, box in truth], np.float32).reshape(-1, 4),
        np.array([key for key, _ in truth], int),
        np.array([box for *_, box in found], np.float32).reshape(-1, 4),
        np.array([key for key, *_ in found], int),
        np.array([score for _, score, _ in found], np.float32),
    )


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        ([], False),
        ([(0, 0.9, BOX)], False),
        ([(0, 0.55, BOX)], True),
        ([(0, 0.9, BOX), (1, 0.5, BOX)], True),
        ([(0, 0.9, BOX), (1, 0.4, BOX)], False),
        ([(0, 0.9, BOX), (1, 0.85, FAR)], False),
        ([(0, 0.9, BOX), (0, 0.85, BOX)], False),
    ],
)
def test_a_low_score_or_a_close_name_asks(found, asked):
    assert asks(picture([(0, BOX)], found), 0.3) is asked


def test_a_row_counts_mistakes_and_what_is_asked():
    results = [
        picture([(0, BOX)], [(0, 0.9, BOX)]),  # right
        picture([(0, BOX)], [(1, 0.5, BOX), (0, 0.4, BOX)]),  # misnamed, and asked
        picture([(0, BOX)], []),  # missed
        picture([(0, BOX)], [(0, 0.9, BOX), (1, 0.9, FAR)]),  # one that is not there
    ]
    cells = row(results, summarise(results, ("apple", "pear"), 0.3), 2)
    assert cells[0] == "4"
    assert cells[3] == "25.0"  # cAcc
    assert cells[7:10] == ["25.0", "25.0", "25.0"]
    assert cells[-2:] == ["25.0", "33.3"]


def test_what_is_less_likely_than_the_confidence_is_asked_about_and_does_not_count():
    results = [picture([], [(0, 0.4, BOX)]), picture([], [(0, 0.3, BOX)])]
    cells = row(results, summarise(results, ("apple",), 0.5), 1)
    assert cells[3] == "100.0"
    assert cells[-2:] == ["50.0", "100.0"]


def test_where_everything_is_asked_there_is_no_unasked_accuracy():
    results = [picture([(0, BOX)], [(0, 0.4, BOX)])]
    assert row(results, summarise(results, ("apple",), 0.3), 1)[-2:] == ["100.0", "–"]


def test_the_command_prints_a_row_for_photographs_and_one_for_each_kind_of_scene(tmp_path, capsys):
    data = small_data(tmp_path, val=3)
    own = read_split(read_config(Path(data)), "val")[0].path
    (tmp_path / "manifest.csv").write_text(f"file,provenance\n{own},own_photos\n")
    main(
        [
            *("--weights", str(DEFAULT_WEIGHTS), "--data", data),
            *("--scenes", str(SAMPLE), "--count", "2", "--runtime", "torch"),
            *("--size", "200", "100"),
            *("--manifest", str(tmp_path / "manifest.csv"), "--image-size", "160"),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| photographs",
        "| photographs, own photos",
        "| photographs, unknown",
        "| scenes, 1–4 fruits (easy)",
        "| scenes, 5–9 fruits (medium)",
        "| scenes, 10–15 fruits (hard)",
    ]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_scenes_have_the_size_that_is_asked_for():
    library = load_library(SAMPLE, read_config(SAMPLE / "data.yaml").names, "val")
    pictures = list(scenes(library, SceneConfig((1, 2)), 2, 0, (200, 100)))
    assert [image.shape for image, _ in pictures] == [(100, 200, 3)] * 2


def test_the_command_prints_a_row_for_each_condition(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text("in the dark:\n- MultiplicativeNoise: {multiplier: [0, 0], p: 1}\n")
    main(
        [
            *("--weights", str(DEFAULT_WEIGHTS), "--data", str(SAMPLE / "data.yaml")),
            *("--scenes", str(SAMPLE), "--count", "2", "--runtime", "torch"),
            *("--split", "train", "--conditions", str(own), "--size", "320", "240"),
        ]
    )
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [cells[0] for cells in lines] == [
        "| as validation has them",
        "| from further away",
        "| from nearer",
        "| in the dark",
    ]
    assert float(lines[0][2]) > 60  # mAP50 with the lights on
    assert float(lines[3][2]) < 5


def test_conditions_need_scenes(capsys):
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *("--weights", str(DEFAULT_WEIGHTS), "--data", str(SAMPLE / "data.yaml")),
                "--conditions",
            ]
        )
    assert stop.value.code == 2
    assert "name their folder (--scenes)" in capsys.readouterr().err


def test_photographs_are_told_apart_by_where_they_come_from(tmp_path):
    photographs = read_split(read_config(SAMPLE / "data.yaml"), "val")
    own, web, untold = (replace(photographs[0], path=tmp_path / f"{n}.jpg") for n in range(3))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,provenance\n0.jpg,own_photos\n1.jpg,web\n")

    assert provenance(manifest, [web, own, untold, web]) == ["web", "own_photos", "unknown", "web"]


def test_a_manifest_without_its_columns_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "manifest.csv").write_text("path,licence\na.jpg,MIT\n")
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *("--weights", str(DEFAULT_WEIGHTS), "--data", str(SAMPLE / "data.yaml")),
                *("--manifest", str(tmp_path / "manifest.csv"), "--runtime", "torch"),
            ]
        )
    assert stop.value.code == 2
    assert "has no column 'file', 'provenance'" in capsys.readouterr().err
