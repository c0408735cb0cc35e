import cv2
import numpy as np
import pytest

from model.data.augment import augment, letterbox, training_transform
from model.data.dataset import DataError, read_config, read_picture, read_split
from model.data.synthesize import SceneConfig, compose, load_library
from model.data.trainset import TrainSet
from tests.model.helpers import SAMPLE


@pytest.fixture(scope="module")
def library():
    return load_library(SAMPLE, read_config(SAMPLE / "data.yaml").names, "train")


def test_augmented_boxes_stay_inside_and_the_same_seed_gives_the_same_picture():
    samples = read_split(read_config(SAMPLE / "data.yaml"), "train")
    transform = training_transform(128)
    for seed, sample in enumerate(samples[:12]):
        pictures = []
        for _ in range(2):
            transform.set_random_seed(seed)
            image, rows = augment(transform, read_picture(sample.path), sample.boxes)
            pictures.append(image)
            assert image.shape == (128, 128, 3)
            corners = np.concatenate(
                (rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2)
            )
            assert (corners > -1e-4).all()
            assert (corners < 1 + 1e-4).all()
        assert (pictures[0] == pictures[1]).all()


def test_letterboxed_boxes_follow_their_picture():
    image = np.zeros((100, 200, 3), np.uint8)
    image[25:75, 50:150] = 255
    out, rows = letterbox(image, np.array([[0, 0.5, 0.5, 0.5, 0.5]], np.float32), 64)
    assert rows[0, 1:] == pytest.approx([0.5, 0.5, 0.5, 0.25])
    assert (out[26:38, 18:46] == 255).all()


def test_composed_scenes_have_a_box_for_every_visible_fruit(library):
    rng = np.random.default_rng(0)
    config = SceneConfig(fruits=(3, 6), clutter=0, distractors=0)
    for _ in range(10):
        image, boxes = compose(library, config, rng, 320, 240)
        assert image.shape == (240, 320, 3)
        assert len(boxes) <= 6
        assert set(boxes[:, 0].astype(int)) <= set(library.by_class)
        assert (boxes[:, 3:] > 0).all()
        assert (boxes[:, 1:] <= 1).all()


def test_the_same_seed_composes_the_same_scene(library):
    first, second = (
        compose(library, SceneConfig(), np.random.default_rng(5), 320, 240) for _ in range(2)
    )
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


def test_things_not_for_sale_are_in_the_picture_and_not_in_the_labels(library, tmp_path):
    only = SceneConfig(fruits=(0, 0), distractors=1.0, clutter=0)
    ground = SceneConfig(fruits=(0, 0), distractors=0.0, clutter=0)
    rng = np.random.default_rng(2)
    cutout = library.by_class[0][0]
    lime = type(cutout)(cutout.image, -1, cutout.size_cm)
    with_things = type(library)(library.by_class, [lime], library.backgrounds)
    image, boxes = compose(with_things, only, rng, 320, 240)
    assert len(boxes) == 0
    empty, _ = compose(with_things, ground, np.random.default_rng(2), 320, 240)
    assert np.abs(image.astype(int) - empty).mean() > 1


def test_a_folder_without_cutouts_is_refused(tmp_path):
    with pytest.raises(DataError, match="needs cutouts"):
        load_library(tmp_path, ("apple",), "train")


def test_a_manifest_keeps_the_splits_apart(tmp_path):
    for split, colour in (("train", 10), ("val", 200)):
        folder = tmp_path / "cutouts" / "apple"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(folder / f"{split}.png"), np.full((20, 20, 4), (colour, 0, 0, 255), np.uint8)
        )
        grounds = tmp_path / "backgrounds" / split
        grounds.mkdir(parents=True)
        cv2.imwrite(str(grounds / "g.png"), np.zeros((48, 64, 3), np.uint8))
    rows = "".join(f"cutouts/apple/{split}.png,{split}\n" for split in ("train", "val"))
    (tmp_path / "manifest.csv").write_text("file,split\n" + rows)
    library = load_library(tmp_path, ("apple",), "val")
    assert [c.image[0, 0, 0] for c in library.by_class[0]] == [200]


def test_an_item_of_the_training_set_depends_on_seed_epoch_and_index_only(library):
    samples = read_split(read_config(SAMPLE / "data.yaml"), "train")[:2]
    dataset = TrainSet(samples, 96, seed=1, library=library, composed=2)
    assert len(dataset) == 4
    for index in range(4):
        (first, rows), (second, _) = dataset[index], dataset[index]
        assert (first == second).all()
        assert first.shape == (3, 96, 96)
        assert rows.shape[1] == 5
        assert ((rows[:, 1:] >= 0) & (rows[:, 1:] <= 1)).all()
    before = dataset[3][0]
    dataset.epoch = 1
    assert (dataset[3][0] != before).any()
