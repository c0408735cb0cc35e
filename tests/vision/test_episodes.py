"""The scripted episodes are a measure for others, so they are measured first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.vision.settle import SettleConfig, Settler
from app.vision.sources import DEMO, open_source
from model.detector import Detection
from tests.vision.episodes import (
    FOR_SALE,
    Episode,
    Truth,
    demo_episode,
    frames,
    random_episode,
    write_video,
)
from tests.vision.script import DATA, Hide, Move, Place, Take

APPLE = DATA / "cutouts" / "apple_1.png"


def episode(*events: Place | Hide | Move | Take, duration_s: float) -> Episode:
    return Episode(10.0, 320, 180, seed=1, events=events, duration_s=duration_s)


def truths(of: Episode) -> list[Truth]:
    return [truth for _, truth in frames(of)]


def at(rows: list[Truth], t_s: float) -> Truth:
    return min(rows, key=lambda row: abs(row.t_s - t_s))


def test_a_placed_fruit_counts_once_it_lies_and_the_scene_rests_when_the_hand_is_gone() -> None:
    rows = truths(episode(Place(0.5, "a", APPLE, (0.5, 0.5)), duration_s=4))
    assert at(rows, 0.2) == Truth(0.2, {}, (), at_rest=True)
    assert at(rows, 1.3).counts == {}
    assert at(rows, 1.3).boxes[0].moving
    assert at(rows, 1.7).counts == {"apple": 1}
    assert not at(rows, 1.7).at_rest
    assert at(rows, 3.5).at_rest
    left, top, right, bottom = at(rows, 3.5).boxes[0].box_xyxy
    assert (left + right) / 2 == pytest.approx(160, abs=3)
    assert (top + bottom) / 2 == pytest.approx(90, abs=3)
    assert right - left == pytest.approx(132 / 4, abs=4)


def test_a_hidden_fruit_still_counts_but_is_not_seen() -> None:
    place, hide = Place(0, "a", APPLE, (0.5, 0.5)), Hide(2, "a", hold_s=1.5)
    rows = truths(episode(place, hide, duration_s=6))
    middle = at(rows, 3.4)
    assert middle.counts == {"apple": 1}
    assert middle.boxes[0].visible < 0.3
    assert not middle.boxes[0].moving
    assert not middle.at_rest
    assert at(rows, 5.5).at_rest
    assert at(rows, 5.5).boxes[0].visible == 1


def test_a_moved_fruit_counts_all_the_time() -> None:
    place, move = Place(0, "a", APPLE, (0.3, 0.5)), Move(2, "a", (0.7, 0.5))
    rows = truths(episode(place, move, duration_s=6))
    assert all(row.counts == {"apple": 1} for row in rows if row.t_s > 1.2)
    assert any(row.boxes[0].moving for row in rows if 2.7 < row.t_s < 3.8)
    assert at(rows, 5.5).boxes[0].box_xyxy[0] - at(rows, 1.9).boxes[0].box_xyxy[0] > 120


def test_a_taken_fruit_no_longer_counts_from_its_lifting_on() -> None:
    place, take = Place(0, "a", APPLE, (0.5, 0.5)), Take(2, "a")
    rows = truths(episode(place, take, duration_s=5))
    assert at(rows, 2.5).counts == {"apple": 1}
    assert at(rows, 2.9).counts == {}
    assert at(rows, 2.9).boxes[0].moving
    assert at(rows, 4.5) == Truth(4.5, {}, (), at_rest=True)


def test_the_picture_shows_what_the_truth_says() -> None:
    place = Place(0, "a", DATA / "cutouts" / "orange_1.png", (0.5, 0.5))
    (empty, _), *_, (full, truth) = frames(episode(place, duration_s=4))
    changed = np.abs(full.astype(int) - empty).max(axis=2) > 60
    rows, columns = np.nonzero(changed)
    left, top, right, bottom = truth.boxes[0].box_xyxy
    assert columns.min() == pytest.approx(left, abs=3)
    assert columns.max() == pytest.approx(right, abs=3)
    assert rows.min() == pytest.approx(top, abs=3)
    assert rows.max() == pytest.approx(bottom, abs=3)


@pytest.mark.parametrize("seed", range(4))
def test_random_episodes_hold_together(seed: int) -> None:
    made = replace(random_episode(seed, width=320, height=180), fps=5.0)
    rows = truths(made)
    assert made == replace(random_episode(seed, width=320, height=180), fps=5.0)
    assert rows[0].counts == rows[-1].counts == {}
    assert max(sum(row.counts.values()) for row in rows) == 4
    for before, row in pairwise(rows):
        assert not (before.at_rest and row.at_rest) or before.counts == row.counts
        assert sum(row.counts.values()) <= len(row.boxes) or not row.at_rest
        for box in row.boxes:
            left, top, right, bottom = box.box_xyxy
            assert 0 <= left < right <= 320
            assert 0 <= top < bottom <= 180
            assert box.key in FOR_SALE
            assert not row.at_rest or (box.visible == 1 and not box.moving)


def test_the_same_seed_films_the_same_pictures() -> None:
    made = replace(random_episode(2, width=320, height=180), duration_s=3.0)
    for (first, _), (second, _) in zip(frames(made), frames(made), strict=True):
        assert (first == second).all()


def test_disturbances_change_every_picture_but_not_the_truth_of_the_counts() -> None:
    calm = replace(random_episode(4, width=320, height=180, disturbed=False), duration_s=2.0)
    rough = replace(calm, flicker=0.06, drift=0.1, shake_px=2.0, noise=4.0)
    for (_, plain), (_, disturbed) in zip(frames(calm), frames(rough), strict=True):
        assert plain.counts == disturbed.counts
        assert plain.at_rest == disturbed.at_rest
    pictures = [picture for picture, _ in frames(rough)]
    assert all((a != b).any() for a, b in pairwise(pictures))


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_what_a_good_detector_sees_of_an_episode_settles_to_its_truth(seed: int) -> None:
    settler, resting = Settler(SettleConfig(0.5)), 0
    for _, truth in frames(replace(random_episode(seed, width=320, height=180), fps=15.0)):
        seen = [Detection(b.key, 0.9, b.box_xyxy) for b in truth.boxes if b.visible > 0.4]
        scene = settler.update(seen, truth.t_s, 320, 180)
        resting = resting + 1 if truth.at_rest else 0
        if resting > 1.5 * 15:
            assert scene.settled
            assert scene.counts == truth.counts


def test_an_episode_written_as_a_video_has_a_truth_for_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "episode.mp4"
    rows = write_video(episode(Place(0, "a", APPLE, (0.5, 0.5)), duration_s=2), path)
    source = open_source(str(path), loop=False)
    read = []
    while (picture := source.read()) is not None:
        read.append(picture[1])
    source.close()
    assert read == pytest.approx([row.t_s for row in rows])


def test_the_demo_is_small_and_plays_as_its_script_says() -> None:
    assert DEMO.stat().st_size <= 3_000_000
    source = open_source("demo", loop=False)
    script = demo_episode()
    assert source.rate_fps == pytest.approx(script.fps)
    expected = {round(t.t_s, 2): image for image, t in frames(replace(script, fps=0.125))}
    compared, last_s = 0, 0.0
    while (picture := source.read()) is not None:
        image, last_s = picture
        rendered = expected.get(round(last_s, 2))
        if rendered is not None:
            assert image.shape == rendered.shape == (720, 1280, 3)
            assert np.abs(image[::4, ::4].astype(int) - rendered[::4, ::4]).mean() < 4
            compared += 1
    source.close()
    assert compared == len(expected)
    assert 60 <= last_s <= 90


def test_the_demo_fills_three_baskets_and_shows_the_bare_counter_between_them() -> None:
    rows = truths(replace(demo_episode(), fps=5.0, width=320, height=180))
    assert {key for row in rows for key in row.counts} == set(FOR_SALE)
    bare = "".join("." if row.at_rest and not row.counts else "#" for row in rows)
    pauses = [len(pause) for pause in bare.split("#") if pause]
    assert len(pauses) == 4  # before, between, between, after
    assert min(pauses[1:]) >= 15  # 3 s
    biggest = [
        max(len(r.boxes) for r in rows if a <= r.t_s < b) for a, b in ((0, 32), (32, 62), (62, 89))
    ]
    assert biggest == [4, 4, 3]
