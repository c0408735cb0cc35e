import numpy as np
import pytest
import torch

from model.backbones import build_backbone
from model.data.dataset import read_config, read_split
from model.yolov3 import YoloV3
from tests.model.helpers import SAMPLE


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_the_three_maps_have_the_shapes_that_the_decoder_expects():
    maps = YoloV3(classes=11)(torch.zeros(2, 3, 96, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 48, 12, 12), (2, 48, 6, 6), (2, 48, 3, 3)]


def test_efficientnet_lite0_has_the_published_size_without_its_classifier():
    # 4,652,008 parameters with the classifier's 1×1 convolution, BatchNorm and 1000-way layer
    classifier = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert parameters(build_backbone("efficientnet_lite0")) == 4_652_008 - classifier


def test_an_unknown_backbone_or_neck_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="efficientnet_lite0"):
        YoloV3(3, backbone="resnet")
    with pytest.raises(ValueError, match="slim"):
        YoloV3(3, neck="thick")


def test_a_new_head_says_that_nearly_nothing_is_there():
    maps = YoloV3(classes=3).eval()(torch.rand(1, 3, 96, 96))
    objectness = torch.cat([m.view(3, 8, -1)[:, 4].flatten() for m in maps])
    assert torch.sigmoid(objectness).mean().item() == pytest.approx(0.01, abs=0.005)


def test_imagenet_features_tell_fruits_apart_better_than_random_ones():
    """The converted weights are wired right: nearest neighbours by features share the class."""
    samples = read_split(read_config(SAMPLE / "data.yaml"), "val")
    single = [s for s in samples if len(s.boxes) == 1]
    assert agreement(single, imagenet=True) > agreement(single, imagenet=False) + 0.1


def agreement(samples, imagenet):
    from model.boxes import Letterbox
    from model.data.dataset import read_picture
    from model.data.trainset import to_tensor

    torch.manual_seed(0)
    trunk = build_backbone("efficientnet_lite0").eval()
    if imagenet:
        trunk.load_imagenet()
    features = []
    with torch.inference_mode():
        for sample in samples:
            image = read_picture(sample.path)
            fit = Letterbox(image.shape[1], image.shape[0], 160)
            x = (to_tensor(fit.apply(image))[None] - 127.0) / 128
            features.append(trunk(x)[2].mean((2, 3))[0].numpy())
    vectors = np.stack(features)
    vectors = (vectors - vectors.mean(0)) / (vectors.std(0) + 1e-6)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T - 2 * np.eye(len(vectors))
    labels = np.array([s.boxes[0, 0] for s in samples])
    return (labels[near.argmax(1)] == labels).mean()
