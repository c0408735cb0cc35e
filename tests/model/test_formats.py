"""Other people's formats: what is read, what is refused by name, and that nothing changes on the
way round.
"""

import json
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import dataset
from model.data.dataset import DataError, read_config, read_split, write_config, write_labels
from model.data.formats import READERS, cvat, write_coco, write_layout
from model.data.formats.foreign import safe_name

WIDTH, HEIGHT = 80, 60
# the same two boxes in every format: an apple and a pear, x1 y1 x2 y2 in pixels
APPLE, PEAR = (8, 6, 24, 30), (40, 30, 80, 60)
EXPECTED = np.array([[0, 0.2, 0.3, 0.2, 0.4], [1, 0.75, 0.75, 0.5, 0.5]])


def picture(path, colour=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), colour, np.uint8))
    return path


def coco(folder):
    picture(folder / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": c, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            for n, c, (x1, y1, x2, y2) in ((1, 3, APPLE), (2, 5, PEAR))
        ],
        "categories": [{"id": 5, "name": "pear"}, {"id": 3, "name": "apple"}],
    }
    (folder / "set.json").write_text(json.dumps(content))
    return folder / "set.json"


def voc(folder):
    picture(folder / "JPEGImages" / "a.png")
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in (("apple", APPLE), ("pear", PEAR))
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_text(
        f"<annotation><filename>a.png</filename>{size}{objects}</annotation>"
    )
    return folder / "Annotations"


def corners(folder):
    picture(folder / "a.png")
    (x1, y1, x2, y2), pear = APPLE, dict(zip(("x1", "y1", "x2", "y2"), PEAR, strict=True))
    content = {
        "image": "a.png",
        "width": WIDTH,
        "height": HEIGHT,
        "objects": [
            {"label": "apple", "points": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]},
            {"label": "pear", **pear},
        ],
    }
    (folder / "set.json").write_text(json.dumps([content]))
    return folder / "set.json"


def cvat_zip(folder, with_pictures=True):
    files = {
        "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = b/\n",
        "obj.names": "apple\npear\n",
        "train.txt": "data/obj_train_data/a.png\n",
        "obj_train_data/a.txt": "0 0.2 0.3 0.2 0.4\n1 0.75 0.75 0.5 0.5\n",
    }
    source = picture(folder / "a.png")
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        if with_pictures:
            archive.write(source, "obj_train_data/a.png")
    return folder / "set.zip"


MAKERS = {"cvat": cvat_zip, "coco": coco, "voc": voc, "corners": corners}


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def convert(kind, source, out, **more):
    write_layout(READERS[kind](source, **more), out)
    config = read_config(out / "data.yaml")
    return config, read_split(config, "train")


@pytest.mark.parametrize("kind", READERS)
def test_the_same_boxes_come_out_of_every_format(kind, tmp_path):
    config, (sample,) = convert(kind, MAKERS[kind](tmp_path), tmp_path / "out")
    assert config.names == ("apple", "pear")
    assert sample.path.name == "a.png"
    np.testing.assert_allclose(sample.boxes, EXPECTED, atol=1e-6)


@pytest.mark.parametrize("kind", ["coco", "voc", "corners"])
def test_given_names_decide_the_ids_and_an_unknown_class_is_named(kind, tmp_path):
    source = MAKERS[kind](tmp_path)
    _, (sample,) = convert(kind, source, tmp_path / "out", given=("pear", "kiwi", "apple"))
    assert sample.boxes[:, 0].tolist() == [2, 0]
    with pytest.raises(DataError, match=r"classes \['pear'\] are not among the names"):
        convert(kind, source, tmp_path / "other", given=("apple",))


def test_cvats_names_must_be_those_given(tmp_path):
    with pytest.raises(DataError, match="differ from the given names"):
        READERS["cvat"](cvat_zip(tmp_path), given=("pear", "apple"))


@pytest.mark.parametrize(
    ("kind", "old", "new", "reason"),
    [
        ("coco", '"annotations"', '"notes"', r"set\.json: needs an object with 'annotations'"),
        ("coco", "[8, 6, 16, 24]", '"big"', r"annotations\[0\]: 'bbox' must be 4 number"),
        ("coco", "[8, 6, 16, 24]", "[8, 6, true, 2]", r"annotations\[0\]: 'bbox' must be 4"),
        ("coco", "[8, 6, 16, 24]", "[8, 6, NaN, 2]", r"images\[0\]: box 1: .*finite"),
        ("coco", "[8, 6, 16, 24]", "[8, 6, -3, 2]", r"images\[0\]: box 1: .*an area"),
        ("coco", "[8, 6, 16, 24]", "[800, 6, 3, 2]", r"images\[0\]: box 1: .*outside"),
        ("coco", '"category_id": 5', '"category_id": 9', r"annotations\[1\]: category_id 9"),
        ("coco", '"id": 3, "name"', '"id": 5, "name"', r"categories\[1\]: id 5 is there twice"),
        ("coco", '"image_id": 7', '"image_id": 8', r"image_id 8, which no image has"),
        ("coco", '"a.png"', '"../a.png"', r"images\[0\]: the path '../a.png' leads out"),
        ("coco", '"a.png"', '"b.png"', r"images\[0\]: no picture .*b\.png; .*--images"),
        ("coco", '"a.png"', "3", r"images\[0\]: 'file_name' must be text"),
        ("coco", '"width": 80', '"width": 60', r"images\[0\]: the labels say 60×60, .* 80×60"),
        ("coco", '"width": 80', '"width": 0', r"images\[0\]: 'width' and 'height' must be pixels"),
        ("coco", '"name": "pear"', '"name": "apple"', r"a class name stands twice"),
        ("coco", "{", "", r"set\.json: not a JSON file"),
        ("corners", '"x1": 40', '"x1": "40"', r"objects\[1\]: 'x1' must be 1 number"),
        ("corners", '"label": "pear", ', "", r"objects\[1\]: needs an object with 'label'"),
        ("corners", "[8, 6], [24, 6], [24, 30], [8, 30]", "[8, 6]", r"\[0\]: 'points' must be two"),
        ("corners", "[24, 6]", "[24]", r"objects\[0\]: points\[1\]: 'points' must be 2 number"),
        ("voc", "<xmin>8<", "<xmin>x<", r"a\.xml: object 1: bndbox/xmin: 'x' is not a number"),
        ("voc", "<name>pear</name>", "", r"a\.xml: object 2: needs 'name'"),
        ("voc", "<width>80<", "<width>8.5<", r"a\.xml: size/width: 8.5 is not a size"),
        ("voc", "</annotation>", "", r"a\.xml: not XML"),
        ("voc", "<annotation>", "<!DOCTYPE x [<!ENTITY a 'b'>]><annotation>", "has entities"),
    ],
)
def test_what_a_file_gets_wrong_is_named(kind, old, new, reason, tmp_path):
    source = MAKERS[kind](tmp_path)
    rewrite(source / "a.xml" if source.is_dir() else source, old, new)
    with pytest.raises(DataError, match=reason):
        convert(kind, source, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("obj.data", None, "no obj.data in it; is it an export in CVAT's format"),
        ("obj.names", None, "no obj.names in it"),
        ("train.txt", None, "no train.txt in it"),
        ("obj.names", b"\xff", "obj.names: cannot be read as text"),
        ("train.txt", b"data/obj_train_data/../../evil.png", "leads out of the folder"),
        ("train.txt", b"data/obj_train_data//etc/a.png", "leads out of the folder"),
        ("train.txt", b"data/obj_train_data/a.exe", "no picture's name"),
        ("train.txt", b"data/obj_train_data/b.png", r"no picture .*b\.png"),
        ("obj_train_data/a.txt", b"2 0.5 0.5 0.1 0.1", r"a\.png: box 1: class 2 is not in 0…1"),
        ("obj_train_data/a.png", b"no picture", r"obj_train_data/a\.png: not a readable picture"),
    ],
)
def test_what_a_cvat_zip_gets_wrong_is_named(name, content, reason, tmp_path):
    source = cvat_zip(tmp_path)
    with zipfile.ZipFile(source) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = content
    with zipfile.ZipFile(source, "w") as archive:
        for member, data in members.items():
            if data is not None:
                archive.writestr(member, data)
    with pytest.raises(DataError, match=reason):
        convert("cvat", source, tmp_path / "out")


def test_a_cvat_export_without_pictures_takes_them_from_a_folder(tmp_path):
    source = cvat_zip(tmp_path, with_pictures=False)
    other = picture(tmp_path / "photos" / "a.png", colour=7).parent
    _, (sample,) = convert("cvat", source, tmp_path / "out", images=other)
    assert cv2.imread(str(sample.path))[0, 0, 0] == 7


def test_a_cvat_export_keeps_its_splits_and_a_missing_label_file_is_a_background(tmp_path):
    source = cvat_zip(tmp_path)
    with zipfile.ZipFile(source, "a") as archive:
        archive.write(tmp_path / "a.png", "obj_valid_data/deep/b.png")
        archive.writestr("valid.txt", "data/obj_valid_data/deep/b.png\n")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("obj.data", "train = data/train.txt\nvalid = data/valid.txt\n")
    config, (train,) = convert("cvat", source, tmp_path / "out")
    (val,) = read_split(config, "val")
    assert (len(train.boxes), len(val.boxes)) == (2, 0)
    assert val.path.relative_to(tmp_path / "out").as_posix() == "images/val/deep/b.png"


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_FILE_BYTES"])
def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_is_read(limit, tmp_path, monkeypatch):
    monkeypatch.setattr(cvat, limit, 100)
    with pytest.raises(DataError, match="MiB are read"):
        READERS["cvat"](cvat_zip(tmp_path))


@pytest.mark.parametrize("kind", READERS)
def test_a_source_that_is_something_else_is_refused(kind, tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\x00 something else")
    with pytest.raises(DataError):
        READERS[kind](tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        READERS[kind](tmp_path / "empty")


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png", "c:/a.png", "a\\b.png"])
def test_a_path_never_leads_out_of_the_folder(name):
    with pytest.raises(DataError, match="leads out"):
        safe_name(name, "x")


def test_two_exports_in_one_file_are_refused(tmp_path):
    source = MAKERS["coco"](tmp_path)
    content = json.loads(source.read_text())
    content["images"].append({**content["images"][0], "file_name": "b.png"})
    source.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"images\[1\]: id 7 is there twice; convert each export"):
        convert("coco", source, tmp_path / "out")


def test_a_picture_with_a_crowd_region_is_left_out(tmp_path):
    source = coco(tmp_path)
    content = json.loads(source.read_text())
    content["images"].append({**content["images"][0], "id": 8, "file_name": "b.png"})
    content["annotations"][0]["iscrowd"] = 1
    source.write_text(json.dumps(content))
    picture(tmp_path / "b.png")
    foreign = READERS["coco"](source)
    assert foreign.left_out == ("a.png",)
    assert [marked.name for marked in foreign.pictures] == ["b.png"]


def labelme(folder, shape):
    """One picture with one apple, drawn from (40, 30) to (52, 30)."""
    source = corners(folder)
    (content,) = json.loads(source.read_text())
    drawn = {"label": "apple", "shape_type": shape, "points": [[40, 30], [52, 30]]}
    source.write_text(json.dumps([content | {"objects": [drawn]}]))
    return source


def test_a_circle_of_labelmes_is_the_box_around_it(tmp_path):
    _, (sample,) = convert("corners", labelme(tmp_path, "circle"), tmp_path / "out")
    expected = [40 / WIDTH, 30 / HEIGHT, 24 / WIDTH, 24 / HEIGHT]
    np.testing.assert_allclose(sample.boxes[0, 1:], expected, atol=1e-6)


@pytest.mark.parametrize("shape", ["line", "point"])
def test_a_shape_that_encloses_nothing_is_refused(tmp_path, shape):
    with pytest.raises(DataError, match=f"a {shape} is no box"):
        convert("corners", labelme(tmp_path, shape), tmp_path / "out")


def test_labelmes_files_are_corner_json(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
        shape = {"label": "apple", "points": [APPLE[2:], APPLE[:2]], "shape_type": "rectangle"}
        content = {
            "imagePath": f"..\\photos\\{name}.png",
            "imageWidth": WIDTH,
            "imageHeight": HEIGHT,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content | {"shapes": [shape]}))
    _, samples = convert("corners", tmp_path, tmp_path / "out")
    assert len(samples) == 2
    np.testing.assert_allclose(samples[0].boxes, EXPECTED[:1], atol=1e-6)


def test_the_picture_of_an_xml_is_the_one_of_its_name_or_else_the_one_it_names(tmp_path):
    source = voc(tmp_path)
    rewrite(source / "a.xml", "<filename>a.png<", "<filename>C:\\old\\name.jpg<")
    _, (sample,) = convert("voc", source, tmp_path / "out")
    assert sample.path.name == "a.png"
    (source / "a.xml").rename(source / "b.xml")
    with pytest.raises(DataError, match=r"b\.xml: the path .* leads out"):
        convert("voc", source, tmp_path / "other")
    rewrite(source / "b.xml", "<filename>C:\\old\\name.jpg<", "<filename>a.png<")
    _, (sample,) = convert("voc", source, tmp_path / "third")
    assert sample.path.name == "a.png"


def test_two_pictures_of_one_name_are_refused(tmp_path):
    source = corners(tmp_path)
    content = json.loads(source.read_text())
    source.write_text(json.dumps(content * 2))
    with pytest.raises(DataError, match="a second picture called a"):
        convert("corners", source, tmp_path / "out")


def test_pictures_that_would_share_their_labels_are_refused_and_nothing_is_left(tmp_path):
    source = corners(tmp_path)
    (content,) = json.loads(source.read_text())
    picture(tmp_path / "a.jpg")
    source.write_text(json.dumps([content, content | {"image": "a.jpg"}]))
    with pytest.raises(DataError, match="a second picture called a"):
        convert("corners", source, tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    source.write_text(json.dumps([content]))
    convert("corners", source, tmp_path / "out")


def test_a_folder_that_has_a_set_is_not_written_into(tmp_path):
    source = coco(tmp_path)
    convert("coco", source, tmp_path / "out")
    with pytest.raises(DataError, match="choose another folder"):
        convert("coco", source, tmp_path / "out")


share = st.floats(0.0, 1.0)
spans = st.tuples(share, share).map(sorted).filter(lambda span: span[1] - span[0] > 0.01)
drawn = st.lists(st.tuples(st.integers(0, 2), spans, spans), max_size=5)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """Two pictures; their labels are written by the test."""
    folder = tmp_path_factory.mktemp("layout")
    pictures = [picture(folder / "images" / "val" / f"{name}.png") for name in ("x", "y/z")]
    return write_config(folder, ("a", "b", "unused"), {"val": "images/val"}), pictures


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes=st.tuples(drawn, drawn))
def test_a_set_that_goes_to_coco_and_back_keeps_its_boxes(layout, tmp_path_factory, boxes):
    data, pictures = layout
    for path, of_picture in zip(pictures, boxes, strict=True):
        rows = [(c, sum(x) / 2, sum(y) / 2, x[1] - x[0], y[1] - y[0]) for c, x, y in of_picture]
        unique = {tuple(round(v, 4) for v in row[1:]): row for row in rows}
        write_labels(path, np.array(list(unique.values())).reshape(-1, 5))
    before = read_split(read_config(data), "val")
    out = tmp_path_factory.mktemp("out")
    content, folder = write_coco(read_config(data), "val")
    (out / "val.json").write_text(json.dumps(content))
    config, after = convert("coco", out / "val.json", out / "back", images=folder)
    assert config.names == ("a", "b", "unused")
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        assert one.path.relative_to(folder) == other.path.relative_to(out / "back/images/train")
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-5)


def test_the_command_converts_there_and_back(tmp_path, capsys):
    out, back = tmp_path / "out", tmp_path / "deep" / "back.json"
    source = str(coco(tmp_path))
    dataset.main(["convert", source, "--from", "coco", "--out", str(out), "--split", "val"])
    assert "2 classes, pictures: 1 in 'val'" in capsys.readouterr().out
    data = str(out / "data.yaml")
    dataset.main(["convert", data, "--to", "coco", "--split", "val", "--out", str(back)])
    assert "1 pictures" in capsys.readouterr().out
    boxes = [a["bbox"] for a in json.loads(back.read_text())["annotations"]]
    np.testing.assert_allclose(boxes, [[8, 6, 16, 24], [40, 30, 40, 30]], atol=1e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        ["gone", "--from", "coco", "--out", "x"],
        ["gone", "--out", "x"],
        ["gone", "--from", "coco", "--to", "coco", "--out", "x"],
        ["gone", "--from", "yolo", "--out", "x"],
    ],
)
def test_a_mistake_is_one_line_and_status_two(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        dataset.main(["convert", *arguments])
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
