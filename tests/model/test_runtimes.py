import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model.boxes import Letterbox, iou_xyxy
from model.data.dataset import read_config, read_picture, read_split
from model.detector import load_detector
from model.runtimes.openvino_runtime import OpenVinoDetector, best_way, compiled, ways_to_share
from model.runtimes.torch_runtime import TorchDetector
from tests.model.helpers import DEFAULT_WEIGHTS, ROOT, SAMPLE, lively_weights, random_weights

CONFIDENCE = 0.25


@pytest.fixture(scope="module")
def both():
    return [TorchDetector(DEFAULT_WEIGHTS), OpenVinoDetector(DEFAULT_WEIGHTS, int8=False)]


@pytest.fixture(params=[0, 1], ids=["torch", "openvino"])
def full(request, both):
    """The shipped detector on each runtime."""
    return both[request.param]


@pytest.fixture(scope="module")
def pictures():
    samples = read_split(read_config(SAMPLE / "data.yaml"), "val")
    return [read_picture(s.path) for s in samples[::3]]


def test_both_runtimes_give_the_same_detections_on_the_sample_pictures(both, pictures):
    found_any = 0
    for image in pictures:
        a, b = (detector.detect(image, CONFIDENCE) for detector in both)
        # a score may fall on either side of the threshold by rounding; nothing else may differ
        a, b = ([d for d in found if d.score > CONFIDENCE + 0.005] for found in (a, b))
        sure = [sorted((d.key, round(d.score, 2)) for d in found) for found in (a, b)]
        assert len(a) == len(b), sure
        for mine in a:
            near = max(
                (d for d in b if d.key == mine.key),
                key=lambda d: iou_xyxy(np.array([d.box_xyxy]), np.array([mine.box_xyxy]))[0, 0],
            )
            overlap = iou_xyxy(np.array([near.box_xyxy]), np.array([mine.box_xyxy]))[0, 0]
            assert overlap > 0.97
            assert near.score == pytest.approx(mine.score, abs=0.01)
        found_any += len(a)
    assert found_any > len(pictures) / 2


def test_auto_takes_openvino_on_this_kind_of_processor(tmp_path):
    import platform

    expected = "openvino" if platform.machine() in ("x86_64", "AMD64") else "torch"
    assert load_detector(random_weights(tmp_path)).runtime == expected


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_picture_of_any_size_gives_boxes_inside_it_best_first(tmp_path, runtime):
    detector = load_detector(random_weights(tmp_path), runtime)
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (720, 1280), (50, 3), (97, 96)):
        found = detector.detect(rng.integers(0, 255, (height, width, 3), np.uint8), 0.001)
        scores = [d.score for d in found]
        assert scores == sorted(scores, reverse=True)
        for d in found:
            x1, y1, x2, y2 = d.box_xyxy
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, image):
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        load_detector(random_weights(tmp_path), "torch").detect(image)


def test_an_unknown_runtime_is_refused_with_the_choices(tmp_path):
    with pytest.raises(ValueError, match="auto, openvino, torch"):
        load_detector(random_weights(tmp_path), "cuda")


@pytest.mark.parametrize(
    ("backbone", "neck"),
    [  # each backbone once, each neck twice
        ("darknet53", "full"),
        ("csp_darknet53", "slim"),
        ("darknet_tiny", "tiny"),
        ("efficientnet_lite0", "full"),
        ("efficientnet_lite1", "tiny"),
        ("efficientnet_lite2", "slim"),
    ],
)
def test_both_runtimes_give_the_same_answers_for_every_kind_of_network(tmp_path, backbone, neck):
    kind = {"backbone": backbone, "neck": neck, "image_size": 64, "class_score": "sigmoid"}
    weights = lively_weights(tmp_path / "w.safetensors", **kind)
    a, b = (load_detector(weights, runtime) for runtime in ("torch", "openvino"))
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for mine, theirs in zip(a.raw_maps(image), b.raw_maps(image), strict=True):
        assert mine.std() > 0.3
        assert np.abs(mine - theirs).max() < 1e-3 * mine.std()
    mine, theirs = (len(x.detect(image, 0.3)) for x in (a, b))
    assert mine > 0
    assert abs(mine - theirs) <= 0.02 * mine  # a score may lie on the threshold


SIGNALLED = """
import signal, sys
from pathlib import Path
from model.runtimes.openvino_runtime import OpenVinoDetector
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
detectors = [OpenVinoDetector(Path(sys.argv[1]), threads=1) for _ in range(2)]
while detectors:
    detectors.pop(0)
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_process_hears_signals_after_its_detectors_have_gone(tmp_path):
    weights = random_weights(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(weights)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


@pytest.mark.parametrize(
    ("cores", "at_once", "ways"),
    [
        (1, 1, [(1, 1)]),
        (1, 2, [(1, 1)]),
        (2, 1, [(1, 1), (2, 1)]),
        (2, 2, [(1, 1), (2, 1), (2, 2)]),
        (8, 2, [(1, 1), (4, 1), (4, 2), (8, 1), (8, 2)]),
    ],
)
def test_no_more_pictures_share_the_threads_than_there_are_threads(cores, at_once, ways):
    assert ways_to_share(cores, at_once) == ways


@pytest.mark.parametrize(
    ("spent_ms", "way"),
    [
        pytest.param([14.0, 7.2, 6.9], (2, 2), id="a little is enough on the same threads"),
        pytest.param([14.0, 7.2, 7.2], (2, 1), id="nothing gained by two at once"),
        pytest.param([14.0, 13.5, 13.5], (1, 1), id="a second thread that saves next to nothing"),
        pytest.param(
            [14.0, 15.0, 13.2], (2, 2), id="two at once are what the second thread is for"
        ),
    ],
)
def test_more_threads_must_pay_and_more_pictures_on_them_need_only_be_faster(spent_ms, way):
    ways = ways_to_share(2, 2)
    assert ways[best_way(ways, spent_ms)] == way


def test_threads_that_ask_at_the_same_time_get_the_answers_of_one(pictures):
    detector = OpenVinoDetector(DEFAULT_WEIGHTS, threads=2, at_once=2)
    alone = [detector.detect(picture) for picture in pictures]

    with ThreadPoolExecutor(detector.at_once) as pool:
        together = list(pool.map(detector.detect, pictures))

    assert detector.at_once == 2
    assert any(alone)
    assert together == alone


def same_fruits(found, expected):
    """How many of the expected fruits were found again: name, place and score."""
    boxes = np.array([d.box_xyxy for d in found]).reshape(-1, 4)
    return sum(
        any(
            other.key == fruit.key and overlap > 0.8 and abs(other.score - fruit.score) < 0.15
            for other, overlap in zip(
                found, iou_xyxy(np.array([fruit.box_xyxy]), boxes)[0], strict=True
            )
        )
        for fruit in expected
    )


def test_without_its_bars_a_picture_shows_the_same_fruit(full, pictures):
    sure = again = 0
    for image in pictures:
        square = Letterbox.of(image, full.image_size)
        expected = full.find(full.raw_maps(square.apply(image)), square, 0.6)
        sure += len(expected)
        again += same_fruits(full.detect(image, 0.45), expected)
    assert again > 0.9 * sure > 0


def in_five_shapes(picture):
    """A picture as wide and as high screens have it, as photographs, and square."""
    height, width = picture.shape[:2]
    shapes = ((16, 9), (9, 16), (4, 3), (3, 4), (1, 1))
    scales = [(across, down, min(width / across, height / down)) for across, down in shapes]
    return [picture[: int(down * s), : int(across * s)] for across, down, s in scales]


def test_threads_that_ask_for_different_shapes_at_once_get_the_answers_of_one(pictures):
    mixed = [part for picture in pictures[:4] for part in in_five_shapes(picture)]
    alone = list(map(OpenVinoDetector(DEFAULT_WEIGHTS, threads=2, at_once=2).detect, mixed))
    detector = OpenVinoDetector(DEFAULT_WEIGHTS, threads=2, at_once=2)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(detector.detect, mixed))

    assert any(alone)
    assert together == alone


def test_no_more_than_five_networks_are_compiled_each_for_all_threads(tmp_path, monkeypatch):
    shapes = []

    def noted(graph, *way):
        shapes.append(tuple(graph.input().shape)[1:3])
        return compiled(graph, *way)

    monkeypatch.setattr("model.runtimes.openvino_runtime.compiled", noted)
    detector = OpenVinoDetector(random_weights(tmp_path, image_size=160), threads=2, at_once=2)
    assert shapes == [(128, 192)]  # a webcam's is there before its first frame

    sizes = [(90, 160), (160, 90), (120, 160), (160, 120), (160, 160), (7, 100), (100, 7), (99, 98)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda hw: detector.detect(np.zeros((*hw, 3), np.uint8)), sizes * 3))

    assert sorted(shapes) == [(128, 160), (128, 192), (160, 128), (160, 160), (192, 128)]


def test_on_a_smaller_input_the_same_fruit_is_found_in_the_same_place(full, pictures):
    small = load_detector(DEFAULT_WEIGHTS, full.runtime, image_size=320)
    assert (full.image_size, small.image_size) == (416, 320)
    again = sure = 0
    for image in pictures:
        expected = full.detect(image, 0.6)
        sure += len(expected)
        for fruit in expected:
            near = [d for d in small.detect(image) if d.key == fruit.key]
            boxes = np.array([d.box_xyxy for d in near]).reshape(-1, 4)
            again += bool((iou_xyxy(np.array([fruit.box_xyxy]), boxes) > 0.8).any())
    assert again > 0.8 * sure > 0


@pytest.mark.parametrize("size", [0, -32, 100])
def test_an_input_that_is_no_multiple_of_32_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match="multiple of 32"):
        load_detector(random_weights(tmp_path), "torch", image_size=size)
