import json
import math
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.weights import FORMAT, WeightsError, load_weights, read_info, save_weights
from model.yolov3 import YoloV3
from tests.model.helpers import DEFAULT_WEIGHTS, info, random_weights


def test_a_network_comes_back_from_its_file_as_it_was(tmp_path):
    torch.manual_seed(0)
    model = YoloV3(3).eval()
    save_weights(tmp_path / "w.safetensors", model, info(metrics={"map": 0.5}))
    loaded, described = load_weights(tmp_path / "w.safetensors")
    x = torch.rand(1, 3, 64, 64)
    for mine, theirs in zip(model(x), loaded(x), strict=True):
        assert torch.equal(mine, theirs)
    assert described == info(metrics={"map": 0.5})


def test_a_network_that_knows_more_than_it_tells_comes_back_with_all_its_outputs(tmp_path):
    path = random_weights(tmp_path, others=("peach", "lime"))
    model, described = load_weights(path)
    assert (described.names, described.others) == (("apple", "orange", "pear"), ("peach", "lime"))
    assert model.scale8.head[-1].out_channels == 3 * (5 + 5)


@pytest.mark.parametrize(("bits", "share", "off"), [(16, 0.55, 5e-4), (8, 0.32, 4e-3)])
def test_fewer_bits_make_a_smaller_file_of_nearly_the_same_weights(bits, share, off, tmp_path):
    model = YoloV3(3)
    save_weights(tmp_path / "32.safetensors", model, info())
    save_weights(tmp_path / "small.safetensors", model, info(), bits)
    whole, small = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("32", "small"))
    assert small < share * whole
    loaded, _ = load_weights(tmp_path / "small.safetensors")
    for mine, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        largest = mine.flatten(1).abs().amax(1) if mine.ndim > 1 else mine.abs().max()
        error = (mine - theirs).abs()
        error = error.flatten(1).amax(1) if mine.ndim > 1 else error.max()
        assert (error <= off * largest).all()


def test_a_channel_of_noughts_is_stored_in_eight_bits_too(tmp_path):
    model = YoloV3(3)
    with torch.no_grad():
        model.scale8.five[0][0].weight[0] = 0
    save_weights(tmp_path / "w.safetensors", model, info(), 8)
    loaded, _ = load_weights(tmp_path / "w.safetensors")
    assert (loaded.scale8.five[0][0].weight[0] == 0).all()


def test_a_file_that_does_not_exist_is_refused_by_name(tmp_path):
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        read_info(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not tensors", pickle.dumps({"a": 1})])
def test_a_file_of_another_kind_is_refused_and_never_unpickled(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="safetensors"):
        load_weights(path)


def test_a_file_that_would_run_code_when_unpickled_runs_none(tmp_path):
    class Harmful:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"weights": Harmful()}, tmp_path / "harmful.safetensors")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_weights(tmp_path / "harmful.safetensors")
    assert not (tmp_path / "ran").exists()


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="check the path"):
        load_weights(tmp_path)


@pytest.mark.parametrize("kept", [4, 8, 500, -1000])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = random_weights(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"format": f"{FORMAT}0"}])
def test_foreign_safetensors_are_refused(tmp_path, metadata):
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors", metadata)
    with pytest.raises(WeightsError, match="not a weights file of this library"):
        read_info(tmp_path / "foreign.safetensors")


def described(path, **changes):
    """A file of no tensors that describes itself like one of ours, but for the changes."""
    fields = {**asdict(info()), **changes}
    text = json.dumps({k: v for k, v in fields.items() if v is not None})
    save_file({"a": torch.zeros(2)}, path, {"format": FORMAT, "info": text})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None}, "'names'"),
        ({"names": []}, "class names"),
        ({"names": ["apple", "apple"]}, "none of them twice"),
        ({"others": ["peach", "apple"]}, "none of them twice"),
        ({"colour": "red"}, "'colour'"),
        ({"backbone": "resnet50"}, "unknown backbone 'resnet50'"),
        ({"neck": "thick"}, "neck 'thick'"),
        ({"class_score": "argmax"}, "unknown class score 'argmax'"),
        ({"image_size": 100}, "multiple of 32"),
        ({"image_size": 0}, "multiple of 32"),
        ({"image_size": "416"}, "description is damaged"),
        ({"confidence": 0}, "between 0 and 1"),
        ({"confidence": math.nan}, "between 0 and 1"),
        ({"anchors": info(neck="tiny").anchors}, "needs 3 scales"),
        ({"neck": "tiny"}, "needs 2 scales"),
        ({"anchors": [[[0.1, 0.1]] * 3] * 2 + [[[0.1, 0.1]] * 2]}, "description is damaged"),
        ({"anchors": [[[0.1, -0.1]] * 3] * 3}, "anchors over 0"),
        ({"anchors": [[[0.1, math.inf]] * 3] * 3}, "anchors over 0"),
        ({"mean": [0.5]}, "three numbers"),
        ({"std": [0.2, 0.2, 0.0]}, "std over 0"),
    ],
)
def test_a_description_of_no_detector_is_refused_with_its_fault(tmp_path, changes, message):
    with pytest.raises(WeightsError, match=message):
        read_info(described(tmp_path / "damaged.safetensors", **changes))


def test_a_description_that_is_not_json_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors", {"format": FORMAT, "info": "{"})
    with pytest.raises(WeightsError, match="description is damaged"):
        read_info(tmp_path / "w.safetensors")


def test_files_from_before_class_scores_were_named_hold_softmax_detectors(tmp_path):
    assert read_info(described(tmp_path / "old.safetensors", class_score=None)) == info()


def test_the_shipped_weights_load():
    _, described = load_weights(DEFAULT_WEIGHTS)
    assert described.class_score == "softmax"


HEAD = "scale8.head.1.weight"


def renamed(tensors):
    tensors["scale8.foot"] = tensors.pop(HEAD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(HEAD), f"missing: {HEAD}"),
        (renamed, f"missing: {HEAD}; tensors unknown: scale8.foot"),
        (lambda t: t.update({HEAD: t[HEAD][:, 1:].clone()}), f"of another shape: {HEAD}"),
        (lambda t: t[HEAD].view(-1)[7:8].fill_(math.nan), f"not finite: {HEAD}"),
        (lambda t: t[HEAD].view(-1)[7:8].fill_(-math.inf), f"not finite: {HEAD}"),
    ],
)
def test_tensors_that_do_not_fit_the_description_are_named(tmp_path, change, message):
    path = random_weights(tmp_path)
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": FORMAT, "info": json.dumps(asdict(info()))})
    with pytest.raises(WeightsError, match="does not fit its own description") as caught:
        load_weights(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bits", [8, 16])
def test_few_bits_keep_what_float16_cannot_hold(bits, tmp_path):
    model = YoloV3(3)
    variance = model.backbone.stages[0][1].running_var
    variance[:2] = torch.tensor([1e6, 1e-9])
    save_weights(tmp_path / "half.safetensors", model, info(), bits)
    loaded, _ = load_weights(tmp_path / "half.safetensors")
    assert torch.equal(loaded.backbone.stages[0][1].running_var, variance)
