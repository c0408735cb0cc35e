import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.anchors import coco_anchors
from model.backbones import build_backbone
from model.cli import SettingsError
from model.darknet import write_darknet
from model.data.dataset import DataError, read_config, read_split
from model.data.trainset import SHAPES, TrainSet
from model.runtimes import openvino_fits
from model.trainer import Trainer
from model.training.average import Average
from model.training.inputs import Inputs, squared
from model.training.meter import Meter, timed
from model.training.optimizer import build_optimizer
from model.training.order import Key, Order
from model.training.records import COLUMNS, write_rows
from model.training.schedule import Patience, Schedule
from model.training.settings import TrainConfig
from model.training.start import start
from model.training.trunk import CompiledTrunk, FoldedTrunk, resting_trunk
from model.weights import WeightsError, load_weights, save_weights
from model.yolov3 import YoloV3
from tests.model.helpers import NAMES, SAMPLE, info, random_weights
from tests.model.small_run import small_config

SETTINGS = TrainConfig(image_size=64, epochs=10, warmup_epochs=1)
runs = st.tuples(
    *(st.integers(3, 40), st.integers(1, 6), st.integers(1, 3), st.integers(1, 4)),
    st.integers(0, 9),
)


def batches_of(length, batch, world, epochs, seed):
    orders = [Order(length, batch, seed, epochs, rank, world) for rank in range(world)]
    return orders, [list(order) for order in orders]


@given(runs)
def test_no_picture_is_seen_twice_in_an_epoch_by_any_process(run):
    length, batch, world, epochs, _ = run
    orders, batches = batches_of(*run)
    assert {len(b) for b in batches} == {epochs * orders[0].steps}
    seen = [key for of_process in batches for keys in of_process for key in keys]
    assert len(seen) == len(set(seen))
    assert {key.picture for key in seen} <= set(range(length))
    assert len(seen) > epochs * (length - batch * world)


@given(runs, st.data())
def test_an_order_that_starts_later_gives_what_is_left(run, data):
    (order, *_), (whole, *_) = batches_of(*run)
    place = data.draw(st.integers(0, len(whole) - 1))
    order.start = divmod(place, order.steps)
    assert list(order) == whole[place:]
    assert len(order) == len(whole) - place


def test_a_batch_is_of_one_shape_and_every_shape_comes():
    batches = list(Order(200, 4, seed=0, epochs=2))
    shapes = [{key.shape for key in keys} for keys in batches]
    assert all(len(found) == 1 for found in shapes)
    assert set.union(*shapes) == set(SHAPES)
    assert shapes[:50] != shapes[50:]


def test_few_pictures_make_one_smaller_batch():
    assert [len(keys) for keys in Order(5, 16, seed=0, epochs=2)] == [5, 5]
    with pytest.raises(SettingsError, match="too few for 2 processes"):
        Order(1, 16, seed=0, epochs=1, world=2)


def test_two_epochs_and_two_seeds_have_other_orders():
    orders = [
        [key.picture for keys in list(Order(50, 10, seed, 2))[first : first + 5] for key in keys]
        for seed, first in ((0, 0), (0, 5), (1, 0))
    ]
    assert sorted(map(sorted, orders)) == [list(range(50))] * 3
    assert len(set(map(tuple, orders))) == 3


@pytest.mark.parametrize(
    ("schedule", "epochs", "factor"),
    [
        ("cosine", 0, 0.01),
        ("cosine", 0.49, 0.5),
        ("cosine", 10, 0.01),
        ("cosine", 5, 0.505),
        ("step", 2, 1),
        ("step", 3, 0.1),
        ("step", 7, 0.01),
        ("plateau", 9.5, 1),
    ],
)
def test_the_rate_warms_up_and_falls(schedule, epochs, factor):
    config = replace(SETTINGS, schedule=schedule, step_epochs=(3.0, 6.0))
    assert Schedule(config).factor(epochs) == pytest.approx(factor, rel=0.02)


def test_without_warm_up_the_rate_begins_at_its_peak():
    assert Schedule(replace(SETTINGS, warmup_epochs=0)).factor(0) == 1


def test_the_rate_drops_once_nothing_has_improved_for_longer_than_is_borne():
    schedule = Schedule(replace(SETTINGS, schedule="plateau", plateau_patience=2))
    factors = []
    for score in (0.5, 0.4, 0.5, 0.3, 0.6, 0.6, 0.6, 0.6):
        schedule.epoch_ended(score)
        factors.append(round(schedule.factor(5), 6))
    assert factors == [1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01]
    other = Schedule(schedule.config)
    other.load_state_dict(schedule.state_dict())
    assert other.factor(5) == schedule.factor(5)


def test_patience_counts_from_the_best_score():
    patience = Patience()
    assert patience.best == -math.inf
    assert [patience.improves(score) for score in (0.1, 0.1, 0.3, 0.2)] == [True, False] * 2
    assert (patience.best, patience.waited) == (0.3, 1)


def test_the_average_follows_at_first_and_then_lags_behind():
    model = YoloV3(2)
    average, without = Average(model, 0.99), Average(model, 0)
    layer, mine = model.scale8.head[-1].bias, average.module.scale8.head[-1].bias
    with torch.no_grad():
        layer += 1
    average.update(1)
    without.update(1)
    torch.testing.assert_close(without.module.scale8.head[-1].bias, layer)
    assert (layer - mine).abs().max() < 0.01
    with torch.no_grad():
        layer += 1
    average.update(10**6)
    torch.testing.assert_close(layer - mine, torch.full_like(layer, 0.99), rtol=0, atol=0.02)


@pytest.mark.parametrize("blend", [0.0, 0.25, 1.0])
def test_what_is_kept_lies_between_the_start_and_the_average(blend):
    model = YoloV3(2)
    average = Average(model, 0, blend)
    first = model.scale8.head[-1].bias.detach().clone()
    with torch.no_grad():
        model.scale8.head[-1].bias += 1
    average.update(1)
    kept = average.kept().scale8.head[-1].bias
    torch.testing.assert_close(kept - first, torch.full_like(first, 1 - blend))
    learnt = average.module.scale8.head[-1].bias  # goes on from where it is
    torch.testing.assert_close(learnt - first, torch.ones_like(first))
    assert len(average.begun) == (len(average._mine) if blend else 0)


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_the_trunk_learns_slower_and_only_convolutions_decay(kind):
    model = YoloV3(2)
    optimizer = build_optimizer(model, replace(SETTINGS, optimizer=kind, lr=0.1, trunk_lr=0.5))
    of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(of) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        group = of[id(parameter)]
        assert group["peak"] == (0.05 if name.startswith("backbone") else 0.1)
        assert bool(group["weight_decay"]) == (parameter.ndim == 4)


def test_inputs_are_normalised_by_the_given_colours():
    inputs = Inputs(SETTINGS, (0.5, 0.0, 1.0), (0.5, 1.0, 2.0), torch.device("cpu"))
    x, *scales = inputs(torch.full((2, 3, 64, 64), 255, dtype=torch.uint8), 0, 0)
    assert x[0, :, 0, 0].tolist() == [1, 1, 0]
    assert (x.shape, scales) == ((2, 3, 64, 64), [1, 1])


def test_batches_of_many_sizes_keep_anchors_in_pixels():
    inputs = Inputs(
        replace(SETTINGS, image_size=96, multi_scale=0.34),
        (0.0,) * 3,
        (1.0,) * 3,
        torch.device("cpu"),
    )
    images = torch.zeros(1, 3, 96, 96, dtype=torch.uint8)
    seen = {(x.shape[-1], *scales) for x, *scales in (inputs(images, 0, b) for b in range(30))}
    assert seen == {(64, 1, 1.5), (96, 1, 1), (128, 1, 0.75)}
    assert inputs.size(3, 7) == inputs.size(3, 7)


def test_batches_of_many_sizes_keep_the_shape_of_oblong_pictures_and_their_boxes_in_place():
    config = replace(SETTINGS, image_size=416, multi_scale=0.2)
    inputs = Inputs(config, (0.0,) * 3, (1.0,) * 3, torch.device("cpu"))
    images = torch.zeros((1, 3, 288, 512), dtype=torch.uint8)
    images[..., 208:] = 255  # from half of the network's own size on
    sizes = set()
    for batch in range(20):
        x, box_scale, anchor_scale = inputs(images, 0, batch)
        high, wide = x.shape[2:]
        now = round(416 * box_scale / anchor_scale)
        sizes.add(now)
        inner = round(288 * now / 416), round(512 * now / 416)
        assert (high % 32, wide % 32) == (0, 0)
        assert all(0 <= n - m < 32 for n, m in zip((high, wide), inner, strict=True))
        edge = 0.5 * box_scale * wide
        assert (x[:, :, : inner[0], round(edge) + 2 : inner[1]] > 0.99).all()
        assert (x[:, :, :, : round(edge) - 2] < 0.01).all()
        assert (x[:, :, inner[0] :] == 0).all()
        assert anchor_scale == 416 / wide
    assert len(sizes) > 3


def test_boxes_and_anchors_of_an_oblong_input_become_shares_of_its_longer_side():
    inputs = Inputs(SETTINGS, (0.0,) * 3, (1.0,) * 3, torch.device("cpu"))
    size = SETTINGS.image_size
    x, box_scale, anchor_scale = inputs(torch.zeros(1, 3, size, 2 * size, dtype=torch.uint8), 0, 0)
    assert (x.shape[-1], box_scale, anchor_scale) == (2 * size, 0.5, 0.5)


def test_maps_of_an_oblong_input_are_filled_up_with_cells_that_find_nothing():
    maps = torch.randn(2, 8, 6, 10), torch.randn(2, 8, 5, 3)
    wide, high = squared(maps)
    assert (wide.shape, high.shape) == ((2, 8, 10, 10), (2, 8, 5, 5))
    assert torch.equal(wide[:, :, :6], maps[0])
    assert torch.equal(high[..., :3], maps[1])
    assert torch.sigmoid(wide[:, :, 6:]).max() < 1e-8
    assert torch.sigmoid(high[..., 3:]).max() < 1e-8


def test_a_meter_tells_mean_losses_speed_and_waiting():
    meter = Meter()
    meter.add({"loss": 1.0}, images=4, wait_s=1.0, busy_s=3.0)
    meter.add({"loss": 3.0}, images=4, wait_s=0.0, busy_s=4.0)
    row = meter.row()
    assert (row["loss"], row["images_per_s"], row["data_wait"]) == (2, 1, 1 / 8)
    assert row["rss_mib"] > 100
    assert "loss 2.000, 1.0 img/s, waits 12%" in str(meter)


def test_items_are_timed_from_the_asking():
    assert [item for item, wait_s in timed([1, 2]) if 0 <= wait_s < 1] == [1, 2]


def test_results_are_written_anew_as_a_whole(tmp_path):
    row = dict.fromkeys(COLUMNS, 1.0)
    for rows in ([row], [row, row | {"epoch": 2.0}]):
        write_rows(tmp_path, rows)
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("epoch,lr,loss,box,")


@pytest.fixture(scope="module")
def items():
    return TrainSet(read_split(read_config(SAMPLE / "data.yaml"), "train")[:20], 64, seed=0)


def begun(items, names=NAMES, **changes):
    return start(replace(SETTINGS, **changes), names, items)


def test_a_new_network_has_the_trunks_colours_and_cocos_anchors(items):
    new = begun(items)
    np.testing.assert_array_equal(new.anchors, coco_anchors())
    assert new.mean == (127 / 255,) * 3
    assert begun(items, neck="tiny").anchors.shape == (2, 3, 2)


def test_colours_can_be_given(items):
    new = begun(items, normalisation="0.6340,0.5614,0.4288/0.2803,0.2786,0.3126")
    assert (new.mean, new.std) == ((0.6340, 0.5614, 0.4288), (0.2803, 0.2786, 0.3126))


def test_fitted_anchors_differ_from_cocos_and_repeat(items):
    fitted = begun(items, anchors="auto").anchors
    assert fitted.shape == (3, 3, 2)
    assert not np.allclose(fitted, coco_anchors())
    np.testing.assert_array_equal(fitted, begun(items, anchors="auto").anchors)


def test_anchors_are_read_from_a_file(items, tmp_path):
    path = tmp_path / "anchors.yaml"
    path.write_text(f"anchors: {(coco_anchors() / 2).tolist()}")
    np.testing.assert_allclose(begun(items, anchors=str(path)).anchors, coco_anchors() / 2)
    with pytest.raises(SettingsError, match=r"\(2, 3\) scales and anchors, not \(3, 3\)"):
        begun(items, anchors=str(path), neck="tiny")


def same(one, other):
    """Whether two networks or layers have the same numbers."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_same_classes_go_on_unchanged_with_anchors_kept_in_pixels(items, tmp_path):
    path = random_weights(tmp_path, image_size=96, mean=(0.1, 0.2, 0.3))
    new = begun(items, weights=str(path))
    assert same(new.model, load_weights(path)[0])
    np.testing.assert_allclose(new.anchors, coco_anchors() * 1.5)
    assert (new.mean, new.said) == ((0.1, 0.2, 0.3), "")


def test_classes_known_by_name_are_kept_and_new_ones_begin_anew(items, tmp_path):
    path = random_weights(tmp_path)
    new = begun(items, ("melon", NAMES[2], NAMES[0]), weights=str(path))
    assert new.said == "random.safetensors knows 2 of the 3 classes; the rest begin anew"
    old = load_weights(path)[0]
    assert same(new.model.backbone, old.backbone)
    assert same(new.model.scale16.five, old.scale16.five)
    for scale in ("scale8", "scale16", "scale32"):
        mine, theirs = (
            getattr(model, scale).head[-1].weight.view(3, 8, -1) for model in (new.model, old)
        )
        assert torch.equal(mine[:, [0, 1, 2, 3, 4, 6, 7]], theirs[:, [0, 1, 2, 3, 4, 7, 5]])
        assert not torch.allclose(mine[:, 5], theirs[:, 6])


def test_a_network_keeps_its_own_neck_whatever_was_asked(items, tmp_path):
    model = YoloV3(len(NAMES), "darknet_tiny", "tiny")
    path = tmp_path / "tiny.safetensors"
    anchors = tuple(tuple(map(tuple, scale)) for scale in coco_anchors(2).tolist())
    save_weights(path, model, info(backbone="darknet_tiny", neck="tiny", anchors=anchors))
    new = begun(items, weights=str(path))
    assert (new.backbone, new.neck, len(new.anchors)) == ("darknet_tiny", "tiny", 2)


def test_another_neck_begins_anew_on_the_trunk_of_the_weights(items, tmp_path):
    path = random_weights(tmp_path)
    new = begun(items, weights=str(path), neck="tiny")
    old = load_weights(path)[0]
    assert (new.backbone, new.neck, new.anchors.shape) == ("efficientnet_lite0", "tiny", (2, 3, 2))
    assert same(new.model.backbone, old.backbone)
    assert begun(items, weights=str(path), neck="slim").model.state_dict().keys() == (
        old.state_dict().keys()
    )


def test_a_trunk_of_darknets_is_loaded(items, tmp_path):
    trunk = YoloV3(2, "darknet_tiny", "tiny").backbone
    path = tmp_path / "tiny.conv"
    write_darknet(path, trunk)
    new = begun(items, weights=str(path), backbone="darknet_tiny", neck="tiny")
    assert same(new.model.backbone, trunk)
    with pytest.raises(WeightsError, match="choose --backbone"):
        begun(items, weights=str(path))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "darknet_tiny"])
def test_a_folded_trunk_gives_the_maps_and_the_gradients_of_the_trunk(name):
    trunk = build_backbone(name)
    for norm in (m for m in trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.running_mean, std=0.1)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    trunk.eval().double()
    fold, x = FoldedTrunk(trunk), torch.rand(2, 3, 64, 64, dtype=torch.float64)
    results = []
    for way in (trunk, fold):
        trunk.zero_grad()
        maps = way(x)
        sum(m.square().mean() for m in maps).backward()
        results.append((maps, [p.grad.clone() for p in trunk.parameters()]))
    (maps, gradients), (folded_maps, folded_gradients) = results
    torch.testing.assert_close(folded_maps, maps)
    torch.testing.assert_close(folded_gradients, gradients)
    assert all(g.abs().max() > 0 for g in gradients)


def test_a_folded_trunk_at_rest_asks_for_no_gradients():
    trunk = build_backbone("efficientnet_lite0").requires_grad_(False)
    assert not any(m.requires_grad for m in FoldedTrunk(trunk)(torch.rand(1, 3, 64, 64)))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "darknet_tiny"])
def test_a_compiled_trunk_gives_the_maps_of_the_trunk_at_every_size(name):
    trunk = build_backbone(name).eval().requires_grad_(False)
    compiled = resting_trunk(trunk, torch.device("cpu"))
    assert isinstance(compiled, CompiledTrunk if openvino_fits() else FoldedTrunk)
    for sides, pictures in (((64, 64), 2), ((96, 96), 3), ((64, 96), 2), ((64, 64), 1)):
        x = torch.rand(pictures, 3, *sides).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(compiled(x), trunk(x), rtol=1e-3, atol=1e-4)


def test_keys_are_told_apart_by_epoch_and_picture():
    assert Key(1, 2, (4, 3)) != Key(2, 1, (4, 3))


def spoilt_data(folder):
    """Four pictures of which one has a label that is no box, and one more to validate on."""
    for number in range(5):
        name = "val" if number == 4 else "train"
        (folder / name / "images").mkdir(parents=True, exist_ok=True)
        (folder / name / "labels").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name / "images" / f"{number}.jpg"), np.zeros((9, 9, 3), np.uint8))
        row = "0 0.5 nan 0.1 0.1" if number == 2 else "0 0.5 0.5 0.1 0.1"
        (folder / name / "labels" / f"{number}.txt").write_text(row)
    (folder / "data.yaml").write_text("{names: [apple], train: train/images, val: val/images}")
    return str(folder / "data.yaml")


def test_a_picture_with_a_bad_label_stops_a_training_or_is_left_out_as_asked(tmp_path, capsys):
    config = small_config(tmp_path, data=spoilt_data(tmp_path / "spoilt"), weights="random")
    with pytest.raises(DataError, match=r"2\.txt:1"):
        Trainer(config, tmp_path / "run")
    assert len(Trainer(replace(config, bad="skip"), tmp_path / "run").items) == 3
    assert "model.dataset check" in capsys.readouterr().err


def test_a_share_of_the_photographs_is_drawn_by_the_seed(tmp_path):
    config = small_config(tmp_path, weights="random", share=0.5)
    drawn = [
        [s.path for s in Trainer(replace(config, seed=seed), tmp_path / "run").items.samples]
        for seed in (0, 0, 1)
    ]
    assert [len(paths) for paths in drawn] == [6, 6, 6]
    assert drawn[0] == drawn[1] != drawn[2]
