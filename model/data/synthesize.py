"""Counter scenes composed from cut-outs and backgrounds, with labels that need no drawing.

A camera over a counter sees fruit from any side, touching and partly hidden, beside hands, bags
and things that are not for sale. Cut-outs are scaled by the real size of their fruit, turned, put
down with shadows that all fall the same way, and lit as one scene; the boxes follow what stays
visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.data import clutter
from model.data.library import DISTRACTOR, Cutout, SceneLibrary, trim
from model.data.light import draw_light, photograph, shade
from model.data.scene import Scene
from model.data.variety import coloured, shaped

APPLE_CM = 8.0
LARGEST_SHARE = 0.62  # of the picture's longer side: a camera is mounted so that a melon fits
TRAINING_APPLES = (0.06, 0.34)  # as apple_share: cameras hang higher and lower than in validation
MOST_ZOOM = 2.0  # an enlarged thumbnail teaches blur, not fruit


@dataclass(frozen=True)
class SceneConfig:
    """How crowded and how rough scenes are.

    fruits: fewest and most. apple_share: diameter of an apple as share of the longer side.
    most_overlap: share of a fruit that another may cover. distractors: chance of each of up to
    three things not for sale. clutter: chance of paper; half of it, of a hand, and of each of two
    phones, cups and such; a seventh of it, of a bag or a sticker on each fruit. same_class: chance
    that a fruit is of the same class as the one before. variety: chance that a fruit becomes
    another individual of its kind: of another build and skin, half of them with patches of the skin
    of a second cut-out.
    """

    fruits: tuple[int, int] = (1, 15)
    apple_share: tuple[float, float] = (0.09, 0.30)
    most_overlap: float = 0.35
    distractors: float = 0.35
    clutter: float = 0.35
    same_class: float = 0.3
    variety: float = 0.0


def compose(
    library: SceneLibrary, config: SceneConfig, rng: np.random.Generator, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compose a scene: uint8 (height, width, 3) BGR, and float32 (N, 5) rows as in a label file."""
    scene = Scene(_ground(library, rng, width, height), draw_light(rng))
    apple_px = rng.uniform(*config.apple_share) * max(width, height)
    if rng.random() < config.clutter:
        sheet = clutter.paper(rng, max(width, height))
        spot = int(rng.integers(-50, width)), int(rng.integers(-50, height))
        scene.cast(sheet, spot)
        scene.lay(sheet, spot)
    _put_things(scene, apple_px, config, rng)
    _put_all(scene, _choose(library, config, rng), library, apple_px, config, rng)
    if rng.random() < config.clutter / 2:
        scene.hide(clutter.hand(rng, width, height, apple_px / APPLE_CM, scene.light))
    return photograph(scene.canvas, rng), scene.rows()


def paste(
    image: np.ndarray,
    rows: np.ndarray,
    library: SceneLibrary,
    config: SceneConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Put up to three cut-outs on a labelled photograph, hiding little of what is in it.

    Outlines come from the cut-outs: boxes of other photographs would bring their surroundings.
    Returns a new picture and its rows. Source: Ghiasi et al., "Simple Copy-Paste" (CVPR 2021).
    """
    scene = Scene(image.copy(), draw_light(rng), rows)
    apple_px = rng.uniform(*config.apple_share) * max(image.shape)
    chosen = _choose(library, config, rng)[: int(rng.integers(1, 4))]
    _put_all(scene, chosen, library, apple_px, config, rng)
    return scene.canvas, scene.rows()


def _put_things(
    scene: Scene, apple_px: float, config: SceneConfig, rng: np.random.Generator
) -> None:
    """Put down up to two things that nobody sells anywhere."""
    for _ in range(2):
        if rng.random() < config.clutter / 2:
            thing = shade(clutter.thing(rng, apple_px / APPLE_CM), scene.light, np.ones(3))
            spot = scene.find_spot(thing[:, :, 3], config.most_overlap, rng)
            if spot:
                scene.put(thing, spot, DISTRACTOR)


def _put_all(
    scene: Scene,
    cutouts: list[Cutout],
    library: SceneLibrary,
    apple_px: float,
    config: SceneConfig,
    rng: np.random.Generator,
) -> None:
    """Put down those for which there is room, some of them with a sticker or in a bag."""
    for cutout in cutouts:
        varied = config.variety > 0 and rng.random() < config.variety
        kin = library.kin(cutout) if varied else []
        sprite = _sprite(cutout, kin, apple_px, rng, max(scene.canvas.shape))
        if rng.random() < config.clutter / 7:
            sprite = clutter.stick(sprite, rng, apple_px / APPLE_CM)
        sprite = shade(sprite, scene.light, rng.uniform(0.82, 1.12) * rng.uniform(0.97, 1.03, 3))
        spot = scene.find_spot(sprite[:, :, 3], config.most_overlap, rng)
        if spot is None:
            continue
        scene.put(sprite, spot, cutout.class_id)
        if rng.random() < config.clutter / 7:
            h, w = (int(n * rng.uniform(1.1, 1.5)) for n in sprite.shape[:2])
            around = spot[0] - (w - sprite.shape[1]) // 2, spot[1] - (h - sprite.shape[0]) // 2
            scene.lay(clutter.bag(rng, w, h), around)


def _ground(library: SceneLibrary, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    image = library.backgrounds[rng.integers(len(library.backgrounds))]
    if rng.random() < 0.5:
        image = image[:, ::-1]
    zoom = rng.uniform(0.5, 1.0)
    h, w = image.shape[:2]
    fit = min(w / width, h / height) * zoom
    cw, ch = int(width * fit), int(height * fit)
    x, y = rng.integers(w - cw + 1), rng.integers(h - ch + 1)
    return cv2.resize(
        image[y : y + ch, x : x + cw], (width, height), interpolation=cv2.INTER_LINEAR
    )


def _choose(library: SceneLibrary, config: SceneConfig, rng: np.random.Generator) -> list[Cutout]:
    """Fruit of evenly drawn classes, sometimes several of one, and a few things not for sale."""
    classes = list(library.by_class)
    low, high = config.fruits
    count = low + int((high - low + 1) * rng.random() ** 1.6)  # small baskets are the usual ones
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


def _sprite(
    cutout: Cutout, kin: list[Cutout], apple_px: float, rng: np.random.Generator, longest: int
) -> np.ndarray:
    """Scale, turn and mirror a cut-out: premultiplied uint8 (h, w, 4) BGRA.

    kin: cut-outs of its kind; with any it becomes another individual.
    """
    image = cutout.image[:, ::-1] if rng.random() < 0.5 else cutout.image
    h, w = image.shape[:2]
    target = apple_px * cutout.size_cm / APPLE_CM * rng.uniform(0.85, 1.2)
    scale = min(min(target, LARGEST_SHARE * longest) / np.sqrt(h * w), MOST_ZOOM)
    turn: np.ndarray = cv2.getRotationMatrix2D((0, 0), rng.uniform(0, 360), scale)
    if kin:
        turn[:, :2] @= shaped(rng)
    new_w, new_h = (int(extent) + 2 for extent in np.abs(turn[:, :2]) @ (w, h))
    turn[:, 2] = np.array([new_w, new_h]) / 2 - turn[:, :2] @ (w / 2, h / 2)
    if scale < 0.5:  # bilinear sampling would skip pixels
        shrink = max(scale * 1.5, 0.05)
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        turn[:, :2] /= shrink
    if kin:
        mate = kin[rng.integers(len(kin))].image if rng.random() < 0.5 else None
        image = coloured(np.ascontiguousarray(image), mate, rng)
    return trim(cv2.warpAffine(image, turn, (new_w, new_h), flags=cv2.INTER_LINEAR))
