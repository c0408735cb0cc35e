"""Pages of the worst mistakes: each picture twice, as it is and as it was found, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from model.data.dataset import Labelled, read_picture
from model.drawing import BLACK, BLUE, GREY, VERMILLION, labelled_box, save_jpeg, text_width, write
from model.metrics import Mistake, PictureMistakes, PictureResult, describe, worst_pictures

VIEW = (380, 300)  # width and height of one view, pixels
LINE = 21
LINES = 5  # of a panel's caption: the file's name, then what is wrong
GAP = 8
ACROSS, DOWN = 2, 4  # panels of a page
MOST_PAGES = 6


def write_mistake_pages(
    results: Sequence[PictureResult],
    samples: Sequence[Labelled],
    names: Sequence[str],
    confidence: float,
    folder: Path,
) -> list[Path]:
    """Write ``mistakes_01.jpg``… into a folder, the pictures that hurt baskets most first.

    samples: the pictures' files, in the order of the results. Pages of an earlier evaluation are
    removed; no mistake at all writes no page. Returns the pages' paths, MOST_PAGES at most.
    """
    for old in folder.glob("mistakes_[0-9][0-9].jpg"):
        old.unlink()
    worst = worst_pictures(results, confidence)[: MOST_PAGES * ACROSS * DOWN]
    pages: list[Path] = []
    for start in range(0, len(worst), ACROSS * DOWN):
        panels = [
            panel(results[w.picture], w, samples[w.picture].path, names)
            for w in worst[start : start + ACROSS * DOWN]
        ]
        pages.append(folder / f"mistakes_{len(pages) + 1:02d}.jpg")
        save_jpeg(pages[-1], _page(panels))
    return pages


def panel(
    result: PictureResult, wrong: PictureMistakes, path: Path, names: Sequence[str]
) -> np.ndarray:
    """One picture's truth and findings side by side over what is wrong, wrong boxes in vermillion.

    Returns uint8 (H, W, 3) BGR of one size for every picture.
    """
    image = read_picture(path)
    scale = min(VIEW[0] / result.width, VIEW[1] / result.height)
    bad_truth = {m.truth for m in wrong.mistakes if m.kind != "twice"}
    bad_found = {m.found for m in wrong.mistakes}
    truth = [
        (result.truth_xyxy[i] * scale, names[class_id], i in bad_truth)
        for i, class_id in enumerate(result.truth_class)
    ]
    found = [
        (
            result.found_xyxy[i] * scale,
            f"{names[result.found_class[i]]} {result.found_score[i]:.2f}",
            i in bad_found,
        )
        for i in reversed(wrong.kept)
    ]
    gap = np.full((VIEW[1], GAP, 3), 255, np.uint8)
    views = np.hstack((_view(image, truth), gap, _view(image, found)))
    return np.vstack((views, _caption(result, wrong, path, names, views.shape[1])))


def _view(image: np.ndarray, boxes: Sequence[tuple[np.ndarray, str, bool]]) -> np.ndarray:
    """The picture, scaled into a view, with boxes (xyxy in the view, label, wrong or not)."""
    scale = min(VIEW[0] / image.shape[1], VIEW[1] / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(image, size, interpolation=method)
    for box, label, wrong in sorted(boxes, key=lambda drawn: drawn[2]):  # the wrong on top
        labelled_box(shown, box, label, VERMILLION if wrong else BLUE)
    out = np.full((VIEW[1], VIEW[0], 3), 235, np.uint8)
    out[: size[1], : size[0]] = shown
    return out


def _caption(
    result: PictureResult, wrong: PictureMistakes, path: Path, names: Sequence[str], width: int
) -> np.ndarray:
    times = Counter(_said(m, result, names) for m in wrong.mistakes)
    said = [text if n == 1 else f"{text}, {n} times" for text, n in times.items()]
    if len(said) > LINES - 1:
        said[LINES - 2 :] = [f"and {len(said) - LINES + 2} more"]
    out = np.full((LINES * LINE + GAP, width, 3), 255, np.uint8)
    head = f"{path.name} · wrong counts: {wrong.harm} · truth left, found right"
    for number, text in enumerate((head, *said)):
        colour = BLACK if number else GREY
        write(out, _fit(text, width), (4, LINE * (number + 1) - 4), colour=colour)
    return out


def _said(mistake: Mistake, result: PictureResult, names: Sequence[str]) -> str:
    text = describe(mistake, result, names)
    return text if mistake.found is None else f"{text} {result.found_score[mistake.found]:.2f}"


def _fit(text: str, width: int) -> str:
    """A line shortened from its left until it fits."""
    while text_width(text) > width - 8:
        text = "…" + text[2:]
    return text


def _page(panels: list[np.ndarray]) -> np.ndarray:
    """Panels in rows of ACROSS on white."""
    height, width, _ = panels[0].shape
    across = min(ACROSS, len(panels))
    rows = -(-len(panels) // across)
    step = height + GAP, width + 3 * GAP
    page = np.full((rows * step[0] + GAP, across * step[1] + GAP, 3), 255, np.uint8)
    for number, drawn in enumerate(panels):
        top, left = GAP + number // across * step[0], GAP + number % across * step[1]
        page[top : top + height, left : left + width] = drawn
    return page
