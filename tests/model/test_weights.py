import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.weights import FORMAT, WeightsError, load_weights, read_info, save_weights
from model.yolov3 import YoloV3
from tests.model.helpers import info, random_weights


def test_a_network_comes_back_from_its_file_as_it_was(tmp_path):
    torch.manual_seed(0)
    model = YoloV3(3).eval()
    save_weights(tmp_path / "w.safetensors", model, info(metrics={"map": 0.5}))
    loaded, described = load_weights(tmp_path / "w.safetensors")
    x = torch.rand(1, 3, 64, 64)
    for mine, theirs in zip(model(x), loaded(x), strict=True):
        assert torch.equal(mine, theirs)
    assert described == info(metrics={"map": 0.5})


def test_half_precision_halves_the_file(tmp_path):
    model = YoloV3(3)
    save_weights(tmp_path / "whole.safetensors", model, info())
    save_weights(tmp_path / "half.safetensors", model, info(), half=True)
    whole, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("whole", "half"))
    assert half < 0.55 * whole
    load_weights(tmp_path / "half.safetensors")


def test_a_file_that_does_not_exist_is_refused_by_name(tmp_path):
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        read_info(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not tensors", pickle.dumps({"a": 1})])
def test_a_file_of_another_kind_is_refused_and_never_unpickled(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="safetensors"):
        load_weights(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = random_weights(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(path)


def test_foreign_safetensors_are_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="not a weights file of this library"):
        read_info(tmp_path / "foreign.safetensors")


def test_a_damaged_description_is_refused(tmp_path):
    metadata = {"format": FORMAT, "info": json.dumps({"names": ["apple"]})}
    save_file({"a": torch.zeros(2)}, tmp_path / "damaged.safetensors", metadata)
    with pytest.raises(WeightsError, match="description is damaged"):
        read_info(tmp_path / "damaged.safetensors")


def test_missing_tensors_are_named(tmp_path):
    path = random_weights(tmp_path)
    described = json.dumps({**json.loads(json.dumps(vars(info())))})
    tensors = load_file(path)
    tensors.pop("scale8.head.1.weight")
    save_file(tensors, path, {"format": FORMAT, "info": described})
    with pytest.raises(WeightsError, match=r"scale8\.head\.1\.weight"):
        load_weights(path)
