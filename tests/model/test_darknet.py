import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model import darknet
from model.anchors import coco_anchors
from model.darknet import (
    DarknetHeader,
    is_darknet_file,
    load_darknet,
    load_darknet_trunk,
    read_darknet,
    size_of,
    slots,
    write_darknet,
)
from model.detector import load_detector
from model.weights import WeightsError, load_weights, read_info
from model.yolov3 import YoloV3
from tests.model import darknet_files
from tests.model.helpers import random_weights

OLD = DarknetHeader(0, 1, 0, seen=12_800)
NEW = DarknetHeader(0, 2, 5, seen=2**40)  # more than 32 bits hold
CLASSES = 2


def tiny(seed=0, classes=CLASSES):
    """YOLOv3-tiny whose BatchNorms are as different as trained ones."""
    torch.manual_seed(seed)
    model = YoloV3(classes, "darknet_tiny", "tiny").eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("darknet") / "yolov3-tiny.weights"
    write_darknet(path, tiny(), OLD)
    return path


def same(mine, theirs):
    a, b = mine.state_dict(), theirs.state_dict()
    return all(torch.equal(a[k], b[k]) for k in a if not k.endswith("num_batches_tracked"))


@pytest.mark.parametrize(
    ("start", "header"),
    [
        # int32 major, minor, revision; pictures seen as int32, or as int64 from version 0.2 on
        ("00000000 01000000 00000000 00320000", OLD),
        ("00000000 02000000 05000000 00000000 00010000", NEW),
        ("01000000 00000000 02000000 07000000 00000000", DarknetHeader(1, 0, 2, 7)),
    ],
)
def test_a_header_is_read_field_by_field(tmp_path, start, header):
    path = tmp_path / "hand.weights"
    path.write_bytes(bytes.fromhex(start) + struct.pack("<2f", 0.5, -2.0))
    found, numbers = read_darknet(path)
    assert found == header
    assert numbers.tolist() == [0.5, -2.0]
    assert is_darknet_file(path)


def test_a_convolutions_numbers_are_bias_scale_mean_variance_and_weights(tmp_path):
    """Bytes made by hand after parser.c: with BatchNorm, then without."""
    normed = [1.0, 2, 3, 4, 5, 6, 7, 8]  # two channels: bias, scale, mean, variance
    weights = [10.0, 11, 12, 13, 14, 15]  # (2 out, 3 in, 1, 1)
    linear = [20.0, 30, 31]  # one channel's bias, and weights (1, 2, 1, 1)
    path = tmp_path / "hand.weights"
    path.write_bytes(struct.pack("<iiiq17f", 0, 2, 0, 64, *normed, *weights, *linear))
    network = nn.Sequential(
        nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 1, 1)
    )
    darknet.fill(network, read_darknet(path)[1], path)
    convolution, norm, _, head = network
    assert norm.bias.tolist() == [1, 2]
    assert norm.weight.tolist() == [3, 4]
    assert norm.running_mean.tolist() == [5, 6]
    assert norm.running_var.tolist() == [7, 8]
    assert convolution.weight.flatten(1).tolist() == [[10, 11, 12], [13, 14, 15]]
    assert head.bias.tolist() == [20]
    assert head.weight.flatten().tolist() == [30, 31]
    write_darknet(tmp_path / "again.weights", network, DarknetHeader(0, 2, 0, 64))
    assert (tmp_path / "again.weights").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("header", [OLD, NEW])
def test_a_network_comes_back_from_its_file_with_identical_answers(tmp_path, header):
    model, other = tiny(0), tiny(1)
    write_darknet(tmp_path / "w.weights", model, header)
    assert load_darknet(other, tmp_path / "w.weights") == header
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        for mine, theirs in zip(model(x), other(x), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("backbone", "neck", "whole", "trunk"),
    [
        # the published files: 248,007,048 and 35,434,956 bytes with 20 of header, 80 classes;
        # darknet53.conv.74 has 162,482,580 bytes
        ("darknet53", "full", 62_001_757, 40_620_640),
        ("darknet_tiny", "tiny", 8_858_734, 6_298_480),
    ],
)
def test_a_network_has_as_many_numbers_as_the_published_file(backbone, neck, whole, trunk):
    with torch.device("meta"):
        model = YoloV3(80, backbone, neck)
    assert size_of(model) == whole
    assert size_of(model.backbone) == trunk


def test_the_convolutions_stand_in_the_order_of_yolov3_cfg():
    """Output channels after the trunk's 52, and a head's own bias instead of BatchNorm."""
    with torch.device("meta"):
        weights = [t for what, t in slots(YoloV3(80, "darknet53", "full")) if what == "weights"]
    coarse = [512, 1024, 512, 1024, 512, 1024, 255]
    middle = [256, 256, 512, 256, 512, 256, 512, 255]
    fine = [128, 128, 256, 128, 256, 128, 256, 255]
    assert [t.shape[0] for t in weights[52:]] == coarse + middle + fine
    assert weights[52 + 8].shape[1] == 256 + 512  # what comes up is joined before the trunk's


@pytest.mark.parametrize(
    ("file", "backbone", "neck"),
    [
        (darknet_files.yolov3, "darknet53", "full"),
        (darknet_files.yolov3_tiny, "darknet_tiny", "tiny"),
    ],
)
def test_another_reader_of_darknets_files_gets_the_same_maps(tmp_path, file, backbone, neck):
    path = darknet_files.write(tmp_path / "w.weights", file())
    model = YoloV3(1, backbone, neck).eval()
    assert load_darknet(model, path).seen == 32_013_312
    path.unlink()  # a quarter of a gigabyte
    with torch.inference_mode():
        maps = model(torch.from_numpy(darknet_files.picture()))
    theirs = np.load(Path(__file__).with_name("opencv_darknet.npz"))
    for number, mine in enumerate(maps):
        expected = theirs[f"{file.__name__}_{number}"]
        assert np.abs(mine.numpy() - expected).max() < 1e-3 * expected.std()


def test_a_trunk_alone_or_at_the_start_of_a_whole_file_fills_the_backbone(tmp_path, whole):
    model = tiny(0)
    write_darknet(tmp_path / "darknet53.conv.74", model.backbone)
    for path in (tmp_path / "darknet53.conv.74", whole):
        other = tiny(1)
        head = other.scale32.head[-1].weight.clone()
        load_darknet_trunk(other, path)
        assert same(model.backbone, other.backbone)
        assert torch.equal(other.scale32.head[-1].weight, head)


def test_a_trunk_is_refused_by_a_backbone_that_is_not_darknets(whole):
    with pytest.raises(WeightsError, match="choose --backbone darknet53"):
        load_darknet_trunk(YoloV3(CLASSES), whole)


def changed(content, change):
    numbers = np.frombuffer(content[16:], "<f4").copy()
    change(numbers)
    return content[:16] + numbers.tobytes()


def negative_variance(numbers):
    numbers[3 * 16] = -0.1  # after 16 biases, scales and means


def not_a_number(numbers):
    numbers[-1] = np.nan


def empty_end(numbers):
    numbers[-8000:] = 0  # as a download leaves a file that it had made room for


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[:10], "not a Darknet weights file"),
        (lambda c: b"", "not a Darknet weights file"),
        (lambda c: b"PK\x03\x04" + c[4:], "not a Darknet weights file"),
        (lambda c: struct.pack("<i", -1) + c[4:], "not a Darknet weights file"),
        (lambda c: struct.pack("<i", 1001) + c[4:], "not a Darknet weights file"),
        (lambda c: c[:-2], "truncated"),
        (lambda c: c[:-400], "truncated"),
        (lambda c: c[:16], "truncated"),
        (lambda c: c + b"\0" * 4, "holds 8,6.* this network has 8,6"),
        (lambda c: changed(c, negative_variance), "not those of this network"),
        (lambda c: changed(c, not_a_number), "not those of this network"),
        (lambda c: changed(c, empty_end), "not those of this network"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_the_network_as_it_was(tmp_path, whole, damage, message):
    path = tmp_path / "damaged.weights"
    path.write_bytes(damage(whole.read_bytes()))
    model = tiny(1)
    with pytest.raises(WeightsError, match=message):
        load_darknet(model, path)
    assert same(model, tiny(1))


def test_a_truncated_trunk_is_refused(tmp_path, whole):
    path = tmp_path / "short.conv.13"
    path.write_bytes(whole.read_bytes()[: 16 + 4 * 6_298_479])
    with pytest.raises(WeightsError, match=r"holds 6,298,479 numbers, the backbone has 6,298,480"):
        load_darknet_trunk(tiny(), path)


def test_a_file_with_another_number_of_classes_says_how_many(whole):
    with pytest.raises(WeightsError, match="a network with 2 classes, not 5"):
        load_darknet(tiny(classes=5), whole)


def test_safetensors_folders_and_missing_files_are_not_darknets(tmp_path):
    assert not is_darknet_file(random_weights(tmp_path))
    assert not is_darknet_file(tmp_path)
    assert not is_darknet_file(tmp_path / "gone.weights")
    with pytest.raises(WeightsError, match=r"gone\.weights: cannot be read"):
        load_darknet(tiny(), tmp_path / "gone.weights")


@pytest.fixture
def names(tmp_path):
    path = tmp_path / "fruit.names"
    path.write_text("apple\norange\n\n", encoding="utf-8")
    return path


def test_the_command_makes_a_detector_of_a_whole_file(tmp_path, whole, names, capsys):
    out = tmp_path / "out" / "tiny.safetensors"
    options = f"--names {names} --backbone darknet_tiny --image-size 64 --out {out}"
    darknet.main([str(whole), *options.split()])
    assert "2 classes, trained on 12,800 pictures" in capsys.readouterr().out
    loaded, info = load_weights(out)
    assert same(loaded, tiny())
    assert info.names == ("apple", "orange")
    assert (info.class_score, info.neck, info.mean) == ("sigmoid", "tiny", (0, 0, 0))
    # the published tiny network has the sizes 2, 3, 4 at stride 16, in pixels of any input
    assert info.anchor_array[0] * 64 == pytest.approx(np.array([[23, 27], [37, 58], [81, 82]]))
    found = load_detector(out, "torch").detect(np.full((48, 64, 3), 128, np.uint8), 0.001)
    assert {d.key for d in found} == {"apple", "orange"}


def test_the_command_takes_a_configurations_own_anchors(tmp_path, whole, names):
    out = tmp_path / "tiny.safetensors"
    anchors = "10,14,  23,27,  37,58,  81,82,  135,169,  344,319"
    options = f"--names {names} --backbone darknet_tiny --out {out}".split()
    darknet.main([str(whole), *options, "--anchors", anchors])
    assert read_info(out).anchor_array == pytest.approx(coco_anchors(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--anchors", "10,13"], "needs 6 pairs"),
        (["--anchors", "ten"], "needs 6 pairs"),
        (["--anchors", "0,1," * 5 + "0,1"], "anchors over 0"),
        (["--image-size", "100"], "multiple of 32"),
        (["--confidence", "1"], "between 0 and 1"),
        (["--neck", "slim"], "another --backbone or --neck"),
    ],
)
def test_a_mistake_in_the_command_gets_one_line(tmp_path, whole, names, capsys, options, message):
    always = f"--names {names} --backbone darknet_tiny --out {tmp_path / 'x'}".split()
    with pytest.raises(SystemExit) as stop:
        darknet.main([str(whole), *always, *options])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "class names"), (b"apple\napple\n", "none of them twice"), (b"\xff\xfe\x00", "names")],
)
def test_a_names_file_must_name_each_class_once(tmp_path, whole, names, capsys, content, message):
    names.write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        darknet.main([str(whole), "--names", str(names), "--out", str(tmp_path / "x")])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
