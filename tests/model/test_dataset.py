"""Reading a data set: what is accepted, what is refused, what is counted."""

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from model import dataset
from model.cli import refusing
from model.data.check import check_split
from model.data.dataset import (
    DataError,
    Labelled,
    data_hash,
    label_path,
    leave_out,
    list_pictures,
    read_config,
    read_picture,
    read_split,
    write_config,
    write_labels,
)
from model.data.labels import FATAL, as_rows, parse_labels, read_label_file
from model.data.sheets import TILE, class_colours, tile
from tests.model.helpers import SAMPLE

NAMES = ("apple", "orange", "pear")


def make_set(folder, pictures):
    """A set of one split, val: pictures maps a name to its label text, None for no label file."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number, (name, text) in enumerate(pictures.items()):
        path = folder / "images" / name
        cv2.imwrite(str(path), np.full((40, 60, 3), 20 * number, np.uint8))
        if text is not None:
            label_path(path).write_text(text)
    return write_config(folder, NAMES, {"val": "images"})


def kinds(problems):
    return [problem.kind for problem in problems]


def test_the_sample_set_reads_whole():
    config = read_config(SAMPLE / "data.yaml")
    samples = read_split(config, "train")
    assert len(samples) == 55
    assert {int(c) for s in samples for c in s.boxes[:, 0]} <= set(range(len(config.names)))


def test_labels_lie_beside_the_images_folder(tmp_path):
    picture = tmp_path / "images" / "train" / "a.b.jpg"
    assert label_path(picture) == tmp_path / "labels" / "train" / "a.b.txt"


@pytest.mark.parametrize("content", [None, "", "\n  \n"])
def test_a_missing_or_empty_label_file_is_a_background_picture(tmp_path, content):
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_text(content)
    labels = read_label_file(path, 3)
    assert labels.boxes.shape == (0, 5)
    assert labels.problems == ()


BAD_ROWS = [
    ("0 0.5 0.5 0.1", "no box", "expected 'class cx cy w h'"),
    ("0 0.5 0.5 0.1 0.1 0.1", "no box", "expected 'class cx cy w h'"),
    ("0 0.5 0.5 0.1 x", "no box", "expected 'class cx cy w h'"),
    ("3 0.5 0.5 0.1 0.1", "unknown class", "class 3 is not in 0…2"),
    ("-1 0.5 0.5 0.1 0.1", "unknown class", "class -1 is not in 0…2"),
    ("0.5 0.5 0.5 0.1 0.1", "unknown class", "class 0.5 is not in 0…2"),
    ("0 nan 0.5 0.1 0.1", "not finite", "a box needs finite numbers"),
    ("nan 0.5 0.5 0.1 0.1", "not finite", "a box needs finite numbers"),
    ("0 0.5 0.5 inf 0.1", "not finite", "a box needs finite numbers"),
    ("0 0.5 0.5 0 0.1", "no area", "a box needs an area"),
    ("0 0.5 0.5 0.1 -0.1", "no area", "a box needs an area"),
    ("0 0.5 0.5 0.1 1e-300", "no area", "a box needs an area"),
    ("0 120 80 40 40", "outside", "lies outside the picture"),
    ("0 1.05 0.5 0.1 0.1", "outside", "lies outside the picture"),
    ("1 0.2 0.2 0.1 0.1", "two names", "one box has two classes, 0 and 1"),
]


@pytest.mark.parametrize(("row", "kind", "reason"), BAD_ROWS)
def test_a_row_that_cannot_be_trusted_is_a_fatal_problem_of_its_kind(tmp_path, row, kind, reason):
    labels = parse_labels(f"0 0.2 0.2 0.1 0.1\n\n{row}\n", 3, tmp_path / "a.txt")
    (problem,) = labels.problems
    assert (problem.kind, problem.line, problem.fatal) == (kind, 3, True)
    assert f"a.txt:3: {reason}" in str(problem) or reason in problem.text
    assert len(labels.boxes) == 1


@pytest.mark.parametrize(("row", "kind", "reason"), BAD_ROWS)
def test_reading_a_split_refuses_a_bad_row_with_file_and_line(tmp_path, row, kind, reason):
    config = read_config(make_set(tmp_path, {"a.png": f"0 0.2 0.2 0.1 0.1\n{row}\n"}))
    with pytest.raises(DataError, match=rf"a\.txt:2: .*{reason.split()[-1]}"):
        read_split(config, "val")


def test_a_picture_that_cannot_be_trusted_is_left_out_whole_and_counted(tmp_path, capsys):
    good, bad = "0 0.5 0.5 0.1 0.1\n", "9 0.5 0.5 0.1 0.1\n"
    pictures = {"a.png": good, "b.png": good + bad, "c.png": bad, "d.png": None, "e.png": good}
    config = read_config(make_set(tmp_path, pictures))
    (tmp_path / "images" / "e.png").write_bytes(b"no picture")
    samples = read_split(config, "val", bad="skip")
    assert [s.path.name for s in samples] == ["a.png", "d.png"]
    said = capsys.readouterr().err
    assert "left out 3 pictures of 'val' (2 unknown class, 1 unreadable picture)" in said
    assert "b.txt:2" in said
    assert "model.dataset check" in said
    assert len(said.splitlines()) == 1


def test_a_split_of_which_nothing_is_left_is_refused_even_when_skipping(tmp_path):
    config = read_config(make_set(tmp_path, {"a.png": "x\n"}))
    with pytest.raises(DataError, match="no picture that can be used"):
        read_split(config, "val", bad="skip")


def test_two_pictures_that_share_their_labels_are_refused(tmp_path):
    config = read_config(make_set(tmp_path, {"a.png": "0 0.5 0.5 0.1 0.1\n", "b.png": None}))
    for name in ("a", "b"):  # b has no labels to share
        (tmp_path / "images" / f"{name}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png: shares its labels with a\.jpg"):
        read_split(config, "val")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    path = make_set(tmp_path, {"a.png": ""})
    path.write_text("names: [apple, pear, apple]\nval: images\n")
    with pytest.raises(DataError, match="'names' has apple more than once"):
        read_config(path)


def test_a_box_that_reaches_outside_is_clipped_to_the_picture_and_counted(tmp_path):
    labels = parse_labels("1 0.0 0.5 0.4 1.2\n", 3, tmp_path / "a.txt")
    assert labels.boxes[0] == pytest.approx([1, 0.1, 0.5, 0.2, 1.0])
    assert kinds(labels.problems) == ["partly outside"]
    assert not labels.problems[0].fatal


@pytest.mark.parametrize(("reach", "expected"), [(0.0009, []), (0.0011, ["partly outside"])])
def test_what_a_labelling_tool_rounds_away_is_no_problem(tmp_path, reach, expected):
    labels = parse_labels(f"0 0.5 0.5 {1 + reach} 0.5\n", 3, tmp_path / "a.txt")
    assert labels.boxes[0] == pytest.approx([0, 0.5, 0.5, 1, 0.5])
    assert kinds(labels.problems) == expected


def test_a_box_written_twice_is_taken_once_and_counted(tmp_path):
    labels = parse_labels("0 0.5 0.5 0.1 0.1\n" * 3, 3, tmp_path / "a.txt")
    assert len(labels.boxes) == 1
    assert kinds(labels.problems) == ["duplicate box", "duplicate box"]


def test_a_label_file_that_is_no_text_is_a_problem(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert kinds(read_label_file(tmp_path / "a.txt", 3).problems) == ["no box"]


numbers = st.one_of(st.floats().map(repr), st.integers().map(str), st.just("1"), st.text())


@given(st.lists(st.lists(numbers, min_size=5, max_size=5).map(" ".join)).map("\n".join))
def test_whatever_a_label_file_says_what_is_read_are_boxes_in_the_picture(text):
    boxes = parse_labels(text, 3, SAMPLE).boxes
    assert set(boxes[:, 0]) <= {0, 1, 2}
    assert (boxes[:, 3:] > 0).all()
    low, high = boxes[:, 1:3] - boxes[:, 3:] / 2, boxes[:, 1:3] + boxes[:, 3:] / 2
    assert (low > -1e-6).all()
    assert (high < 1 + 1e-6).all()


share = st.floats(0.01, 0.99)


@given(st.lists(st.tuples(st.integers(0, 2), share, share, share, share), max_size=6))
def test_boxes_written_and_read_again_are_the_same_within_the_picture(boxes):
    rows = np.array(boxes, float).reshape(-1, 5)
    room = 2 * np.minimum(rows[:, 1:3], 1 - rows[:, 1:3])
    rows[:, 3:] = np.minimum(rows[:, 3:], room)
    read = parse_labels(as_rows(rows), 3, SAMPLE)
    assert not any(problem.kind in ("outside", "partly outside") for problem in read.problems)
    if not read.problems:
        np.testing.assert_allclose(read.boxes, rows, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("names: [", "cannot be read as YAML"),
        ("- 1", "needs a list 'names'"),
        ("", "needs a list"),
        ("names: apple", "'names' must be a list"),
        ("names: [a, b]\nnc: 3", "'nc' says 3, but 'names' has 2"),
        ("names: {0: a, 2: b}", "'names' needs the ids 0…1"),
        ("names: {x: a}", "'names' needs the ids 0…0"),
    ],
)
def test_a_bad_data_yaml_is_refused(tmp_path, text, reason):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_config(tmp_path / "data.yaml")


def test_names_may_be_a_mapping_from_ids(tmp_path):
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": {1: "b", 0: "a"}, "val": "v"}))
    config = read_config(tmp_path / "data.yaml")
    assert config.names == ("a", "b")
    with pytest.raises(DataError, match="no 'train' folder"):
        read_split(config, "train")
    with pytest.raises(DataError, match="no pictures there"):
        read_split(config, "val")


@pytest.mark.parametrize(
    "entry",
    [
        "images",
        ["images/x", "images/y"],
        "list.txt",
        ["images/x", "list.txt"],
        "../images",  # Roboflow's way of writing a folder beside data.yaml
    ],
)
def test_a_split_may_be_a_folder_a_list_of_folders_or_a_txt_file(tmp_path, entry):
    for name in ("x", "y"):
        (tmp_path / "set" / "images" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / "images" / name / "a.png"), np.zeros((4, 4, 3)))
    absolute = tmp_path / "set" / "images" / "y" / "a.png"
    (tmp_path / "set" / "list.txt").write_text(f"./images/x/a.png\n{absolute}\n\n")
    (tmp_path / "data.yaml").write_text(
        yaml.safe_dump({"path": "set", "names": ["a"], "val": entry})
    )
    found = list_pictures(read_config(tmp_path / "data.yaml"), "val")
    assert [p.parent.name for p in found] == ["x", "y"]


def test_a_list_that_names_a_picture_that_is_gone_is_refused_with_its_line(tmp_path):
    (tmp_path / "list.txt").write_text("\ngone.jpg\n")
    (tmp_path / "data.yaml").write_text("names: [a]\nval: list.txt\n")
    with pytest.raises(DataError, match=r"list\.txt:2: no picture .*gone\.jpg"):
        list_pictures(read_config(tmp_path / "data.yaml"), "val")


def test_a_split_that_is_a_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff")
    (tmp_path / "data.yaml").write_text("names: [a]\nval: a.png\n")
    with pytest.raises(DataError, match=r"a\.png: cannot be read as text"):
        list_pictures(read_config(tmp_path / "data.yaml"), "val")


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_picture_that_ends_in_the_middle_is_refused(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = cv2.imencode(kind, noise)[1].tobytes()
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a readable picture"):
        read_picture(tmp_path / "a")


def test_a_file_that_is_no_picture_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg: cannot be read"):
        read_picture(tmp_path / "gone.jpg")
    for content in (b"", b"not a picture"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.jpg: not a readable picture"):
            read_picture(tmp_path / "a.jpg")


def test_the_hash_of_a_set_changes_with_a_box():
    samples = read_split(read_config(SAMPLE / "data.yaml"), "train")
    before = data_hash(samples)
    assert before == data_hash(samples)
    samples[0].boxes[0, 1] += 0.01
    assert before != data_hash(samples)


@pytest.fixture
def spoiled(tmp_path):
    """A set with one problem of every kind; the picture b is the same as the picture a."""
    good = "0 0.5 0.5 0.1 0.1\n"
    rows = {kind: good + row for row, kind, _ in BAD_ROWS} | {"two names": good + "1" + good[1:]}
    pictures = {f"{kind.replace(' ', '_')}.png": text for kind, text in rows.items()}
    pictures |= {"a.png": good, "b.png": good + good, "c.png": "0 0 0 0.5 0.5", "d.png": None}
    data = make_set(tmp_path, pictures)
    images = tmp_path / "images"
    (images / "b.png").write_bytes((images / "a.png").read_bytes())
    (images / "d.png").write_bytes(b"no picture")
    (tmp_path / "labels" / "alone.txt").write_text("")
    return data


def test_the_check_finds_one_problem_of_every_kind(spoiled):
    problems = check_split(read_config(spoiled), "val")
    assert sorted(kinds(problems)) == sorted(FATAL)
    assert "a.png" in next(p.text for p in problems if p.kind == "repeated picture")


def test_the_check_prints_a_table_writes_pages_and_ends_with_status_one(spoiled, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        dataset.main(["check", str(spoiled), "--out", str(out), "--per-page", "4"])
    assert stop.value.code == 1
    printed = capsys.readouterr().out
    assert all(f"\n{kind:<24}       1" in printed for kind in FATAL)
    assert "alone.txt" in printed
    pictures = list_pictures(read_config(spoiled), "val")
    assert len(list((out / "val").iterdir())) == -(-len(pictures) // 4)
    assert len((out / "problems.txt").read_text().splitlines()) == len(FATAL)


def test_the_check_of_a_good_set_ends_with_status_zero(tmp_path, capsys):
    dataset.main(["check", str(make_set(tmp_path, {"a.png": "0 0.5 0.5 0.5 0.5\n", "b.png": ""}))])
    assert "no box                         0" in capsys.readouterr().out


def test_a_data_yaml_without_splits_cannot_be_checked(tmp_path, capsys):
    (tmp_path / "data.yaml").write_text("names: [a]\n")
    with pytest.raises(SystemExit) as stop:
        dataset.main(["check", str(tmp_path / "data.yaml")])
    assert stop.value.code == 2
    assert "names no train, val, test" in capsys.readouterr().err


def test_boxes_are_drawn_on_the_pages_in_their_classs_colour(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))
    drawn = tile(Labelled(path, np.array([[1, 0.5, 0.5, 0.5, 0.5]], np.float32)), NAMES)
    colour = class_colours(3)[1]
    right_edge = drawn[TILE // 2, TILE // 2 :]
    assert (right_edge == colour).all(-1).nonzero()[0].max() == pytest.approx(TILE / 4, abs=2)
    assert len(set(class_colours(30))) == 30


def test_a_corrupt_picture_met_by_a_loaders_worker_is_one_line_that_names_it(tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    loader = DataLoader([bad], batch_size=None, collate_fn=read_picture, num_workers=1)
    with pytest.raises(SystemExit):
        refusing(lambda argv: next(iter(loader)))([])
    said = capsys.readouterr().err.splitlines()
    assert said == [f"error: {bad}: not a readable picture; remove or replace it"]


def test_labels_and_names_that_are_written_are_read_again(tmp_path):
    picture = tmp_path / "images" / "사과.png"
    picture.parent.mkdir()
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    boxes = np.array([[1, 0.25, 0.5, 0.125, 0.25]], np.float32)
    write_labels(picture, boxes)
    config = read_config(write_config(tmp_path, ("사과", "배"), {"train": "images"}))
    assert config.names == ("사과", "배")
    assert (read_split(config, "train")[0].boxes == boxes).all()


def test_pictures_that_a_list_names_are_left_out(tmp_path):
    samples = [Labelled(tmp_path / f"{name}.jpg", np.zeros((0, 5))) for name in ("a", "b", "c")]
    listing = tmp_path / "left_out.txt"
    listing.write_text("# wrong labels\nb  # no box\n\n c\n")
    assert [sample.path.stem for sample in leave_out(samples, listing)] == ["a"]


@pytest.mark.parametrize("text", ["a\nz", None])
def test_a_list_of_other_pictures_or_none_is_refused(text, tmp_path):
    listing = tmp_path / "left_out.txt"
    if text is not None:
        listing.write_text(text)
    with pytest.raises(DataError, match=r"left_out\.txt"):
        leave_out([Labelled(tmp_path / "a.jpg", np.zeros((0, 5)))], listing)
