import re

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from model.boxes import PAD_GREY, Letterbox, tight_sides
from model.data.augment import PRESETS, AugmentConfig, augment, letterbox, load_transform
from model.data.dataset import DataError, read_config, read_picture, read_split
from model.data.library import load_library
from model.data.mix import LEAST_SIDE_PX, cover, mixup, mosaic
from model.data.trainset import SHAPES, TrainSet, collate, one_thread
from tests.model.helpers import ROOT, SAMPLE

SEEDS = st.integers(0, 2**32)
QUICK = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module")
def samples():
    return read_split(read_config(SAMPLE / "data.yaml"), "train")


@pytest.fixture(scope="module")
def library():
    return load_library(SAMPLE, read_config(SAMPLE / "data.yaml").names, "train")


def assert_inside(rows, classes):
    corners = np.concatenate((rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2))
    assert rows.dtype == np.float32
    assert (corners > -1e-4).all()
    assert (corners < 1 + 1e-4).all()
    assert (rows[:, 3:] > 0).all()
    assert set(rows[:, 0]) <= set(classes)


@pytest.mark.parametrize("shape", sorted(set(SHAPES)))
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_keeps_boxes_inside_and_repeats_with_its_seed(preset, shape, samples):
    transform = load_transform(preset, 128, shape)
    for seed, sample in enumerate(samples[:12]):
        image = read_picture(sample.path)
        pictures = []
        for _ in range(2):
            transform.set_random_seed(seed)
            out, rows = augment(transform, image, sample.boxes, 128)
            assert tuple(sorted(out.shape[:2], reverse=True)) in tight_sides(128)
            if preset not in ("none", "scene"):  # which cut nothing
                assert out.shape[1::-1] == Letterbox(*shape, 128, tight=True).outer
            of_part = [1, *[128 / out.shape[1], 128 / out.shape[0]] * 2]
            assert_inside(rows * np.array(of_part, np.float32), range(11))
            pictures.append(out)
        assert (pictures[0] == pictures[1]).all()


def test_the_preset_none_only_fits_the_picture_into_the_input(samples):
    image = read_picture(samples[0].path)
    plain = letterbox(image, samples[0].boxes, 96, tight=True)
    through = augment(load_transform("none", 96), image, samples[0].boxes, 96)
    assert (plain[0] == through[0]).all()
    assert plain[1] == pytest.approx(through[1], abs=1e-6)


@pytest.mark.parametrize("size", [96, 416])
def test_sizes_in_a_preset_are_shares_of_the_input(tmp_path, size):
    path = tmp_path / "mine.yaml"
    path.write_text("- Resize: {height: 1.0, width: 0.5}\n")
    transform = load_transform(str(path), size)
    assert transform(image=np.zeros((9, 9, 3), np.uint8), bboxes=[], class_ids=[])[
        "image"
    ].shape == (size, size // 2, 3)


def test_sizes_in_a_preset_follow_the_shape_of_the_input(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- LongestMaxSize: {max_size: 1.0}\n"
        "- PadIfNeeded: {min_height: 1, min_width: 1}\n"
        "- RandomCrop: {height: 1, width: 1}\n"
    )
    transform = load_transform(str(path), 416, (16, 9))
    for high, wide in ((90, 90), (60, 120)):
        white = np.full((high, wide, 3), 255, np.uint8)
        seen = transform(image=white, bboxes=[], class_ids=[])["image"]
        assert seen.shape == (288, 512, 3)
        assert (seen[144] == 255).all(1).sum() == int((512 * 288) ** 0.5)


def test_a_crop_that_is_larger_than_what_a_preset_leaves_is_refused_in_one_line(tmp_path):
    path = tmp_path / "late.yaml"
    path.write_text(
        "- PadIfNeeded: {min_height: 1, min_width: 1}\n"
        "- Transpose: {p: 1}\n"
        "- RandomCrop: {height: 1, width: 1}\n"
    )
    transform, image = load_transform(str(path), 416, (16, 9)), np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(DataError, match="cannot take a picture of 30×20: Crop size") as refusal:
        augment(transform, image, np.empty((0, 5)), 416)
    assert "\n" not in str(refusal.value)


def test_a_picture_that_a_preset_leaves_oblong_is_letterboxed(tmp_path):
    path = tmp_path / "flip.yaml"
    path.write_text("- HorizontalFlip: {p: 1.0}\n")
    image = np.zeros((50, 100, 3), np.uint8)
    rows = np.array([[2, 0.1, 0.5, 0.2, 1.0]], np.float32)
    out, moved = augment(load_transform(str(path), 64), image, rows, 64)
    assert out.shape == (64, 64, 3)
    assert moved[0] == pytest.approx([2, 0.9, 0.5, 0.2, 0.5])


def test_a_preset_sees_red_as_red(tmp_path):
    path = tmp_path / "red.yaml"
    path.write_text(
        "- RGBShift: {r_shift_limit: [50, 50], g_shift_limit: 0, b_shift_limit: 0, p: 1}"
    )
    image, _ = augment(
        load_transform(str(path), 32), np.full((32, 32, 3), 100, np.uint8), np.empty((0, 5)), 32
    )
    assert image[0, 0].tolist() == [100, 100, 150]


def test_the_counters_white_balance_keeps_orange_and_lemon_apart():
    transform = load_transform("counter", 64)
    rows, hues = np.empty((0, 5)), []
    for bgr in ((20, 120, 230), (40, 200, 230)):
        image = np.full((64, 64, 3), bgr, np.uint8)
        hues.append([])
        for seed in range(150):
            transform.set_random_seed(seed)
            out, _ = augment(transform, image, rows, 64)
            hue, saturation, _ = cv2.split(cv2.cvtColor(out, cv2.COLOR_BGR2HSV))
            hues[-1].append(np.median(hue[saturation > 90]))
    assert max(hues[0]) + 3 < min(hues[1])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- Flop: {}", "no transform 'Flop'"),
        ("- Compose", "Compose: .*transforms"),
        ("- D4: {q: 1}", "D4: does not know q; it takes .*p"),
        ("- D4: 3", "D4: does not know 3"),
        ("- GaussNoise: {std_range: [3, 5]}", "GaussNoise: .*std_range"),
        ("- OneOf: {transforms: [Flop]}", "no transform 'Flop'"),
        ("- OneOf: {transforms: 3}", "expected a list"),
        ("- [D4]", "expected '- Transform"),
        ("D4: {}", "expected a list"),
        ("- [", "neither a preset"),
        ("- LongestMaxSize: {max_size: [0.8, 1]}", "max_size must be a share of the input"),
    ],
)
def test_a_preset_that_cannot_be_built_is_refused_by_name(tmp_path, text, reason):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=reason) as refusal:
        load_transform(str(path), 64)
    assert "mine.yaml" in str(refusal.value)
    assert "\n" not in str(refusal.value).split("neither")[0]


def test_the_documentation_names_every_preset_and_its_example_can_be_built(tmp_path):
    text = (ROOT / "docs" / "augmentation.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE)) == set(PRESETS)
    path = tmp_path / "example.yaml"
    path.write_text("\n".join(re.findall(r"^    (.+)$", text, re.MULTILINE)))
    image, _ = augment(
        load_transform(str(path), 64), np.zeros((50, 90, 3), np.uint8), np.empty((0, 5)), 64
    )
    assert image.shape == (64, 64, 3)


def test_a_preset_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(DataError, match=r"defualt: neither a preset .*original"):
        load_transform("defualt", 64)


def test_letterboxed_boxes_follow_their_picture():
    image = np.zeros((100, 200, 3), np.uint8)
    image[25:75, 50:150] = 255
    out, rows = letterbox(image, np.array([[0, 0.5, 0.5, 0.5, 0.5]], np.float32), 64)
    assert rows[0, 1:] == pytest.approx([0.5, 0.5, 0.5, 0.25])
    assert (out[26:38, 18:46] == 255).all()


@st.composite
def pictures(draw):
    """A picture of random size, white inside of its boxes."""
    rng = np.random.default_rng(draw(SEEDS))
    height, width = rng.integers(10, 80, 2)
    count = int(rng.integers(0, 5))
    centre, size = rng.uniform(0, 1, (count, 2)), rng.uniform(0.05, 1, (count, 2))
    low, high = np.clip(centre - size / 2, 0, 1), np.clip(centre + size / 2, 0, 1)
    classes = rng.integers(0, 9, (count, 1))
    rows = np.concatenate((classes, (low + high) / 2, high - low), axis=1).astype(np.float32)
    image = np.zeros((height, width, 3), np.uint8)
    for (x1, y1), (x2, y2) in zip(low * (width, height), high * (width, height), strict=True):
        image[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = 255
    return image, rows


@QUICK
@given(st.lists(pictures(), min_size=4, max_size=4), SEEDS)
def test_a_mosaic_has_four_pictures_boxes_where_their_fruit_is(four, seed):
    image, rows = mosaic(four, 96, np.random.default_rng(seed))
    again, _ = mosaic(four, 96, np.random.default_rng(seed))
    assert image.shape == (96, 96, 3)
    assert (image == again).all()
    assert_inside(rows, np.concatenate([boxes[:, 0] for _, boxes in four]))
    for _, cx, cy, _, _ in rows * 96:
        assert image[min(int(cy), 95), min(int(cx), 95)].max() > 100


@QUICK
@given(pictures(), pictures(), SEEDS)
def test_mixup_has_the_boxes_of_both_and_the_size_of_the_first(first, second, seed):
    image, rows = mixup(first, second, np.random.default_rng(seed))
    assert image.shape == first[0].shape
    assert (rows[: len(first[1])] == first[1]).all()
    assert len(rows) <= len(first[1]) + len(second[1])
    assert_inside(rows, np.concatenate((first[1][:, 0], second[1][:, 0])))
    for _, cx, cy, _, _ in rows:
        y, x = int(cy * image.shape[0]), int(cx * image.shape[1])
        assert image[min(y, image.shape[0] - 1), min(x, image.shape[1] - 1)].max() > 20


@QUICK
@given(pictures(), st.integers(8, 90), st.integers(8, 90), SEEDS)
def test_a_cut_keeps_no_small_leftovers(picture, width, height, seed):
    image, rows = cover(picture, width, height, np.random.default_rng(seed))
    assert image.shape == (height, width, 3)
    assert_inside(rows, picture[1][:, 0])
    assert (rows[:, 3:] * (width, height) >= LEAST_SIDE_PX - 1e-3).all()


def test_a_box_is_kept_only_if_enough_of_it_is_left():
    image = np.zeros((100, 300, 3), np.uint8)
    rng = np.random.default_rng(0)
    kept = [
        len(cover((image, np.array([[0, 0.5, 0.5, w, 0.9]], np.float32)), 100, 100, rng)[1])
        for w in (0.3, 1.0)  # 90 px are in a 100 px cut or not; of 300 px a third is always left
        for _ in range(30)
    ]
    assert 0 < sum(kept[:30]) < 30
    assert sum(kept[30:]) == 30


MIXES = [{}, {"mosaic": 1.0}, {"mixup": 1.0}, {"copy_paste": 1.0}, {"preset": "counter"}]


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_an_item_depends_on_seed_epoch_and_index_only(mix, samples, library):
    config = AugmentConfig(**mix)
    dataset = TrainSet(samples[:2], 96, seed=1, library=library, composed=2, augment=config)
    assert len(dataset) == 4
    for index in range(4):
        (first, rows), (second, _) = dataset[index], dataset[index]
        assert (first == second).all()
        assert max(first.shape) == 96
        assert_inside(rows.numpy(), range(11))
    before = dataset[3][0]
    dataset.epoch = 1
    assert not torch.equal(dataset[3][0], before)


def test_scenes_and_cut_photographs_have_the_shape_of_their_batch(samples, library):
    dataset = TrainSet(samples[:3], 416, seed=1, library=library, composed=3)
    for shape, size in (((16, 9), (288, 512)), ((4, 3), (352, 448)), ((1, 1), (416, 416))):
        dataset.shape = shape
        for index in range(6):
            image, rows = dataset[index]
            assert image.shape == (3, *size)
            ends = (rows[:, 1:3] + rows[:, 3:] / 2) * 416
            assert len(rows) == 0 or (ends.amax(0) <= torch.tensor(size[::-1]) + 1e-3).all()


def test_pictures_of_several_shapes_are_filled_up_in_a_batch_and_no_box_moves():
    low, high = (torch.full((3, *sides), 7, dtype=torch.uint8) for sides in ((64, 96), (96, 64)))
    boxes = torch.tensor([[2, 0.3, 0.2, 0.1, 0.1]])
    images, rows = collate([(low, boxes), (high, boxes), (low, boxes[:0])])
    assert images.shape == (3, 3, 96, 96)
    assert torch.equal(images[0, :, :64], low)
    assert torch.equal(images[1, :, :, :64], high)
    assert set(images[0, :, 64:].unique().tolist()) == {PAD_GREY}
    assert rows[:, 0].tolist() == [0, 1]
    assert torch.equal(rows[:, 1:], boxes.repeat(2, 1))


def test_batches_are_the_same_however_many_workers_make_them(samples, library):
    config = AugmentConfig(mosaic=0.5, mixup=0.5, copy_paste=0.5)
    dataset = TrainSet(samples[:4], 96, seed=3, library=library, composed=4, augment=config)
    alone, shared = (
        list(DataLoader(dataset, 2, num_workers=n, collate_fn=collate, worker_init_fn=one_thread))
        for n in (0, 2)
    )
    for (images, rows), (same_images, same_rows) in zip(alone, shared, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(rows, same_rows)


def test_mixing_changes_pictures_and_a_chance_of_nought_does_not(samples, library):
    plain, mosaics = (
        TrainSet(samples[:4], 96, seed=3, library=library, augment=AugmentConfig("none", **mix))
        for mix in ({}, {"mosaic": 1.0})
    )
    image, _ = letterbox(read_picture(samples[0].path), samples[0].boxes, 96, tight=True)
    assert (plain[0][0].numpy() == image[:, :, ::-1].transpose(2, 0, 1)).all()
    assert (mosaics[0][0] != plain[0][0]).any()


def test_composed_scenes_go_through_a_preset_of_their_own(samples, library):
    def items(preset: str, scene_preset: str) -> list[torch.Tensor]:
        augment = AugmentConfig(preset, scene_preset)
        dataset = TrainSet(samples[:4], 96, 3, library, composed=4, augment=augment)
        return [dataset[index][0] for index in range(8)]

    plain, photos, scenes = items("none", "none"), items("counter", "none"), items("none", "scene")
    for index in range(4):
        assert torch.equal(plain[index], scenes[index])
        assert torch.equal(plain[4 + index], photos[4 + index])
    assert not all(map(torch.equal, plain[:4], photos[:4]))
    assert not all(map(torch.equal, plain[4:], scenes[4:]))


@pytest.mark.parametrize("where", ["preset", "scene_preset"])
def test_a_preset_that_is_not_there_is_refused_before_anything_is_read(where, samples):
    with pytest.raises(DataError, match="neither a preset"):
        TrainSet(samples, 96, seed=0, augment=AugmentConfig(**{where: "nowhere.yaml"}))


def test_copy_paste_without_cut_outs_is_refused(samples):
    with pytest.raises(DataError, match="--scenes"):
        TrainSet(samples, 96, seed=0, augment=AugmentConfig(copy_paste=0.1))
