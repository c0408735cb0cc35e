import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.anchors import anchor_fit, coco_anchors, fit_anchors, strides_of

rng = np.random.default_rng(3)
CENTRES = rng.uniform(0.05, 0.8, (9, 2)).astype(np.float32)
CLUSTERS = np.repeat(CENTRES, 30, axis=0) * rng.normal(1, 0.02, (270, 2)).astype(np.float32)


def test_boxes_of_nine_sizes_get_those_nine_anchors():
    anchors, _ = fit_anchors(CLUSTERS, seed=1)
    gaps = np.abs(anchors.reshape(-1, 1, 2) - CENTRES[None]).max(-1).min(1)
    assert gaps.max() < 0.02


@pytest.mark.parametrize("method", ["kmeans", "genetic"])
def test_fitted_anchors_fit_better_than_cocos_and_are_the_same_again(method):
    anchors, history = fit_anchors(CLUSTERS, method=method)
    again, _ = fit_anchors(CLUSTERS, method=method)
    assert anchor_fit(CLUSTERS, anchors)[0] > anchor_fit(CLUSTERS, coco_anchors())[0]
    assert (anchors == again).all()
    assert history[-1] >= history[0]


def test_mutations_make_the_fit_of_scattered_boxes_better():
    scattered = np.random.default_rng(5).uniform(0.02, 0.9, (400, 2)).astype(np.float32)
    plain, evolved = (fit_anchors(scattered, method=m)[0] for m in ("kmeans", "genetic"))
    assert anchor_fit(scattered, evolved)[0] > anchor_fit(scattered, plain)[0]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), min_size=9, max_size=40))
def test_anchors_rise_in_area_and_lie_within_the_boxes_sizes(sizes):
    sizes = np.array(sizes, np.float32)
    anchors, _ = fit_anchors(sizes)
    assert anchors.shape == (3, 3, 2)
    assert (np.diff(anchors.reshape(-1, 2).prod(1)) >= 0).all()
    assert (anchors >= sizes.min(0) - 1e-6).all()
    assert (anchors <= sizes.max(0) + 1e-6).all()


def test_two_scales_get_six_anchors_at_the_coarser_strides():
    anchors, _ = fit_anchors(CLUSTERS, scales=2)
    assert anchors.shape == (2, 3, 2)
    assert strides_of(anchors) == (16, 32)
    assert strides_of(coco_anchors()) == (8, 16, 32)
    assert coco_anchors(2).shape == (2, 3, 2)


def test_too_few_boxes_are_refused_with_their_number():
    with pytest.raises(ValueError, match="got 8"):
        fit_anchors(CLUSTERS[:8])


def test_without_boxes_nothing_fits():
    assert anchor_fit(np.zeros((0, 2)), coco_anchors()) == (0.0, 0.0)


def test_a_box_that_is_an_anchor_fits_wholly():
    mean, recall = anchor_fit(coco_anchors().reshape(-1, 2), coco_anchors())
    assert mean == pytest.approx(1)
    assert recall == 1
