import contextlib
import csv
import io
import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

from model.anchors import coco_anchors
from model.boxes import to_tensor
from model.data.augment import letterbox
from model.data.dataset import read_config, read_picture, read_split
from model.data.trainset import collate
from model.evaluate import Evaluation, evaluate
from model.loss import YoloLoss
from model.runtimes.torch_runtime import TorchDetector
from model.train import main
from model.trainer import Trainer
from model.training.inputs import Inputs, squared
from model.training.processes import Place
from model.training.report import shrink
from model.training.settings import TrainConfig
from model.weights import load_weights, save_weights
from model.yolov3 import YoloV3
from tests.model.helpers import SAMPLE, info, random_weights
from tests.model.small_run import small_config, small_data, trained

SIZE = 128  # of a square; the pictures get 160 × 96
STEPS = 60


def test_a_few_real_pictures_are_learnt_by_heart(tmp_path):
    """Network, loss, targets, decode and metrics fit together: mAP50 over 0.95 on what was seen."""
    config = read_config(SAMPLE / "data.yaml")
    samples = [s for s in read_split(config, "train") if len(s.boxes)]
    pictures = [(read_picture(s.path), s.boxes) for s in samples]
    pictures = [(image, boxes) for image, boxes in pictures if image.shape == (270, 480, 3)][:4]
    pairs = [letterbox(image, boxes, SIZE, tight=True) for image, boxes in pictures]
    torch.manual_seed(0)
    model = YoloV3(len(config.names))
    model.backbone.load_imagenet()
    model.train()
    model.backbone.eval()
    loss, optimizer = YoloLoss(coco_anchors()), torch.optim.AdamW(model.parameters(), 2e-3)
    calming = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)
    images, rows = collate([(to_tensor(image), torch.from_numpy(rows)) for image, rows in pairs])
    described = info(config.names, SIZE)
    inputs = Inputs(
        TrainConfig(image_size=SIZE), described.mean, described.std, torch.device("cpu")
    )
    x, box_scale, anchor_scale = inputs(images, 0, 0)
    rows[:, 2:] *= box_scale
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(squared(model(x)), rows, anchor_scale)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        calming.step()  # at a steady rate the last step's chance would decide
    path = tmp_path / "w.safetensors"
    save_weights(path, model, described)
    summary = evaluate(TorchDetector(path), pictures).summary
    assert summary["map50"] > 0.95


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training on the sample set, with composed scenes, frozen first."""
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = small_data(folder, train=32, val=6)
        sources = ["--data", data, "--scenes", str(SAMPLE), "--name", "short"]
        small = "--image-size 96 --epochs 2 --frozen-epochs 1 --batch 8 --val-scenes 4"
        mixed = "--composed 0.5 --workers 2 --device cpu"
        with contextlib.redirect_stdout(io.StringIO()) as said:
            main([*sources, *small.split(), *mixed.split()])
    (folder / "said.txt").write_text(said.getvalue())
    return folder / "runs" / "train" / "short"


def test_a_training_says_what_it_does_where_the_weights_are_and_what_comes_next(run):
    first, *_, done, then = (run.parents[2] / "said.txt").read_text().splitlines()
    assert first == (
        "training efficientnet_lite0 + slim at 96 px on 48 pictures of 11 classes, cpu, "
        "epoch 1 to 2, into runs/train/short"
    )
    assert done.startswith("done: runs/train/short/weights/best.safetensors (map 0.")
    assert then.startswith("next: CHECKOUT_WEIGHTS=runs/train/short/weights/best.safetensors make")


def test_a_training_leaves_its_settings_figures_plots_and_weights(run):
    present = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    expected = {
        "args.yaml",
        "results.csv",
        "results.png",
        "confusion_matrix.png",
        "confusion_matrix_normalized.png",
        "per_class.csv",
        "PR_curve.png",
        "F1_curve.png",
        "labels.png",
        "weights/best.safetensors",
        "weights/last.safetensors",
    }
    assert expected <= present
    assert any(name.startswith("events.out.tfevents") for name in present)
    assert yaml.safe_load((run / "args.yaml").read_text())["image_size"] == 96


def test_the_loss_falls_from_the_first_epoch_to_the_second(run):
    with (run / "results.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 2
    assert losses[1] < losses[0]


def test_every_epoch_tells_its_speed_its_waiting_and_its_memory(run):
    with (run / "results.csv").open() as file:
        for row in csv.DictReader(file):
            assert float(row["images_per_s"]) > 0
            assert 0 <= float(row["data_wait"]) < 1
            assert float(row["rss_mib"]) > 100
            assert float(row["cuda_mib"]) == 0


def test_the_best_weights_say_what_they_are(run):
    _, described = load_weights(run / "weights" / "best.safetensors")
    assert described.names[0] == "apple"
    assert described.image_size == 96
    assert len(described.data_hash) == 64
    assert set(described.metrics) == {"map50", "map", "cacc"}
    assert 0 < described.confidence < 1


@pytest.fixture
def learnt(tmp_path, monkeypatch):
    """The trunk before and after an epoch with some settings."""
    monkeypatch.setattr("model.trainer.report", lambda *_: None)

    def run(**changes):
        trained_one = trained(small_config(tmp_path, epochs=1, lr=0.01, **changes), tmp_path / "r")
        before = YoloV3(11)
        before.backbone.load_imagenet()
        return before.backbone, trained_one.model.backbone

    return run


def changed(before, after, kind):
    """Which stages have parameters, or buffers, that are not what they were."""
    return [
        any(
            not torch.equal(a, b)
            for a, b in zip(getattr(one, kind)(), getattr(other, kind)(), strict=True)
        )
        for one, other in zip(before.stages, after.stages, strict=True)
    ]


def test_a_resting_trunk_does_not_change(learnt):
    trunks = learnt(frozen_epochs=1, trunk_bn="trainable")
    assert changed(*trunks, "parameters") == changed(*trunks, "buffers") == [False] * 8


def test_a_trunks_first_stages_rest_for_good_with_their_batchnorm(learnt):
    trunks = learnt(frozen_epochs=0, frozen_stages=3, trunk_bn="trainable")
    assert changed(*trunks, "parameters") == [False] * 3 + [True] * 5
    assert changed(*trunks, "buffers") == [False] * 3 + [True] * 5


def test_a_trunk_learns_and_its_batchnorm_keeps_its_statistics(learnt):
    trunks = learnt(frozen_epochs=0)
    assert changed(*trunks, "parameters") == [True] * 8
    assert changed(*trunks, "buffers") == [False] * 8


def with_things_not_for_sale(tmp_path):
    """The sample's cut-outs, limes and peaches apart."""
    scenes = tmp_path / "scenes"
    shutil.copytree(SAMPLE / "cutouts", scenes / "cutouts")
    for name in ("lime", "peach"):
        (scenes / "cutouts_bonus" / name).mkdir(parents=True)
        for path in (scenes / "cutouts").glob(f"{name}_*.png"):
            path.rename(scenes / "cutouts_bonus" / name / path.name)
    return str(scenes)


def test_things_not_for_sale_are_learnt_by_name_and_never_told(tmp_path, monkeypatch):
    monkeypatch.setattr("model.trainer.report", lambda *_: None)
    config = small_config(tmp_path, epochs=1, scenes=with_things_not_for_sale(tmp_path))
    trainer = trained(config, tmp_path / "run")
    assert {11, 12} <= {
        int(c) for i in range(len(trainer.items)) for c in trainer.items[i][1][:, 0]
    }
    last = tmp_path / "run" / "weights" / "last.safetensors"
    _, described = load_weights(last)
    assert described.others == ("lime", "peach")
    picture = np.zeros((64, 64, 3), np.uint8)
    found = {d.key for d in TorchDetector(last).detect(picture, confidence=1e-6)}
    assert found <= set(described.names)
    assert len(found) > 5


@pytest.mark.parametrize(("chance", "some"), [(0.0, False), (1.0, True)])
def test_scenes_show_as_many_things_not_for_sale_as_is_asked(chance, some, tmp_path):
    scenes = with_things_not_for_sale(tmp_path)
    trainer = Trainer(small_config(tmp_path, scenes=scenes, distractors=chance), tmp_path)
    trainer.load()
    shown = {int(c) for i in range(len(trainer.items)) for c in trainer.items[i][1][:, 0]}
    assert bool(shown & {11, 12}) == some


def test_a_run_that_keeps_all_of_its_start_ends_where_it_began(tmp_path, monkeypatch):
    monkeypatch.setattr("model.trainer.report", lambda *_: None)
    names = read_config(SAMPLE / "data.yaml").names
    start = random_weights(tmp_path, names=names)
    config = small_config(tmp_path, epochs=1, weights=str(start), blend=1.0)
    trained(config, tmp_path / "run")
    before, after = (
        load_weights(path)[0].state_dict()
        for path in (start, tmp_path / "run" / "weights" / "last.safetensors")
    )
    assert [n for n in before if not torch.equal(before[n], after[n])] == []


def test_classes_learnt_one_by_one_are_scored_one_by_one(tmp_path):
    trainer = Trainer(small_config(tmp_path, loss="paper"), tmp_path)
    assert trainer.info.class_score == "sigmoid"


@pytest.mark.parametrize(
    ("maps", "kind", "said"),
    [
        ((0.5991,), "I8", "8 bits change mAP50:95 by -0.00090: kept"),
        ((0.5989, 0.6), "F16", "16 bits change mAP50:95 by +0.00000: kept"),
        ((0.5989, 0.5989), "F32", "16 bits change mAP50:95 by -0.00110: too much"),
    ],
)
def test_weights_are_stored_small_where_that_costs_next_to_nothing(
    tmp_path, monkeypatch, maps, kind, said, capsys
):
    """The first evaluation is of the whole weights, with a mAP of 0.6."""
    results = iter([Evaluation({"map": value}, []) for value in (0.6, *maps)])
    monkeypatch.setattr("model.training.report.evaluate", lambda *_: next(results))
    path = random_weights(tmp_path)
    shrink(path, [])
    with safe_open(path, framework="pt") as file:
        assert file.get_slice("scale8.five.0.0.weight").get_dtype() == kind
    assert said in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_stopped_training_goes_on_where_it_stood(run, tmp_path, monkeypatch):
    monkeypatch.setattr("model.trainer.report", lambda *_: None)
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    settings = yaml.safe_load((copy / "args.yaml").read_text())
    (copy / "args.yaml").write_text(yaml.safe_dump(settings | {"epochs": 3}))
    monkeypatch.chdir(tmp_path)
    main(["--resume", str(copy)])
    with (copy / "results.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def last_row(trainer):
    with (trainer.folder / "results.csv").open() as file:
        return {name: float(value) for name, value in list(csv.DictReader(file))[-1].items()}


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_in_half_precision_the_same_is_learnt(tmp_path, monkeypatch, half):
    """The loop of a CUDA card, gradients scaled, but on the CPU; a first step may be too large."""
    monkeypatch.setattr("model.trainer.report", lambda *_: None)
    config = small_config(tmp_path, frozen_epochs=0, epochs=1)
    whole = trained(config, tmp_path / "whole")
    monkeypatch.setattr(Place, "half", lambda self, amp: half)
    halved = trained(config, tmp_path / "half")

    assert halved.scaler.is_enabled() == (half is torch.float16)
    assert halved.model.backbone.stages[0][0].weight.dtype == torch.float32
    for name in ("loss", "box", "objectness", "no_object", "classes"):
        found, wanted = (last_row(t)[name] for t in (halved, whole))
        assert found != wanted
        assert found == pytest.approx(wanted, rel=0.05)
