import pytest
import torch

from model.yolov3 import YoloV3


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("neck", ["full", "slim"])
def test_the_three_maps_have_the_shapes_that_the_decoder_expects(neck):
    model = YoloV3(11, neck=neck).eval()
    maps = model(torch.zeros(2, 3, 96, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 48, 12, 12), (2, 48, 6, 6), (2, 48, 3, 3)]
    assert model.scales == 3


def test_the_tiny_neck_has_two_scales_on_any_backbone():
    model = YoloV3(11, "efficientnet_lite0", "tiny").eval()
    maps = model(torch.zeros(2, 3, 96, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 48, 6, 6), (2, 48, 3, 3)]
    assert model.scales == 2


def test_yolov3_on_darknet53_has_61_577_584_parameters_at_eleven_classes():
    # the published file for 80 classes holds 62,001,757 numbers: also a mean and a variance for
    # each of BatchNorm's 26,304 channels, and 69 more classes for three anchors on three heads
    more_classes = 3 * 69 * ((1024 + 1) + (512 + 1) + (256 + 1))
    with torch.device("meta"):
        model = YoloV3(11, "darknet53", "full")
    assert parameters(model) == 62_001_757 - 2 * 26_304 - more_classes == 61_577_584


def test_the_first_convolution_learns_from_every_scale():
    model = YoloV3(3, "darknet_tiny", "tiny")
    for raw in model(torch.rand(2, 3, 64, 64)):
        model.zero_grad()
        raw.square().sum().backward(retain_graph=True)
        first = model.backbone.stages[0][0].weight
        assert first.grad.abs().sum() > 0


def test_an_unknown_backbone_or_neck_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="efficientnet_lite0"):
        YoloV3(3, backbone="resnet")
    with pytest.raises(ValueError, match="slim"):
        YoloV3(3, neck="thick")


def test_a_new_head_says_that_nearly_nothing_is_there():
    maps = YoloV3(classes=3).eval()(torch.rand(1, 3, 96, 96))
    objectness = torch.cat([m.view(3, 8, -1)[:, 4].flatten() for m in maps])
    assert torch.sigmoid(objectness).mean().item() == pytest.approx(0.01, abs=0.005)
