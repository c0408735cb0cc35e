import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data import clutter
from model.data.dataset import DataError, read_config, read_picture, read_split
from model.data.library import Cutout, SceneLibrary, load_library
from model.data.light import Light, draw_light, photograph, shade
from model.data.scene import LEAST_VISIBLE, Scene
from model.data.surfaces import plain_surfaces
from model.data.synthesize import SceneConfig, compose, paste
from tests.model.helpers import SAMPLE

NAMES = read_config(SAMPLE / "data.yaml").names
LIGHT = Light(away=(1.0, 0.0), reach=0.3, softness=0.05, depth=0.5, contact=0.3, shading=0.2)
BARE = SceneConfig(fruits=(3, 6), clutter=0, distractors=0)


@pytest.fixture(scope="module")
def library():
    return load_library(SAMPLE, NAMES, "train")


def disc(side, grey=200):
    """A round fruit, premultiplied."""
    sprite = np.zeros((side, side, 4), np.uint8)
    cv2.circle(sprite, (side // 2, side // 2), side // 2 - 1, (grey, grey, grey, 255), -1)
    return sprite


def table(grey=128):
    return np.full((120, 160, 3), grey, np.uint8)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(320, 240), (240, 320), (455, 256), (96, 96)]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_composed_scenes_have_boxes_inside_and_repeat_with_their_seed(library, seed, size, variety):
    config = SceneConfig(variety=variety)
    first, second = (compose(library, config, np.random.default_rng(seed), *size) for _ in range(2))
    image, rows = first
    assert image.shape == (size[1], size[0], 3)
    assert len(rows) <= 15
    assert set(rows[:, 0].astype(int)) <= set(library.by_class)
    assert (rows[:, 1:3] - rows[:, 3:] / 2 > -1e-6).all()
    assert (rows[:, 1:3] + rows[:, 3:] / 2 < 1 + 1e-6).all()
    assert (rows[:, 3:] > 0).all()
    assert (image == second[0]).all()
    assert (rows == second[1]).all()


def test_most_of_the_fruit_asked_for_finds_room(library):
    rng = np.random.default_rng(0)
    counts = [len(compose(library, BARE, rng, 320, 240)[1]) for _ in range(30)]
    assert max(counts) <= 6
    assert np.mean(counts) > 2.5


def test_things_not_for_sale_are_in_the_picture_and_not_in_the_labels(library):
    lime = Cutout(library.by_class[0][0].image, -1, 8.0)
    things = SceneLibrary(library.by_class, [lime], library.backgrounds)
    scenes = [
        compose(things, SceneConfig((0, 0), distractors=chance, clutter=0), rng, 320, 240)
        for chance, rng in ((1.0, np.random.default_rng(2)), (0.0, np.random.default_rng(2)))
    ]
    assert [len(rows) for _, rows in scenes] == [0, 0]
    assert np.abs(scenes[0][0].astype(int) - scenes[1][0]).mean() > 1


def test_a_varied_fruit_is_of_another_build_and_skin_and_in_the_labels_all_the_same(library):
    apple = SceneLibrary({0: library.by_class[0][:1]}, [], library.backgrounds)
    alone = SceneConfig((1, 1), distractors=0, clutter=0)
    varied = replace(alone, variety=1.0)
    plain, other = (
        [compose(apple, config, np.random.default_rng(n), 320, 240) for n in range(20)]
        for config in (alone, varied)
    )
    assert [len(rows) for _, rows in plain] == [len(rows) for _, rows in other]
    ratios = [
        [rows[0, 3] / rows[0, 4] for _, rows in scenes if len(rows)] for scenes in (plain, other)
    ]
    assert np.std(ratios[1]) > np.std(ratios[0])


def test_a_box_follows_what_stays_visible_of_a_fruit():
    scene = Scene(table(), LIGHT)
    scene.put(disc(40), (20, 20), 3)
    whole = scene.rows()
    assert whole[0] == pytest.approx([3, 40 / 160, 40 / 120, 39 / 160, 39 / 120], abs=0.01)
    scene.put(disc(40), (44, 20), 4)
    partly = scene.rows()
    assert partly[0, 3] < whole[0, 3]
    assert partly[0, 1] < whole[0, 1]
    assert partly[1, 3] == pytest.approx(whole[0, 3])


@pytest.mark.parametrize(("shift", "boxes"), [(30, 2), (8, 1), (0, 1)])
def test_a_fruit_that_nobody_could_name_any_more_has_no_box(shift, boxes):
    scene = Scene(table(), LIGHT)
    scene.put(disc(40), (20, 20), 3)
    scene.put(disc(40), (20 + shift, 20), 4)
    assert len(scene.rows()) == boxes


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_no_spot_hides_too_much_of_another_fruit(seed):
    rng = np.random.default_rng(seed)
    scene = Scene(table(), LIGHT)
    for _ in range(12):
        sprite = disc(int(rng.integers(12, 60)))
        spot = scene.find_spot(sprite[:, :, 3], 0.35, rng)
        if spot:
            scene.put(sprite, spot, 0)
    for number, (_, area) in enumerate(scene.placed):
        # spots are sought on every fourth pixel: small fruit is measured coarsely
        assert (scene.owner == number).sum() > LEAST_VISIBLE * area * 0.7


def test_a_full_table_has_no_spot_left():
    scene = Scene(table(), LIGHT, np.array([[0, 0.5, 0.5, 1.0, 1.0]]))
    assert scene.find_spot(disc(150)[:, :, 3], 0.1, np.random.default_rng(0)) is None


def test_shadows_fall_away_from_the_lamp_and_fruit_is_brighter_towards_it():
    scene = Scene(table(), LIGHT)
    scene.put(shade(disc(40), LIGHT, np.ones(3)), (60, 40), 0)
    left, right = scene.canvas[60, 50:58].mean(), scene.canvas[60, 102:110].mean()
    assert right < left <= 128
    assert scene.canvas[60, 66].mean() > scene.canvas[60, 94].mean()
    assert (scene.canvas[5, :20] == 128).all()


def test_some_lamps_stand_so_low_that_a_shadow_is_nearly_as_long_as_the_fruit():
    rng = np.random.default_rng(0)
    reaches = np.array([draw_light(rng).reach for _ in range(500)])
    assert 0.2 < (reaches > 0.18).mean() < 0.4
    assert 0.7 < reaches.max() <= 0.8


def test_one_scene_has_one_light(library, monkeypatch):
    seen = []
    monkeypatch.setattr("model.data.synthesize.shade", lambda s, light, _: seen.append(light) or s)
    compose(library, BARE, np.random.default_rng(0), 320, 240)
    assert len(seen) >= 3
    assert len(set(seen)) == 1


def test_white_balance_keeps_an_orange_from_becoming_a_lemon():
    orange, lemon = (0, 120, 230), (40, 200, 230)
    hues = []
    for seed in range(60):
        colours = [
            photograph(np.full((64, 64, 3), c, np.uint8), np.random.default_rng(seed))
            for c in (orange, lemon)
        ]
        hues.append([cv2.cvtColor(c, cv2.COLOR_BGR2HSV)[:, :, 0].mean() for c in colours])
    assert np.max(hues, axis=0)[0] + 4 < np.min(hues, axis=0)[1]


def test_a_hand_hides_pixels_but_no_fruit_whole():
    laid = 0
    for seed in range(20):
        scene = Scene(table(), LIGHT)
        scene.put(disc(30), (65, 45), 0)
        rng = np.random.default_rng(seed)
        hidden = scene.hide(clutter.hand(rng, 160, 120, 5.0, draw_light(rng)))
        laid += hidden
        assert len(scene.rows()) == 1
        assert ((scene.canvas != 128).any(-1).mean() > 0.1) or not hidden
    assert 5 < laid <= 20


@pytest.mark.parametrize("seed", range(3))
def test_paper_things_bags_and_stickers_are_premultiplied_sprites(seed):
    rng = np.random.default_rng(seed)
    sprites = [clutter.paper(rng, 200), clutter.bag(rng, 60, 80), clutter.stick(disc(50), rng, 5.0)]
    for sprite in (*sprites, clutter.thing(rng, 5.0), clutter.thing(rng, 0.1)):
        assert sprite.dtype == np.uint8
        assert (sprite[:, :, :3] <= sprite[:, :, 3:].astype(int) + 2).all()
    assert sprites[1][:, :, 3].max() < 255  # fruit shows through a bag
    assert (sprites[2][:, :, 3] == disc(50)[:, :, 3]).all()
    assert (sprites[2] != disc(50)).any()


def test_some_hands_wear_knitted_gloves_and_all_are_premultiplied_sprites():
    roughness = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sprite = clutter.hand(rng, 160, 120, 8.0, draw_light(rng))
        assert sprite.shape == (120, 160, 4)
        assert (sprite[:, :, :3] <= sprite[:, :, 3:].astype(int) + 2).all()
        inside = cv2.erode(sprite[:, :, 3], np.ones((9, 9), np.uint8)) == 255
        edges = cv2.Laplacian(sprite[:, :, 1].astype(np.float32), cv2.CV_32F)
        roughness.append(np.abs(edges[inside]).mean())
    rough = np.array(roughness) > 5 * np.median(roughness)
    assert 2 <= rough.sum() <= 20


def test_a_fruit_too_small_for_a_sticker_gets_none():
    assert (clutter.stick(disc(6), np.random.default_rng(0), 5.0) == disc(6)).all()


def test_pasted_fruit_joins_a_photograph_and_its_boxes_stay(library):
    sample = next(
        s for s in read_split(read_config(SAMPLE / "data.yaml"), "train") if len(s.boxes) > 1
    )
    image = read_picture(sample.path)
    before = image.copy()
    more = 0
    for seed in range(10):
        out, rows = paste(image, sample.boxes, library, BARE, np.random.default_rng(seed))
        assert (rows[: len(sample.boxes)] == sample.boxes).all()
        assert len(rows) <= len(sample.boxes) + 3
        more += len(rows) - len(sample.boxes)
        assert (out != before).any() or len(rows) == len(sample.boxes)
    assert more > 5
    assert (image == before).all()


def write_cutout(path, grey=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((20, 20, 4), (grey, 0, 0, 255), np.uint8))


def test_a_folder_without_cutouts_is_refused(tmp_path):
    with pytest.raises(DataError, match="needs cutouts"):
        load_library(tmp_path, ("apple",), "train")


def test_a_folder_without_backgrounds_gets_plain_tables_and_says_so(tmp_path, capsys):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png")
    library = load_library(tmp_path, ("apple",), "train")
    assert capsys.readouterr().err.count("\n") == 1
    image, rows = compose(library, BARE, np.random.default_rng(0), 160, 120)
    assert len(rows)
    assert image.std() > 0


def test_a_folders_own_sizes_go_before_the_shipped_ones(tmp_path):
    for name in ("apple", "persimmon", "lemon"):
        write_cutout(tmp_path / "cutouts" / name / "a.png")
    (tmp_path / "sizes_cm.yaml").write_text("persimmon: 7.5\nlemon: 9\n")
    library = load_library(tmp_path, ("apple", "persimmon", "lemon"), "train")
    assert [library.by_class[i][0].size_cm for i in range(3)] == [8, 7.5, 9]


@pytest.mark.parametrize("text", ["apple", "- apple", "apple: large", "apple: 0", "apple: ["])
def test_a_size_that_is_none_is_refused(tmp_path, text):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png")
    (tmp_path / "sizes_cm.yaml").write_text(text)
    with pytest.raises(DataError, match=r"sizes_cm\.yaml: .*centimetres"):
        load_library(tmp_path, ("apple",), "train")


def test_generated_tables_repeat_and_differ_between_splits():
    first, again, other = plain_surfaces("train"), plain_surfaces("train"), plain_surfaces("val")
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not any((a == b).all() for a, b in zip(first, other, strict=True))
    assert len({int(t.mean()) for t in first}) > 10


def test_large_photographs_are_kept_small_enough_for_memory(tmp_path):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png")
    large = np.full((900, 1800, 4), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "cutouts" / "apple" / "b.png"), large)
    (tmp_path / "backgrounds").mkdir()
    cv2.imwrite(str(tmp_path / "backgrounds" / "g.png"), np.zeros((1500, 2000, 3), np.uint8))
    library = load_library(tmp_path, ("apple",), "train")
    assert [c.image.shape[:2] for c in library.by_class[0]] == [(20, 20), (256, 512)]
    assert library.backgrounds[0].shape == (768, 1024, 3)


def test_a_manifest_keeps_the_splits_apart(tmp_path):
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "split"))
        for split, grey in (("train", 10), ("val", 200)):
            write_cutout(tmp_path / "cutouts" / "apple" / f"{split}.png", grey)
            rows.writerow((f"cutouts/apple/{split}.png", split))
            ground = tmp_path / "backgrounds" / split / "g.png"
            ground.parent.mkdir(parents=True)
            cv2.imwrite(str(ground), np.zeros((48, 64, 3), np.uint8))
    library = load_library(tmp_path, ("apple",), "val")
    assert [c.image[0, 0, 0] for c in library.by_class[0]] == [200]
    (tmp_path / "manifest.csv").write_text("\ufefffile,split\ncutouts/apple/train.png,val\n")
    library = load_library(tmp_path, ("apple",), "val")  # as spreadsheets save it
    assert [c.image[0, 0, 0] for c in library.by_class[0]] == [10]


def test_things_not_for_sale_have_names_and_boxes_for_those_who_ask(tmp_path):
    for place in (
        "cutouts/apple",
        "cutouts_bonus/apple",
        "cutouts_bonus/lime",
        "cutouts_bonus/nut",
    ):
        write_cutout(tmp_path / place / "a.png")
    library = load_library(tmp_path, ("apple",), "train", others=True)
    assert library.others == ("lime", "nut")  # what is for sale here is no other thing
    assert [c.class_id for c in library.distractors] == [1, 2]
    rng = np.random.default_rng(0)
    crowded = SceneConfig((0, 0), distractors=1.0, clutter=0)
    scenes = [compose(library, crowded, rng, 320, 240)[1] for _ in range(9)]
    assert {int(class_id) for rows in scenes for class_id in rows[:, 0]} == {1, 2}
    plain = load_library(tmp_path, ("apple",), "train")
    assert plain.others == ()
    assert [c.class_id for c in plain.distractors] == [-1, -1]


def test_names_without_cutouts_are_told_with_the_folders_there_are(tmp_path, capsys):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png")
    write_cutout(tmp_path / "cutouts" / "persimon" / "a.png")
    load_library(tmp_path, ("apple", "persimmon"), "train")
    said = capsys.readouterr().err
    assert "scenes show no persimmon: no cut-outs that may serve" in said
    assert "there are apple, persimon" in said
    load_library(tmp_path, ("apple",), "train")
    assert "scenes show no" not in capsys.readouterr().err


def test_a_sheet_beside_its_cutouts_and_an_empty_folder_are_no_other_thing(tmp_path):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png")
    write_cutout(tmp_path / "cutouts_bonus" / "phone" / "a.png")
    write_cutout(tmp_path / "cutouts_bonus" / "phone.jpg")
    (tmp_path / "cutouts_bonus" / "empty").mkdir()
    library = load_library(tmp_path, ("apple",), "train", others=True)
    assert library.others == ("phone",)
    assert [c.class_id for c in library.distractors] == [1]


def test_flat_cutouts_of_names_that_begin_alike_stay_apart(tmp_path):
    write_cutout(tmp_path / "cutouts" / "pear_1.png")
    write_cutout(tmp_path / "cutouts" / "pear_asian_1.png", 20)
    library = load_library(tmp_path, ("pear", "pear_asian"), "train")
    greys = {c: [int(x.image[0, 0, 0]) for x in group] for c, group in library.by_class.items()}
    assert greys == {0: [10], 1: [20]}


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((20, 20, 4), np.uint8), "is transparent all over"),
        (np.full((20, 20, 4), 65535, np.uint16), "has 16 bits a colour; save it with 8"),
    ],
)
def test_a_cutout_that_shows_nothing_or_too_much_is_refused(tmp_path, image, said):
    (tmp_path / "cutouts" / "apple").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "cutouts" / "apple" / "a.png"), image)
    with pytest.raises(DataError, match=said):
        load_library(tmp_path, ("apple",), "train")


def test_a_manifest_in_another_encoding_is_refused_in_one_line(tmp_path):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png")
    (tmp_path / "manifest.csv").write_bytes("file,split,메모\n".encode("cp949"))
    with pytest.raises(DataError, match="cannot be read as a CSV in UTF-8"):
        load_library(tmp_path, ("apple",), "train")


def test_kin_are_all_cutouts_of_a_name_on_sale_or_not(tmp_path):
    for name in ("cutouts/apple", "cutouts/pear", "cutouts_bonus/lime", "cutouts_bonus/nut"):
        write_cutout(tmp_path / name / "a.png")
        write_cutout(tmp_path / name / "b.png")
    library = load_library(tmp_path, ("apple", "pear"), "train", others=True)
    pear, nut = library.by_class[1][0], library.distractors[-1]
    assert library.kin(pear) == library.by_class[1]
    assert library.kin(nut) == library.distractors[2:]
    unnamed = load_library(tmp_path, ("apple", "pear"), "train").distractors
    things = SceneLibrary(library.by_class, unnamed, [])
    assert things.kin(unnamed[0]) == [unnamed[0]]  # a nut's skin is none for a lime


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        pytest.param(["train"] * 13, [11, 12], id="none is kept for validation: the last sixth is"),
        pytest.param(["train"] * 5, [], id="too few to keep one"),
        pytest.param(["train"] * 12 + ["val"], [12], id="the manifest keeps some: those alone"),
    ],
)
def test_some_things_not_for_sale_are_kept_for_validation(tmp_path, listed, kept):
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "split"))
        for split in ("train", "val"):
            write_cutout(tmp_path / "cutouts" / "apple" / f"{split}.png")
            rows.writerow((f"cutouts/apple/{split}.png", split))
        for number, split in enumerate(listed):
            write_cutout(tmp_path / "cutouts_bonus" / "lime" / f"{number:02d}.png", number)
            rows.writerow((f"cutouts_bonus/lime/{number:02d}.png", split))
    seen = {
        split: [
            int(c.image[0, 0, 0]) for c in load_library(tmp_path, ("apple",), split).distractors
        ]
        for split in ("train", "val")
    }
    assert seen["val"] == kept
    assert seen["train"] == [n for n in range(len(listed)) if n not in kept]


def test_a_manifest_without_its_columns_is_refused_and_none_is_said(tmp_path, capsys):
    write_cutout(tmp_path / "cutouts" / "apple" / "a.png", 10)
    load_library(tmp_path, ("apple",), "val")
    assert "no manifest.csv keeps cut-outs for validation" in capsys.readouterr().err
    (tmp_path / "manifest.csv").write_text("file,group\ncutouts/apple/a.png,g\n")
    with pytest.raises(DataError, match=r"manifest\.csv: has no column 'split'"):
        load_library(tmp_path, ("apple",), "val")
