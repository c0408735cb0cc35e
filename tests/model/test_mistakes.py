import cv2
import numpy as np
import pytest

from model.data.dataset import Labelled
from model.metrics import describe, mistake_counts, worst_pictures
from model.mistake_pages import write_mistake_pages
from tests.model.test_metrics import BOX, OTHER, picture

NAMES = ("apple", "melon", "참외")
HALF = [0, 0, 10, 4]  # IoU 0.4 with BOX
INSIDE = [4, 4, 8, 8]  # IoU 0.16 with BOX
BESIDE = [5, 0, 15, 10]  # IoU 0.33, half of it outside


@pytest.mark.parametrize(
    ("truth", "found", "said", "harm"),
    [
        ([(0, BOX)], [(0, 0.9, BOX)], [], 0),
        ([(0, BOX)], [(1, 0.9, BOX)], ["apple found as melon"], 2),
        ([(1, BOX)], [], ["melon missed"], 1),
        ([(1, BOX)], [(1, 0.4, BOX)], ["melon missed"], 1),
        ([], [(0, 0.9, BOX)], ["apple imagined"], 1),
        ([(0, BOX)], [(0, 0.9, BOX), (0, 0.8, BESIDE)], ["apple found twice"], 1),
        ([(0, BOX)], [(0, 0.9, BOX), (1, 0.8, INSIDE)], ["apple found twice, also as melon"], 1),
        ([(0, BOX)], [(0, 0.9, HALF)], ["apple boxed loosely"], 0),
        ([(0, BOX)], [(2, 0.9, HALF)], ["apple found as 참외"], 2),
        ([(0, BOX)], [(0, 0.9, OTHER)], ["apple imagined", "apple missed"], 0),
        ([(0, BOX)], [(0, 0.9, BOX), (1, 0.8, BOX)], [], 0),  # one fruit, one name
    ],
)
def test_a_mistake_is_said_in_words_and_weighed_by_its_basket(truth, found, said, harm):
    result = picture(truth, found)
    pages = worst_pictures([result], 0.5)
    assert [describe(m, result, NAMES) for page in pages for m in page.mistakes] == said
    assert sum(page.harm for page in pages) == harm


def test_the_pictures_that_hurt_baskets_most_come_first_and_among_equals_the_surest():
    right = picture([(0, BOX)], [(0, 0.9, BOX)])
    unsure, sure = (picture([(0, BOX)], [(1, score, BOX)]) for score in (0.6, 0.9))
    missed = picture([(0, BOX)])
    order = [page.picture for page in worst_pictures([right, missed, unsure, sure], 0.5)]
    assert order == [3, 2, 1]


def test_mistakes_are_counted_by_kind_most_frequent_first():
    wrong, missed = picture([(0, BOX)], [(1, 0.9, BOX)]), picture([(0, BOX)])
    said = mistake_counts([missed, wrong, wrong], NAMES, 0.5)
    assert list(said.items()) == [("apple found as melon", 2), ("apple missed", 1)]


def test_the_mistakes_are_drawn_eight_a_page_and_old_pages_go(tmp_path):
    path = tmp_path / "사과 사진.png"
    path.write_bytes(cv2.imencode(".png", np.full((100, 100, 3), 128, np.uint8))[1].tobytes())
    crowded = picture(
        [(0, BOX), (1, OTHER)], [(2, 0.9, [x, 30, x + 8, 38]) for x in range(0, 90, 9)]
    )
    results = [crowded] * 9
    samples = [Labelled(path, np.zeros((0, 5), np.float32))] * 9
    out = tmp_path / "out"
    out.mkdir()
    pages = write_mistake_pages(results, samples, NAMES, 0.5, out)
    assert [page.name for page in pages] == ["mistakes_01.jpg", "mistakes_02.jpg"]
    drawn = cv2.imread(str(pages[0]))
    assert (np.ptp(drawn.astype(int), axis=2) > 100).any()  # boxes in colour on a grey picture
    assert write_mistake_pages([picture()], samples, NAMES, 0.5, out) == []
    assert list(out.iterdir()) == []
