"""Dividing a data set: every picture on one side, groups whole, classes spread."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import dataset
from model.data.dataset import (
    DataError,
    Labelled,
    read_config,
    read_split,
    write_config,
    write_labels,
)
from model.data.split import divide, groups_by_pattern, groups_by_table

RATIOS = {"train": 0.7, "val": 0.2, "test": 0.1}


def sample(name, *class_ids):
    boxes = np.array([[c, 0.5, 0.5, 0.1, 0.1] for c in class_ids], np.float32).reshape(-1, 5)
    return Labelled(Path("images") / f"{name}.jpg", boxes)


pictures = st.lists(
    st.tuples(st.integers(0, 20), st.lists(st.integers(0, 2), max_size=4)), min_size=1, max_size=60
)


@settings(max_examples=50)
@given(pictures, st.integers(0, 5))
def test_every_picture_lands_once_and_groups_stay_whole(content, seed):
    samples = [sample(f"{n:03d}", *class_ids) for n, (_, class_ids) in enumerate(content)]
    groups = [str(group) for group, _ in content]
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match="groups are too few"):
            divide(samples, groups, 3, RATIOS, seed)
        return
    try:
        parts = divide(samples, groups, 3, RATIOS, seed)
    except DataError:
        return  # so few groups that a split of a tenth stayed empty
    paths = [s.path for part in parts.values() for s in part]
    assert sorted(paths) == [s.path for s in samples]
    group_of = dict(zip((s.path for s in samples), groups, strict=True))
    sides = [{group_of[s.path] for s in part} for part in parts.values()]
    assert sum(map(len, sides)) == len(set(groups))


@pytest.mark.parametrize("seed", range(4))
def test_pictures_and_every_class_come_near_the_ratios(seed):
    rng = np.random.default_rng(seed)
    samples = [sample(f"{n:04d}", *rng.choice(3, 2, p=(0.8, 0.15, 0.05))) for n in range(400)]
    parts = divide(samples, [s.path.name for s in samples], 3, RATIOS, seed)
    total = np.bincount(np.concatenate([s.boxes[:, 0] for s in samples]).astype(int))
    for split, share in RATIOS.items():
        assert len(parts[split]) / 400 == pytest.approx(share, abs=0.02)
        boxes = np.concatenate([s.boxes[:, 0] for s in parts[split]]).astype(int)
        assert np.bincount(boxes, minlength=3) / total == pytest.approx(share, abs=0.04)


def test_a_seed_gives_the_same_division_and_another_seed_another():
    samples = [sample(f"{n:03d}", n % 3) for n in range(60)]
    groups = [s.path.name for s in samples]
    one, same, other = (divide(samples, groups, 3, RATIOS, seed) for seed in (1, 1, 2))
    paths = [[s.path for s in parts["val"]] for parts in (one, same, other)]
    assert paths[0] == paths[1] != paths[2]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"([a-z]+)_\d+", ["hall", "hall", "yard"]),
        (r"_\d", ["_1", "_2", "_1"]),
        (r"([a-z]+)_(\d)", ["hall\n1", "hall\n2", "yard\n1"]),
    ],
)
def test_a_pattern_groups_pictures_by_what_it_matches(pattern, expected):
    names = ("hall_1", "hall_2", "yard_1")
    assert groups_by_pattern([sample(name) for name in names], pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "reason"), [("(", "no regular expression"), ("b", r"a\.jpg: does not match 'b'")]
)
def test_a_pattern_that_cannot_group_is_refused(pattern, reason):
    with pytest.raises(DataError, match=reason):
        groups_by_pattern([Labelled(Path("a.jpg"), np.zeros((0, 5)))], pattern)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("file,group\nb.jpg,x\n", r"gives no group for .*a\.jpg"),
        ("file,group\na.jpg,\n", r"gives no group for .*a\.jpg"),
        ("file,kind\na.jpg,x\n", "has no column 'group'"),
        ("path,group\na.jpg,x\n", "has no column 'file'"),
        (b"\xff", "cannot be read as a CSV"),
    ],
)
def test_a_table_that_cannot_group_is_refused(tmp_path, table, reason):
    path = tmp_path / "m.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(DataError, match=reason):
        groups_by_table([Labelled(tmp_path / "a.jpg", np.zeros((0, 5)))], path, "group")


@pytest.fixture
def whole(tmp_path):
    """Twelve pictures of six fruits, all under one folder, and a table of the fruits."""
    rows = []
    for number in range(12):
        path = tmp_path / "set" / "images" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8, 3), number, np.uint8))
        write_labels(path, np.array([[number % 2, 0.5, 0.5, 0.5, 0.5]]))
        rows.append(f"images/{path.name},fruit{number // 2}\n")
    (tmp_path / "set" / "fruits.csv").write_text("file,group\n" + "".join(rows))
    return write_config(tmp_path / "set", ("a", "b"), {"train": "images"})


@pytest.mark.parametrize("by", ["table", "pattern", "nothing"])
def test_the_command_writes_lists_that_can_be_read_again(whole, tmp_path, by, capsys):
    options = {
        "table": ["--groups", str(whole.parent / "fruits.csv")],
        "pattern": ["--group-by", r"(\d)\.png"],
        "nothing": [],
    }[by]
    out = tmp_path / "lists"
    dataset.main(["split", str(whole), "--ratios", "0.5", "0.5", "--out", str(out), *options])
    assert "train: 6 pictures (50.0%), 6 boxes" in capsys.readouterr().out
    config = read_config(out / "data.yaml")
    parts = {split: read_split(config, split) for split in ("train", "val")}
    names = {split: {s.path.stem for s in part} for split, part in parts.items()}
    assert len(names["train"] | names["val"]) == 12
    assert all(len(s.boxes) == 1 for part in parts.values() for s in part)
    if by == "table":
        fruits = [{f"{2 * i:02d}", f"{2 * i + 1:02d}"} for i in range(6)]
        assert all(fruit <= names["train"] or fruit <= names["val"] for fruit in fruits)


@pytest.mark.parametrize("ratios", [["1"], ["0.5", "0.6"], ["1.5", "-0.5"], ["0.25"] * 4])
def test_ratios_that_are_none_are_refused(whole, tmp_path, ratios, capsys):
    with pytest.raises(SystemExit) as stop:
        dataset.main(["split", str(whole), "--out", str(tmp_path / "x"), "--ratios", *ratios])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(("error: --ratios", "usage:"))
