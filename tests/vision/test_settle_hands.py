"""What the picture adds to the boxes: whether a hand is there, and whether a place is bare."""

import numpy as np
import pytest

from app.vision.cells import cells_of
from app.vision.settle import SettleConfig, Settler
from model.detector import Detection

WIDTH, HEIGHT = 320, 180
WOOD, SLEEVE, GREEN, PALE = (120, 160, 190), (110, 74, 48), (60, 180, 80), (40, 220, 240)
PEAR, LEMON = (100.0, 60.0, 140.0, 100.0), (200.0, 70.0, 235.0, 105.0)
ARM = (90, 50, 150, 180)
FPS = 10
CONFIG = SettleConfig()


class Counter:
    """A settler before a counter that is filmed at ten pictures a second."""

    def __init__(self, colour=WOOD):
        self.settler, self.frame, self.colour = Settler(CONFIG), 0, colour

    def show(self, seconds, seen=(), drawn=()):
        """The scenes while boxes are detected and coloured boxes are in the picture."""
        picture = np.full((HEIGHT, WIDTH, 3), self.colour, np.uint8)
        for (left, top, right, bottom), colour in drawn:
            picture[round(top) : round(bottom), round(left) : round(right)] = colour
        detections = [Detection(key, 0.9, box) for key, box in seen]
        scenes = []
        for _ in range(round(seconds * FPS)):
            t_s, self.frame = self.frame / FPS, self.frame + 1
            scenes.append(self.settler.update(detections, t_s, WIDTH, HEIGHT, cells_of(picture)))
        return scenes

    def with_a_pear(self, drawn=((PEAR, GREEN),)):
        self.show(1.0)
        (*_, scene) = self.show(1.0, [("pear", PEAR)], drawn)
        assert scene.settled
        assert scene.counts == {"pear": 1}
        return self


def seconds_until(scenes, counts):
    at = next(n for n, scene in enumerate(scenes) if scene.settled and scene.counts == counts)
    return at / FPS


def test_a_fruit_whose_place_is_bare_is_gone_at_once():
    scenes = Counter().with_a_pear().show(3.0)
    assert seconds_until(scenes, {}) <= 0.6


def test_a_fruit_that_was_taken_while_the_camera_was_away_is_never_sure_again():
    counter = Counter().with_a_pear()
    counter.frame += 3 * FPS
    scenes = counter.show(2.0)
    assert not any(scene.settled and scene.counts for scene in scenes)
    assert seconds_until(scenes, {}) <= 0.2


def test_in_the_dark_nothing_is_sure_however_long_it_lasts():
    counter = Counter().with_a_pear()
    night = ((0, 0, WIDTH, HEIGHT), (4, 4, 4))
    scenes = counter.show(20.0, drawn=[night])
    assert not any(scene.settled for scene in scenes)
    assert all(scene.counts == {"pear": 1} for scene in scenes)
    morning = counter.show(2.0, [("pear", PEAR)], [(PEAR, GREEN)])
    assert seconds_until(morning, {"pear": 1}) <= 1.0
    assert all(scene.counts == {"pear": 1} for scene in morning)


def test_a_fruit_under_a_hand_is_waited_for():
    counter = Counter().with_a_pear()
    hidden = counter.show(2.4, drawn=[(ARM, SLEEVE)])
    assert not any(scene.settled for scene in hidden[1:])
    assert all(scene.counts == {"pear": 1} for scene in hidden)
    seen_again = counter.show(1.0, [("pear", PEAR)], [(PEAR, GREEN)])
    assert seconds_until(seen_again, {"pear": 1}) <= 0.3


def test_what_looked_like_a_fruit_on_a_hand_does_not_enter_as_the_hand_leaves():
    counter = Counter().with_a_pear()
    arm = (190, 50, 250, 180)
    holding = counter.show(2.0, [("pear", PEAR), ("apple", LEMON)], [(PEAR, GREEN), (arm, SLEEVE)])
    assert not any(scene.settled for scene in holding[1:])
    after = counter.show(3.0, [("pear", PEAR)], [(PEAR, GREEN)])
    assert all(scene.counts == {"pear": 1} for scene in after)
    assert seconds_until(after, {"pear": 1}) <= 0.6


def test_a_fruit_that_looks_like_the_counter_is_never_proved_absent_by_it():
    scenes = Counter().with_a_pear(drawn=()).show(4.0)
    assert seconds_until(scenes, {}) >= 2.4


def test_a_fruit_that_the_detector_loses_where_it_lies_stays_for_longer_than_under_a_hand():
    counter = Counter().with_a_pear()
    lost = counter.show(CONFIG.held_s - 0.5, drawn=[(PEAR, GREEN)])
    assert not any(scene.settled for scene in lost[5:])
    assert all(scene.counts == {"pear": 1} for scene in lost)
    found = counter.show(1.0, [("pear", PEAR)], [(PEAR, GREEN)])
    assert seconds_until(found, {"pear": 1}) <= 0.5


def test_a_fruit_that_the_detector_never_finds_again_is_given_up_and_asked_about():
    scenes = Counter().with_a_pear().show(60.0, drawn=[(PEAR, GREEN)])
    assert not any(scene.settled and not scene.doubts for scene in scenes[5:])
    assert (scenes[-1].counts, list(scenes[-1].doubts.values())) == ({}, [()])


def test_a_fruit_with_another_one_in_its_place_leaves_as_soon_as_from_under_a_hand():
    melon = (90.0, 40.0, 180.0, 130.0)
    scenes = Counter().with_a_pear().show(4.0, [("melon", melon)], [(melon, SLEEVE)])
    assert seconds_until(scenes, {"melon": 1}) <= CONFIG.hidden_s + 0.3


def test_nothing_enters_the_basket_while_a_hand_is_there():
    counter = Counter()
    counter.show(1.0)
    pear, arm = (PEAR, GREEN), ((170, 80, 210, 180), SLEEVE)
    with_hand = counter.show(2.0, [("pear", PEAR)], [pear, arm])
    assert not any(scene.settled or scene.counts for scene in with_hand)
    alone = counter.show(1.0, [("pear", PEAR)], [pear])
    assert seconds_until(alone, {"pear": 1}) == 0.0


def test_what_is_no_fruit_and_stays_keeps_the_basket_waiting_for_a_while_only():
    counter = Counter().with_a_pear()
    bag = [(PEAR, GREEN), ((200, 60, 300, 150), SLEEVE)]
    scenes = counter.show(30.0, [("pear", PEAR)], bag)
    sure = [scene.settled for scene in scenes]
    assert sum(sure[: round(CONFIG.patience_s * FPS) - 1]) == 0
    assert all(sure[round(CONFIG.patience_s * FPS) + 1 :])


@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.0, 8.0])
def test_two_pieces_of_a_fruit_beside_a_hand_are_one_fruit(seconds):
    whole, counter = (60.0, 20.0, 260.0, 160.0), Counter()
    counter.show(1.0)
    counter.show(1.0, [("pineapple", whole)], [(whole, GREEN)])
    upper, lower = (60.0, 20.0, 250.0, 75.0), (70.0, 105.0, 260.0, 160.0)
    pieces = [("pineapple", upper), ("pineapple", lower)]
    hidden = counter.show(seconds, pieces, [(whole, GREEN), ((60, 75, 260, 105), SLEEVE)])
    assert all(scene.counts == {"pineapple": 1} for scene in hidden)
    assert not any(scene.settled for scene in hidden[5:])
    again = counter.show(1.5, [("pineapple", whole)], [(whole, GREEN)])
    assert all(scene.counts == {"pineapple": 1} for scene in again)
    assert seconds_until(again, {"pineapple": 1}) <= 0.7


def test_a_thing_that_the_detector_never_finds_is_asked_about_until_somebody_answers():
    table = Counter().with_a_pear()
    both = [(PEAR, GREEN), (LEMON, PALE)]
    scenes = table.show(6.0, [("pear", PEAR)], both)
    assert not any(scene.settled for scene in scenes[1:39])  # it might be a hand
    assert all(scene.doubts for scene in scenes[1:] if scene.settled)
    assert (scenes[-1].settled, scenes[-1].counts) == (True, {"pear": 1})
    [(number, names)] = scenes[-1].doubts.items()
    assert names == ()
    assert [view.box_xyxy for view in scenes[-1].tracks if view.key == ""] == [
        pytest.approx(LEMON, abs=4)
    ]
    assert {tuple(s.doubts) for s in table.show(60.0, [("pear", PEAR)], both)} == {(number,)}

    table.settler.tell(number, "nothing_missing")

    later = table.show(10.0, [("pear", PEAR)], both)
    assert not any(scene.doubts for scene in later[1:])
    assert all(scene.settled and scene.counts == {"pear": 1} for scene in later[1:])


def test_an_answer_is_about_the_things_that_were_there_when_it_was_asked():
    table = Counter().with_a_pear()
    one = [(PEAR, GREEN), (LEMON, PALE)]
    two = [*one, ((20.0, 20.0, 60.0, 60.0), PALE)]
    [number] = table.show(6.0, [("pear", PEAR)], one)[-1].doubts
    (*_, both) = table.show(6.0, [("pear", PEAR)], two)
    [other] = both.doubts
    assert other != number

    table.settler.tell(number, "nothing_missing")
    assert list(table.show(3.0, [("pear", PEAR)], two)[-1].doubts) == [other]
    table.settler.tell(other, "nothing_missing")
    assert not table.show(3.0, [("pear", PEAR)], two)[-1].doubts


def test_a_thing_that_the_detector_finds_late_is_a_fruit_and_asked_about_no_longer():
    table = Counter().with_a_pear()
    both = [(PEAR, GREEN), (LEMON, PALE)]
    assert table.show(6.0, [("pear", PEAR)], both)[-1].doubts
    (*_, found) = table.show(2.0, [("pear", PEAR), ("lemon", LEMON)], both)
    assert (found.settled, found.counts, found.doubts) == (True, {"lemon": 1, "pear": 1}, {})
