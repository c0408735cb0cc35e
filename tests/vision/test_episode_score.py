"""The judge of the episodes, judged on baskets written by hand."""

import math

import pytest

from app.vision.settle import Scene
from model.data.dataset import DataError
from tests.vision.episode_report import library, table
from tests.vision.episode_score import Moment, Score, percentile, score
from tests.vision.episodes import TrueBox, Truth

APPLE, TWO, PEAR = {"apple": 1}, {"apple": 2}, {"pear": 1}
ASKING = {1: ("pear", "apple")}


def moments(*rows):
    """Ten a second: (what lies there, whether at rest, the basket, whether sure, questions)."""
    return [
        Moment(
            Truth(n / 10, counts, boxes(counts), at_rest=at_rest),
            Scene(settled, basket, (), doubts),
        )
        for n, (counts, at_rest, basket, settled, doubts) in enumerate(rows)
    ]


def boxes(counts):
    box = (0.0, 0.0, 10.0, 10.0)
    return tuple(
        TrueBox(f"{key}{n}", key, box, moving=False, visible=1.0)
        for key, number in counts.items()
        for n in range(number)
    )


EMPTY = ({}, True, {}, True, {})
BRINGING = ({}, False, {}, False, {})
UNSURE = (APPLE, True, {}, False, {})
RIGHT = (APPLE, True, APPLE, True, {})
WRONG = (APPLE, True, PEAR, True, {})
ASKED = (APPLE, True, PEAR, True, ASKING)
DOUBLE = (APPLE, True, TWO, True, {})


def test_a_right_basket_is_waited_for_from_rest_on():
    one = score(moments(EMPTY, EMPTY, BRINGING, UNSURE, UNSURE, RIGHT, RIGHT))
    assert one.right_waits_s == one.waits_s == (pytest.approx(0.2),)
    assert (one.flips, one.lapses, one.doubles, one.silent) == (0, 0, 0, 0)
    assert (one.settled, one.right, one.rest, one.moments) == (4, 4, 6, 7)
    assert one.rest_s == pytest.approx(0.1 + 0.3)


def test_a_rest_without_a_change_before_it_is_not_waited_for():
    assert score(moments(EMPTY, BRINGING, EMPTY)).waits_s == ()


def test_a_basket_that_never_is_right_is_waited_for_for_ever():
    one = score(moments(EMPTY, BRINGING, WRONG, WRONG))
    assert one.waits_s == one.right_waits_s == (math.inf,)
    assert one.silent == 2


def test_a_wrong_name_that_is_asked_for_is_not_silent():
    one = score(moments(EMPTY, BRINGING, ASKED))
    assert (one.asked, one.silent, one.questions) == (1, 0, 1)
    assert one.right_waits_s == (math.inf,)
    assert one.waits_s == (0.0,)


@pytest.mark.parametrize(
    ("basket", "doubts"),
    [
        (TWO, ASKING),  # a fruit too many
        ({}, {}),  # one too few
        (PEAR, {1: ("pear", "lemon")}),  # the right name is not among the answers
    ],
)
def test_a_question_that_cannot_mend_the_basket_is_none(basket, doubts):
    one = score(moments((APPLE, True, basket, True, doubts)))
    assert (one.asked, one.silent) == (0, 1)


def test_more_fruits_than_there_are_are_double_even_under_a_hand():
    assert score(moments(DOUBLE, (APPLE, False, TWO, True, {}))).doubles == 2
    assert score(moments((APPLE, True, TWO, False, {}))).doubles == 0


@pytest.mark.parametrize(
    ("rows", "flips"),
    [
        ([UNSURE, RIGHT, RIGHT], 0),  # the change that is due
        ([UNSURE, WRONG, RIGHT], 1),
        ([RIGHT, WRONG, RIGHT], 2),
        ([RIGHT, BRINGING, WRONG, BRINGING, RIGHT], 0),  # not at rest
    ],
)
def test_changes_at_rest_but_for_the_one_that_is_due_are_flips(rows, flips):
    assert score(moments(*rows)).flips == flips


def test_a_sure_scene_that_becomes_unsure_at_rest_is_a_lapse():
    assert score(moments(RIGHT, UNSURE, RIGHT)).lapses == 1


def test_scores_add_up():
    rows = [EMPTY, BRINGING, UNSURE, RIGHT]
    assert score(moments(*rows)) + Score() == score(moments(*rows))
    assert (score(moments(*rows)) + score(moments(*rows))).moments == 8


@pytest.mark.parametrize(
    ("values", "middle", "slow"),
    [([3.0], 3.0, 3.0), ([1.0, 2.0], 1.0, 2.0), ([0.1] * 9 + [math.inf], 0.1, 0.1)],
)
def test_percentiles_are_values_that_were_seen(values, middle, slow):
    assert percentile(values, 0.5) == middle
    assert percentile(values, 0.9) == slow


def test_the_table_has_a_row_for_each_episode_and_one_for_all():
    never = score(moments(EMPTY, BRINGING, WRONG))
    good = score(moments(EMPTY, BRINGING, RIGHT))
    lines = table({3: good, 4: never}).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["3", "4", "all"]
    assert "0.00 s, never, 1 of 2" in lines[-1]


def test_only_what_no_training_saw_is_filmed(tmp_path):
    for name in ("cutouts/pear/a.png", "cutouts/pear/b.png", "backgrounds/val/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    cutouts, backgrounds = library(tmp_path)
    assert [file.name for file in cutouts + backgrounds] == ["a.png", "b.png", "c.jpg"]
    rows = ["cutouts/pear/a.png,train", "cutouts/pear/b.png,val", "backgrounds/val/c.jpg,val"]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,split", *rows]), encoding="utf-8")
    cutouts, backgrounds = library(tmp_path)
    assert [file.name for file in cutouts + backgrounds] == ["b.png", "c.jpg"]


def test_a_folder_without_fruit_that_no_training_saw_is_refused(tmp_path):
    with pytest.raises(DataError, match="needs cutouts"):
        library(tmp_path)


def test_a_missing_fruit_is_not_silent_while_a_strange_thing_is_asked_about():
    strange = {4: ()}
    one = score(moments((TWO, True, APPLE, True, strange), (APPLE, True, TWO, True, strange)))
    assert (one.asked, one.silent) == (1, 1)
