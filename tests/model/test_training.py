import csv

import pytest
import torch
import yaml

from model.anchors import coco_anchors
from model.boxes import to_tensor
from model.data.augment import letterbox
from model.data.dataset import read_config, read_picture, read_split
from model.data.trainset import collate
from model.evaluate import evaluate
from model.loss import YoloLoss
from model.runtimes.torch_runtime import TorchDetector
from model.train import main
from model.weights import load_weights, save_weights
from model.yolov3 import YoloV3
from tests.model.helpers import SAMPLE, info

SIZE = 160


def test_a_few_real_pictures_are_learnt_by_heart(tmp_path):
    """Network, loss, targets, decode and metrics fit together: mAP50 over 0.95 on what was seen."""
    config = read_config(SAMPLE / "data.yaml")
    samples = [s for s in read_split(config, "train") if len(s.boxes)][::9][:6]
    pairs = [letterbox(read_picture(s.path), s.boxes, SIZE) for s in samples]
    torch.manual_seed(0)
    model = YoloV3(len(config.names))
    model.backbone.load_imagenet()
    model.train()
    model.backbone.eval()
    loss, optimizer = YoloLoss(coco_anchors()), torch.optim.AdamW(model.parameters(), 2e-3)
    images, rows = collate([(to_tensor(image), torch.from_numpy(rows)) for image, rows in pairs])
    x = (images - 127.0) / 128
    for _ in range(90):
        optimizer.zero_grad()
        loss(model(x), rows)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
    path = tmp_path / "w.safetensors"
    save_weights(path, model, info(config.names, SIZE))
    summary = evaluate(TorchDetector(path), pairs).summary
    assert summary["map50"] > 0.95


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training on the sample set, with composed scenes, frozen first."""
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sources = ["--data", str(SAMPLE / "data.yaml"), "--scenes", str(SAMPLE), "--name", "short"]
        small = "--image-size 96 --epochs 2 --frozen-epochs 1 --batch 16 --val-scenes 4"
        mixed = "--composed 0.5 --workers 0 --device cpu"
        main([*sources, *small.split(), *mixed.split()])
    return folder / "runs" / "train" / "short"


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


def test_the_best_weights_say_what_they_are(run):
    _, described = load_weights(run / "weights" / "best.safetensors")
    assert described.names[0] == "apple"
    assert described.image_size == 96
    assert len(described.data_hash) == 64
    assert set(described.metrics) == {"map50", "map", "cacc"}
    assert 0 < described.confidence < 1


def test_a_stopped_training_goes_on_where_it_stood(run, tmp_path, monkeypatch):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    settings = yaml.safe_load((copy / "args.yaml").read_text())
    (copy / "args.yaml").write_text(yaml.safe_dump(settings | {"epochs": 3}))
    monkeypatch.chdir(tmp_path)
    main(["--resume", str(copy)])
    with (copy / "results.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
