import cv2
import numpy as np
import pytest

from model import dataset
from model.data.commands.cutout import on_checkerboard
from model.data.cutout import CannotCut, cut_out
from model.data.sheets import TILE

ORANGE, GRAPE, PALE_PEAR = (30, 130, 235), (60, 25, 45), (120, 190, 205)
WHITE, BLACK, GREEN = (235, 238, 240), (25, 25, 25), (70, 160, 60)


def photo(fruits, ground=WHITE, size=(400, 300), shadow=0.0, slope=0.0, noise=3.0):
    """Ellipses (x, y, radius, colour) on a ground, and the mask of all of them."""
    width, height = size
    image = np.full((height, width, 3), ground, np.float32)
    image *= np.linspace(1 - slope, 1, width)[None, :, None]
    mask = np.zeros((height, width), np.uint8)
    dark = np.zeros((height, width), np.float32)
    for x, y, radius, _ in fruits:
        cv2.ellipse(dark, (x + radius // 2, y + radius // 3), (radius, radius), 0, 0, 360, 1.0, -1)
    image *= 1 - shadow * cv2.GaussianBlur(dark, (0, 0), 6)[:, :, None]
    for x, y, radius, colour in fruits:
        cv2.ellipse(image, (x, y), (radius, int(radius * 0.8)), 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(mask, (x, y), (radius, int(radius * 0.8)), 0, 0, 360, 255, -1)
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return image.clip(0, 255).astype(np.uint8), mask


def area_and_truth(cut, mask):
    return (cut[:, :, 3] > 127).sum(), (mask > 0).sum()


@pytest.mark.parametrize("trust_ground", [False, True])
@pytest.mark.parametrize(
    ("colour", "ground", "shadow"),
    [
        (ORANGE, WHITE, 0.0),
        (ORANGE, WHITE, 0.5),
        (GRAPE, WHITE, 0.4),
        (PALE_PEAR, WHITE, 0.3),
        (ORANGE, BLACK, 0.0),
        (PALE_PEAR, GREEN, 0.4),
    ],
)
def test_a_fruit_is_cut_out_without_its_shadow(colour, ground, shadow, trust_ground):
    image, mask = photo([(200, 150, 70, colour)], ground, shadow=shadow, slope=0.15)
    [cut] = cut_out(image, trust_ground)
    area, truth = area_and_truth(cut, mask)
    assert area == pytest.approx(truth, rel=0.06)
    x, y, w, h = cv2.boundingRect((cut[:, :, 3] > 127).astype(np.uint8))
    assert (w, h) == pytest.approx((141, 113), abs=6)
    assert 0 < x < 6
    assert 0 < y < 6


def test_the_edge_is_soft_and_has_the_colour_of_the_fruit_not_of_the_ground():
    image, _ = photo([(200, 150, 70, ORANGE)], BLACK, noise=0)
    [cut] = cut_out(image)
    edge = (cut[:, :, 3] > 10) & (cut[:, :, 3] < 245)
    assert edge.sum() > 200
    assert np.abs(cut[edge][:, :3].astype(int) - ORANGE).max() < 12


def test_several_fruits_give_a_cut_out_each_from_left_to_right():
    image, _ = photo([(300, 150, 60, ORANGE), (110, 150, 40, GRAPE)])
    cuts = cut_out(image)
    middles = [cut[cut.shape[0] // 2, cut.shape[1] // 2, :3].tolist() for cut in cuts]
    assert np.abs(np.subtract(middles, [GRAPE, ORANGE])).max() < 15


def test_dirt_beside_a_fruit_is_no_fruit():
    image, _ = photo([(200, 150, 70, ORANGE), (60, 60, 14, GRAPE)])
    assert len(cut_out(image)) == 1


def test_a_bright_spot_on_a_fruit_leaves_no_hole():
    image, mask = photo([(200, 150, 70, ORANGE)])
    cv2.circle(image, (190, 140), 18, WHITE, -1)
    [cut] = cut_out(image)
    area, truth = area_and_truth(cut, mask)
    assert area == pytest.approx(truth, rel=0.05)


def test_a_large_photograph_keeps_its_detail_up_to_a_limit():
    image, _ = photo([(1500, 1000, 900, ORANGE)], size=(3000, 2000))
    [cut] = cut_out(image)
    assert 760 < max(cut.shape[:2]) < 790  # 1800 of 3000 px, of a photograph kept at 1280


def patterned():
    image, _ = photo([(200, 150, 70, ORANGE)])
    image[::20] = (200, 30, 30)
    image[:, ::2] = (20, 200, 30)
    return image


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (photo([])[0], "no whole fruit"),
        (photo([(200, 150, 6, ORANGE)])[0], "no whole fruit"),
        (photo([(0, 150, 70, ORANGE)])[0], "no whole fruit"),
        (photo([(200, 150, 70, WHITE)])[0], "no whole fruit"),
        (np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8), None),
        (patterned(), "not plain"),
    ],
    ids=["empty", "tiny", "cut off", "like the ground", "noise", "pattern"],
)
def test_a_photograph_that_cannot_be_cut_says_why(image, reason):
    with pytest.raises(CannotCut, match=reason):
        cut_out(image)


@pytest.mark.parametrize("shape", [(30, 80), (700, 300)])
def test_a_checkerboard_shows_through_where_a_cut_out_is_clear(shape):
    cut = np.zeros((*shape, 4), np.uint8)
    cut[: shape[0] // 2] = (0, 0, 255, 255)
    board = on_checkerboard(cut)
    assert board.shape == (TILE, TILE, 3)
    assert (board == (0, 0, 255)).all(-1).any()
    assert {170, 255} <= set(np.unique(board))


def test_the_command_writes_cut_outs_and_names_what_it_could_not_cut(tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "good.png"), photo([(200, 150, 70, ORANGE)], shadow=0.4)[0])
    cv2.imwrite(str(photos / "two.png"), photo([(110, 150, 50, ORANGE), (300, 150, 50, GRAPE)])[0])
    cv2.imwrite(str(photos / "empty.png"), photo([])[0])
    (photos / "broken.jpg").write_bytes(b"not a picture")
    out = tmp_path / "shop" / "cutouts" / "orange"
    dataset.main(["cutout", str(photos), "--out", str(out)])
    said = capsys.readouterr()
    assert sorted(p.name for p in out.iterdir()) == ["good_1.png", "two_1.png", "two_2.png"]
    assert "3 cut-outs from 2 of 4 photos" in said.out
    assert "not cut: empty.png: no whole fruit" in said.err
    assert "not cut: broken.jpg: not a readable picture" in said.err
    assert cv2.imread(str(out / "good_1.png"), cv2.IMREAD_UNCHANGED).shape[2] == 4
    assert cv2.imread(str(tmp_path / "shop" / "cutouts" / "orange.jpg")).shape[1] == 3 * TILE


def test_photos_of_the_same_name_are_refused_before_they_mix(tmp_path, capsys):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "1.png"), photo([(200, 150, 70, ORANGE)])[0])
    with pytest.raises(SystemExit) as stop:
        dataset.main(["cutout", str(tmp_path / "a"), str(tmp_path / "b"), "--out", "x/cutouts/y"])
    assert stop.value.code == 2
    assert "another photo has this name" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gone.jpg", "empty.png"])
def test_nothing_cut_is_a_refusal_and_writes_nothing(tmp_path, name, capsys):
    cv2.imwrite(str(tmp_path / "empty.png"), photo([])[0])
    with pytest.raises(SystemExit) as stop:
        dataset.main(["cutout", str(tmp_path / name), "--out", str(tmp_path / "cutouts" / "y")])
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err
    assert not list(tmp_path.rglob("cutouts/**/*.*"))
