"""Counter scenes composed from cut-outs and backgrounds, with labels that need no drawing.

A camera over a counter sees fruit from any side, touching and partly hidden, beside hands, bags
and things that are not for sale. Cut-outs (RGBA) are scaled by the real size of their fruit,
turned, put down with a contact shadow and lit as one scene; the boxes follow what stays visible.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from model.data.dataset import PICTURES, DataError, read_picture

SIZES_FILE = Path(__file__).with_name("sizes_cm.yaml")
LEAST_VISIBLE = 0.4  # a fruit hidden more than this is put elsewhere: nobody could name it
SKIN_BGR = np.array([[120, 150, 205], [90, 120, 180], [60, 85, 135], [160, 190, 230]], float)
DISTRACTOR = -1  # the class id of things that are in the picture and not for sale


@dataclass(frozen=True)
class Cutout:
    """A fruit without its background: uint8 (H, W, 4) BGRA; class id; mean width in cm."""

    image: np.ndarray
    class_id: int
    size_cm: float


@dataclass(frozen=True)
class SceneLibrary:
    """What scenes are made of; ``by_class`` holds cut-outs for sale, ``distractors`` the rest."""

    by_class: dict[int, list[Cutout]]
    distractors: list[Cutout]
    backgrounds: list[np.ndarray]


@dataclass(frozen=True)
class SceneConfig:
    """How crowded and how rough scenes are.

    fruits: fewest and most. apple_share: diameter of an apple as share of the longer side.
    most_overlap: share of a fruit that another may cover. distractors: chance of each of up to
    three. clutter: chance of hands, paper and bags.
    """

    fruits: tuple[int, int] = (1, 15)
    apple_share: tuple[float, float] = (0.09, 0.30)
    most_overlap: float = 0.35
    distractors: float = 0.25
    clutter: float = 0.35
    same_class: float = 0.3


def load_library(folder: Path, names: tuple[str, ...], split: str) -> SceneLibrary:
    """Read ``cutouts/NAME/*.png`` (or ``cutouts/NAME_*.png``), ``cutouts_bonus/NAME`` and
    ``backgrounds/SPLIT`` (or ``backgrounds``) of a folder.

    A ``manifest.csv`` with columns file and split keeps the splits apart; without one every
    cut-out serves. Raises DataError when there is no cut-out or no background.
    """
    allowed = _manifest(folder, split)
    sizes = yaml.safe_load(SIZES_FILE.read_text(encoding="utf-8"))
    by_class = {
        class_id: cutouts
        for class_id, name in enumerate(names)
        if (cutouts := _cutouts(folder / "cutouts" / name, class_id, sizes, allowed, folder))
    }
    bonus = sorted((folder / "cutouts_bonus").glob("*"))
    distractors = [c for d in bonus for c in _cutouts(d, DISTRACTOR, sizes, allowed, folder)]
    grounds = folder / "backgrounds" / split
    grounds = grounds if grounds.is_dir() else grounds.parent
    backgrounds = [read_picture(path) for path in _pictures(grounds)]
    if not by_class or not backgrounds:
        raise DataError(f"{folder}: needs cutouts/NAME/*.png and backgrounds/{split}/*.jpg")
    return SceneLibrary(by_class, distractors, backgrounds)


def _manifest(folder: Path, split: str) -> set[str] | None:
    path = folder / "manifest.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"] for row in csv.DictReader(file) if row["split"] == split}


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)


def _cutouts(
    folder: Path, class_id: int, sizes: dict[str, float], allowed: set[str] | None, root: Path
) -> list[Cutout]:
    size_cm = float(sizes.get(folder.name, sizes["default"]))
    found = []
    for path in _pictures(folder) or sorted(folder.parent.glob(f"{folder.name}_*.png")):
        if allowed is not None and path.relative_to(root).as_posix() not in allowed:
            continue
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is not None and image.ndim == 3 and image.shape[2] == 4:
            found.append(Cutout(_trim(image), class_id, size_cm))
    return found


def _trim(image: np.ndarray) -> np.ndarray:
    """Cut away fully transparent borders."""
    x, y, w, h = cv2.boundingRect((image[:, :, 3] > 16).astype(np.uint8))
    return np.ascontiguousarray(image[y : y + h, x : x + w])


def compose(
    library: SceneLibrary, config: SceneConfig, rng: np.random.Generator, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compose a scene: uint8 (height, width, 3) BGR, and float32 (N, 5) rows as in a label file."""
    canvas = _ground(library, rng, width, height)
    owner = np.full((height, width), -1, np.int16)  # who is on top at each pixel
    placed: list[tuple[int, int]] = []  # class id and whole area in pixels, by owner number
    apple_px = rng.uniform(*config.apple_share) * max(width, height)
    if rng.random() < config.clutter:
        _lay_flat_thing(canvas, rng)
    for cutout in _choose(library, config, rng):
        sprite = _sprite(cutout, apple_px, rng, max(width, height))
        spot = _find_spot(owner, placed, sprite, config, rng)
        if spot is not None:
            _put(canvas, owner, sprite, spot, len(placed), rng)
            placed.append((cutout.class_id, int((sprite[:, :, 3] > 127).sum())))
    if rng.random() < config.clutter / 2:
        _lay_hand(canvas, owner, placed, rng)
    return _light(canvas, rng), _boxes(owner, placed)


def _ground(library: SceneLibrary, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    image = library.backgrounds[rng.integers(len(library.backgrounds))]
    if rng.random() < 0.5:
        image = image[:, ::-1]
    zoom = rng.uniform(0.5, 1.0)
    h, w = image.shape[:2]
    fit = min(w / width, h / height) * zoom
    cw, ch = int(width * fit), int(height * fit)
    x, y = rng.integers(w - cw + 1), rng.integers(h - ch + 1)
    return cv2.resize(image[y : y + ch, x : x + cw], (width, height), interpolation=cv2.INTER_AREA)


def _choose(library: SceneLibrary, config: SceneConfig, rng: np.random.Generator) -> list[Cutout]:
    """Fruit of evenly drawn classes, sometimes several of one, and a few things not for sale."""
    classes = list(library.by_class)
    # small baskets are the usual ones: square the draw
    low, high = config.fruits
    count = low + int((high - low + 1) * rng.random() ** 1.6)
    chosen: list[Cutout] = []
    for _ in range(count):
        repeat = chosen and rng.random() < config.same_class
        class_id = chosen[-1].class_id if repeat else classes[rng.integers(len(classes))]
        group = library.by_class[class_id]
        chosen.append(group[rng.integers(len(group))])
    for _ in range(3):
        if library.distractors and rng.random() < config.distractors:
            chosen.append(library.distractors[rng.integers(len(library.distractors))])
    rng.shuffle(chosen)
    # large things lie underneath more often than on top
    return sorted(chosen, key=lambda c: -c.size_cm * rng.uniform(0.6, 1.4))


def _sprite(cutout: Cutout, apple_px: float, rng: np.random.Generator, longest: int) -> np.ndarray:
    """Scale, turn, mirror and tint a cut-out: uint8 (h, w, 4) BGRA."""
    image = cutout.image[:, ::-1] if rng.random() < 0.5 else cutout.image
    h, w = image.shape[:2]
    target = apple_px * cutout.size_cm / 8.0 * rng.uniform(0.85, 1.2)
    scale = min(target, 0.62 * longest) / np.sqrt(h * w)
    scale = min(scale, 2.0)  # an enlarged thumbnail teaches blur, not fruit
    angle = rng.uniform(0, 360)
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), angle, scale)
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    new_w, new_h = int(w * cos + h * sin) + 2, int(h * cos + w * sin) + 2
    turn = turn + np.array([[0, 0, (new_w - w) / 2], [0, 0, (new_h - h) / 2]])
    if scale < 0.5:  # bilinear sampling would skip pixels
        shrink = max(scale * 1.5, 0.05)
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        turn[:, :2] /= shrink
    sprite = cv2.warpAffine(image, turn, (new_w, new_h), flags=cv2.INTER_LINEAR)
    gain = rng.uniform(0.8, 1.15) * rng.uniform(0.97, 1.03, 3)
    sprite[:, :, :3] = np.clip(sprite[:, :, :3] * gain, 0, 255)
    return _trim(sprite)


def _find_spot(
    owner: np.ndarray,
    placed: list[tuple[int, int]],
    sprite: np.ndarray,
    config: SceneConfig,
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """A place where the fruit covers no other too much; None after 20 tries."""
    height, width = owner.shape
    h, w = sprite.shape[:2]
    mask = sprite[:, :, 3] > 127
    visible = np.bincount(owner[owner >= 0], minlength=len(placed))
    touch = rng.random() < 0.5
    for _ in range(20):
        x = int(rng.integers(-w // 6, max(width - w + w // 6, 1 - w // 6)))
        y = int(rng.integers(-h // 6, max(height - h + h // 6, 1 - h // 6)))
        window, part = _window(owner, mask, x, y)
        if part.sum() < 0.7 * mask.sum():
            continue
        below = window[part]
        below = below[below >= 0]
        if touch and placed and not len(below) and rng.random() < 0.7:
            continue
        hidden = np.bincount(below, minlength=len(placed))
        left = [(visible[i] - hidden[i]) / max(area, 1) for i, (_, area) in enumerate(placed)]
        if len(below) <= config.most_overlap * mask.sum() * 1.5 and all(
            share >= 1 - config.most_overlap or not hidden[i] for i, share in enumerate(left)
        ):
            return x, y
    return None


def _window(canvas: np.ndarray, mask: np.ndarray, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of a canvas under a sprite at (x, y), and the part of the sprite inside it."""
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = (
        max(x, 0),
        max(y, 0),
        min(x + mask.shape[1], width),
        min(y + mask.shape[0], height),
    )
    return canvas[y1:y2, x1:x2], mask[y1 - y : y2 - y, x1 - x : x2 - x]


def _put(
    canvas: np.ndarray,
    owner: np.ndarray,
    sprite: np.ndarray,
    spot: tuple[int, int],
    number: int,
    rng: np.random.Generator,
) -> None:
    """Blend a fruit and its contact shadow into the scene, in place."""
    x, y = spot
    alpha = sprite[:, :, 3].astype(np.float32) / 255
    spread = max(3, int(max(sprite.shape[:2]) * rng.uniform(0.04, 0.14))) | 1
    dx = int(rng.integers(-spread // 2, spread // 2 + 1))
    dy = int(rng.integers(0, spread // 2 + 1))
    border = spread * 2
    soft = cv2.copyMakeBorder(alpha, border, border, border, border, cv2.BORDER_CONSTANT)
    soft = cv2.blur(cv2.blur(soft, (spread, spread)), (spread, spread)) * rng.uniform(0.2, 0.65)
    ground, shade = _window(canvas, soft, x - border + dx, y - border + dy)
    ground[:] = (ground * (1 - shade[..., None])).astype(np.uint8)
    ground, shade = _window(canvas, alpha, x, y)
    _, colour = _window(canvas, sprite[:, :, :3], x, y)
    ground[:] = (ground * (1 - shade[..., None]) + colour * shade[..., None]).astype(np.uint8)
    top, part = _window(owner, alpha > 0.5, x, y)
    top[part] = number


def _lay_flat_thing(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Paper, a cloth or a bag under the fruit: a plain quadrilateral of any colour, in place."""
    height, width = canvas.shape[:2]
    centre = rng.uniform(0.1, 0.9, 2) * (width, height)
    size = rng.uniform(0.1, 0.6, 2) * max(width, height)
    corners = cv2.boxPoints((tuple(centre), tuple(size), float(rng.uniform(0, 360))))
    corners += rng.normal(0, 0.03 * max(width, height), corners.shape)
    layer = canvas.copy()
    cv2.fillPoly(layer, [corners.astype(np.int32)], tuple(int(c) for c in rng.integers(20, 255, 3)))
    mix = float(rng.uniform(0.6, 1.0))
    canvas[:] = cv2.addWeighted(layer, mix, canvas, 1 - mix, 0)


def _lay_hand(
    canvas: np.ndarray, owner: np.ndarray, placed: list[tuple[int, int]], rng: np.random.Generator
) -> None:
    """An arm that reaches in from a border, skin-coloured or sleeved, over the fruit, in place."""
    thick = rng.uniform(0.06, 0.16) * max(canvas.shape)
    mask = _arm(canvas.shape[1], canvas.shape[0], thick, rng)
    covered = np.bincount(owner[(mask > 0) & (owner >= 0)], minlength=len(placed))
    if any(share > 0.5 * area for share, (_, area) in zip(covered, placed, strict=True)):
        return  # a hand that hides a fruit whole would leave a box of nothing
    tone = SKIN_BGR[rng.integers(len(SKIN_BGR))] * rng.uniform(0.8, 1.15)
    colour = tone if rng.random() < 0.75 else rng.uniform(10, 240, 3)
    shading = cv2.GaussianBlur(mask, (0, 0), max(1.0, thick / 4)).astype(np.float32) / 255
    alpha = cv2.GaussianBlur(mask, (3, 3), 0).astype(np.float32)[..., None] / 255
    paint = np.clip(colour * (0.55 + 0.5 * shading[..., None]), 0, 255)
    canvas[:] = (canvas * (1 - alpha) + paint * alpha).astype(np.uint8)
    owner[mask > 127] = -1


def _arm(width: int, height: int, thick: float, rng: np.random.Generator) -> np.ndarray:
    """The outline of an arm with five fingers: uint8 (height, width), 255 inside."""
    x, y = rng.uniform(0.1, 0.9, 2) * (width, height)
    borders = np.array([(x, -9), (x, height + 9), (-9, y), (width + 9, y)])
    start = borders[rng.integers(4)]
    reach = rng.uniform(0.2, 0.8, 2) * (width, height) - start
    palm = start + reach * rng.uniform(0.3, 0.9)
    mask = np.zeros((height, width), np.uint8)
    cv2.line(mask, start.astype(int).tolist(), palm.astype(int).tolist(), 255, int(thick))
    along = np.arctan2(reach[1], reach[0])
    for spread in np.linspace(-0.7, 0.7, 5) + rng.normal(0, 0.08, 5):
        direction = np.array([np.cos(along + spread), np.sin(along + spread)])
        tip = palm + direction * thick * rng.uniform(0.7, 1.4)
        cv2.line(
            mask,
            palm.astype(int).tolist(),
            tip.astype(int).tolist(),
            255,
            max(2, int(thick * 0.3)),
        )
    return mask


def _light(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One light for the whole scene: gradient, exposure, white balance, blur, noise."""
    height, width = canvas.shape[:2]
    image = canvas.astype(np.float32)
    if rng.random() < 0.6:
        ramp = np.linspace(rng.uniform(0.65, 1.0), rng.uniform(1.0, 1.2), width, dtype=np.float32)
        rise = np.linspace(rng.uniform(0.75, 1.1), rng.uniform(0.9, 1.1), height, dtype=np.float32)
        image *= (ramp[::-1] if rng.random() < 0.5 else ramp)[None, :, None] * rise[:, None, None]
    # white balance stays within what keeps an orange from becoming a lemon
    image *= rng.uniform(0.75, 1.25) * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    if rng.random() < 0.4:
        image += rng.normal(0, rng.uniform(1, 9), image.shape).astype(np.float32)
    if rng.random() < 0.3:
        cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3), dst=image)
    return np.clip(image, 0, 255).astype(np.uint8)


def _boxes(owner: np.ndarray, placed: list[tuple[int, int]]) -> np.ndarray:
    """Boxes around what is still visible of each fruit that is for sale."""
    height, width = owner.shape
    rows = []
    for number, (class_id, area) in enumerate(placed):
        mask = owner == number
        if class_id == DISTRACTOR or mask.sum() < LEAST_VISIBLE * area:
            continue
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        rows.append((class_id, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height))
    return np.array(rows, np.float32).reshape(-1, 5)
