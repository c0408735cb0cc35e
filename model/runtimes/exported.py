"""A detector read back from a file that model.export wrote, with nothing but what stands in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.boxes import Letterbox
from model.decode import as_detections, fruits, suppress
from model.detector import Detection
from model.portable import INPUT, OUTPUTS
from model.runtimes import has_vnni

if TYPE_CHECKING:
    import onnxruntime

Answer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class ExportedDetector:
    """Runs an ``.onnx`` file on ONNX Runtime, an ``.xml`` file on OpenVINO; see Detector."""

    def __init__(self, path: Path) -> None:
        self.runtime = "onnx" if path.suffix == ".onnx" else "openvino"
        self.answer, facts = _onnx(path) if self.runtime == "onnx" else _openvino(path)
        self.names = tuple(json.loads(facts["names"]))
        self.confidence = float(facts["confidence"])
        self.image_size = int(facts["image_size"])
        self.calibrated: bool = json.loads(facts["calibrated"])
        self._nms_iou = float(facts["nms_iou"])

    def detect(self, image: np.ndarray, confidence: float | None = None) -> list[Detection]:
        """Find the fruit in one picture; see model.detector.Detector."""
        least = self.confidence if confidence is None else confidence
        fit = Letterbox.of(image, self.image_size)
        boxes, scores = self.answer(fit.apply(image)[None])
        index, class_ids = np.nonzero(scores[0] >= least)
        boxes, scores = boxes[0, index], scores[0, index, class_ids]
        kept = suppress(boxes, scores, class_ids, self._nms_iou)
        boxes = fit.to_picture(boxes[kept])
        found = as_detections(boxes, scores[kept], class_ids[kept], self.names)
        return fruits(found) if confidence is None else found


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    """Load a file of ONNX so that it computes what it says on every CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if not has_vnni():  # the quicker sums of int8 would be cut off
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _onnx(path: Path) -> tuple[Answer, dict[str, str]]:
    session = onnx_session(path)
    facts = session.get_modelmeta().custom_metadata_map
    return lambda picture: tuple(session.run(OUTPUTS, {INPUT: picture})), facts


def _openvino(path: Path) -> tuple[Answer, dict[str, str]]:
    from model.runtimes.openvino_graph import FACTS
    from model.runtimes.openvino_runtime import compiled, core

    graph = core().read_model(path)
    facts = {name: fact.astype(str) for name, fact in graph.get_rt_info(FACTS).astype(dict).items()}
    request = compiled(graph).create_infer_request()

    def answer(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = request.infer({INPUT: picture})
        return found[OUTPUTS[0]], found[OUTPUTS[1]]

    return answer, facts
