"""What a person is asked, and what becomes of the answer."""

from types import SimpleNamespace

import pytest

from app.vision.settle import Scene, SettleConfig, Settler
from app.vision.settle_config import ASK_SCORE, SURE_SCORE
from model.detector import Detection
from model.scorecard import CLEAR, DOUBTFUL, SURE

BOX = (100.0, 100.0, 200.0, 200.0)
FPS = 10


def look(settler: Settler, names: dict[str, float], from_s: float, seconds: float, box=BOX):
    """Show one fruit under its names for a while; every scene."""
    scenes = []
    for frame in range(round(seconds * FPS)):
        found = [Detection(key, score, box) for key, score in names.items()]
        scenes.append(settler.update(found, from_s + frame / FPS, 640, 480))
    return scenes


def settled_on(
    names: dict[str, float], config: SettleConfig | None = None
) -> tuple[Settler, Scene]:
    settler = Settler(config)
    return settler, look(settler, names, 0.0, 4.0)[-1]


def test_a_clear_name_asks_nothing():
    _, scene = settled_on({"apple": 0.9, "pear": 0.2})
    assert scene.settled
    assert (dict(scene.counts), dict(scene.doubts)) == ({"apple": 1}, {})
    assert not scene.tracks[0].doubted


def test_two_close_names_are_offered_with_the_likelier_first_until_somebody_tells():
    settler, scene = settled_on({"apple": 0.6, "pear": 0.5})
    [track] = scene.tracks
    assert scene.settled
    assert dict(scene.counts) == {"apple": 1}
    assert dict(scene.doubts) == {track.id: ("apple", "pear")}
    assert track.doubted

    settler.tell(track.id, "pear")
    later = look(settler, {"apple": 0.6, "pear": 0.5}, 4.0, 30.0)

    assert {(tuple(s.counts.items()), bool(s.doubts)) for s in later[1:]} == {
        ((("pear", 1),), False)
    }


def test_at_most_three_names_are_offered_and_faint_ones_count():
    names = {"apple": 0.5, "pear": 0.4, "lemon": 0.05, "melon": 0.03, "kiwi": 0.01}
    _, scene = settled_on(names)
    assert list(scene.doubts.values()) == [("apple", "pear", "lemon")]


def test_a_faint_box_finds_no_fruit():
    _, scene = settled_on({"apple": 0.1, "pear": 0.1})
    assert scene.settled
    assert scene.tracks == ()


@pytest.mark.parametrize(("sure_score", "asked"), [(0.0, 0), (0.5, 0), (0.7, 1)])
def test_a_low_score_asks_where_scores_can_be_believed(sure_score, asked):
    _, scene = settled_on({"apple": 0.6}, SettleConfig(sure_score=sure_score))
    assert scene.counts == {"apple": 1}
    assert len(scene.doubts) == asked


@pytest.mark.parametrize(
    ("stored", "calibrated", "least", "sure"),
    [(0.5, True, ASK_SCORE, SURE_SCORE), (0.2, True, 0.2, SURE_SCORE), (0.5, False, 0.5, 0.0)],
)
def test_what_a_calibrated_detector_doubts_is_asked_about_instead_of_passed_over(
    stored, calibrated, least, sure
):
    config = SettleConfig.of(SimpleNamespace(confidence=stored, calibrated=calibrated))
    assert (config.confidence, config.sure_score) == (least, sure)


def test_the_scorecard_asks_where_the_checkout_does():
    assert (ASK_SCORE, SURE_SCORE, SettleConfig().doubt) == (DOUBTFUL, SURE, CLEAR**2)


def test_a_doubt_neither_comes_nor_goes_with_a_little_noise():
    settler = Settler(SettleConfig(sure_score=0.6))
    look(settler, {"apple": 0.5}, 0.0, 3.0)
    wavering = [
        scene
        for turn in range(20)
        for scene in look(settler, {"apple": 0.62 if turn % 2 else 0.58}, 3.0 + turn, 1.0)
    ]
    assert all(len(scene.doubts) == 1 for scene in wavering)
    assert not look(settler, {"apple": 0.9}, 23.0, 3.0)[-1].doubts


def test_a_word_about_a_fruit_that_is_gone_changes_nothing():
    settler, scene = settled_on({"apple": 0.9})
    settler.tell(scene.tracks[0].id + 1, "pear")
    assert look(settler, {"apple": 0.9}, 4.0, 1.0)[-1].counts == {"apple": 1}


def test_a_word_outlasts_a_look_that_misses_the_fruit_in_a_still_scene():
    settler, scene = settled_on({"apple": 0.6, "pear": 0.5})
    [number] = scene.doubts
    settler.tell(number, "pear")
    names = {"apple": 0.6, "pear": 0.5}
    look(settler, names, 4.0, 0.2)
    settler.update([], 5.2, 640, 480)  # a look a second
    scenes = look(settler, names, 5.3, 1.0)
    assert all(scene.counts == {"pear": 1} for scene in scenes)
    assert all(scene.settled and not scene.doubts for scene in scenes)


def test_a_word_ends_where_another_fruit_may_lie_in_the_fruits_place():
    settler, scene = settled_on({"apple": 0.6, "pear": 0.5})
    settler.tell(scene.tracks[0].id, "pear")
    look(settler, {"apple": 0.6, "pear": 0.5}, 4.0, 1.0)
    look(settler, {}, 5.0, 1.0)  # a hand

    assert look(settler, {"lemon": 0.9}, 6.0, 6.0)[-1].counts == {"lemon": 1}
