"""What else lies on a counter: paper, bags, stickers, phones and cups, the hands of customers.

Everything is made as a sprite: uint8 (h, w, 4) BGRA with colours premultiplied by alpha.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from model.data.library import premultiply
from model.data.light import Light
from model.data.surfaces import noise, wrinkles

SKIN_BGR = np.array([[120, 150, 205], [90, 120, 180], [60, 85, 135], [160, 190, 230]], float)
GLOVE_BGR = np.array([[200, 150, 60], [235, 235, 235], [50, 50, 50], [150, 150, 150]], float)
STITCH_CM = 0.35  # of a knitted glove
LEAST_FINGER = 0.55  # how short a finger looks that is bent away from the camera


def paper(rng: np.random.Generator, longest: int) -> np.ndarray:
    """Paper, a cloth or a leaflet: a crumpled quadrilateral, sometimes with lines of print."""
    width, height = (int(n) for n in rng.uniform(0.12, 0.6, 2) * longest)
    kraft = rng.random() < 0.3
    colour = np.array([120, 165, 200.0]) if kraft else rng.uniform(150, 250) * np.ones(3)
    if rng.random() < 0.4:
        colour = rng.uniform(20, 255, 3)
    sheet = np.full((height, width, 3), colour, np.float32)
    if rng.random() < 0.4:
        _print_lines(sheet, rng)
    folds = noise(rng, width, height, (30, 30)) - wrinkles(rng, width, height, 40) / 2
    sheet *= (1 + rng.uniform(0.02, 0.25) * (folds - 0.4))[:, :, None]
    alpha = np.full((height, width, 1), 255, np.float32)
    return _turned(np.dstack((np.clip(sheet, 0, 255), alpha)).astype(np.uint8), rng)


def _print_lines(sheet: np.ndarray, rng: np.random.Generator) -> None:
    height, width = sheet.shape[:2]
    step = int(rng.integers(6, 20))
    ink = rng.uniform(20, 120, 3)
    for y in range(step, height - step, step):
        end = int(width * rng.uniform(0.3, 0.9))
        cv2.line(sheet, (width // 10, y), (end, y), ink.tolist(), max(1, step // 5))


def _turned(sheet: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sheet (h, w, 4) turned by any angle, its corners a little out of square."""
    h, w = sheet.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    moved = corners @ turn.T + rng.normal(0, 0.04 * min(h, w), (4, 2))
    moved = (moved - moved.min(0)).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners, moved)
    wide, high = (int(n) + 1 for n in moved.max(0))
    return cv2.warpPerspective(sheet, warp, (wide, high), flags=cv2.INTER_LINEAR)


def thing(rng: np.random.Generator, cm_px: float) -> np.ndarray:
    """What people put down beside their fruit, from above: a phone, a box, a wallet, a cup, a can.

    cm_px: pixels per centimetre.
    """
    is_round = rng.random() < 0.4
    half_cm = rng.uniform(2.5, 5) * np.array([1, rng.uniform(0.9, 1) if is_round else 2])
    across, along = np.maximum(half_cm * cm_px, 2)
    power = 2.0 if is_round else rng.uniform(5, 14)  # of a superellipse: the more, the squarer
    half, angle = int(np.hypot(across, along)) + 2, rng.uniform(0, 2 * np.pi)
    y, x = (n.astype(np.float32) for n in np.mgrid[-half : half + 1, -half : half + 1])
    u = np.abs(x * np.cos(angle) + y * np.sin(angle)) / across
    v = np.abs(y * np.cos(angle) - x * np.sin(angle)) / along
    rim = (u**power + v**power) ** (1 / power)  # 1 at its edge
    colour = np.full((*rim.shape, 3), _any_colour(rng), np.float32)
    inner = rng.integers(int(is_round), 4)  # a plain disc might as well be a fruit
    for edge in sorted(rng.uniform(0.3, 0.95, inner), reverse=True):
        colour[rim < edge] = _any_colour(rng)  # a screen, a label, a lid, what is in the cup
    if not is_round and rng.random() < 0.4:
        colour[(v * along % 7 < 2) & (u < rng.uniform(0.3, 0.8))] = _any_colour(rng)  # print
    gloss = 0.85 + 0.3 * noise(rng, rim.shape[1], rim.shape[0], (40, 40))
    colour *= (gloss * (1 - 0.4 * np.clip((rim - 0.9) / 0.1, 0, 1)))[:, :, None]
    alpha = 255 * np.clip((1 - rim) * across, 0, 1)
    return premultiply(np.dstack((np.clip(colour, 0, 255), alpha)).astype(np.uint8))


def _any_colour(rng: np.random.Generator) -> np.ndarray:
    """BGR, as often grey as not."""
    return rng.uniform(10, 245, 3 if rng.random() < 0.5 else 1) * np.ones(3)


def bag(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A thin transparent bag: a faint veil with bright wrinkles, darker at its rim."""
    veil = 0.05 + rng.uniform(0.03, 0.12) * noise(rng, width, height, (40, 40))
    shine = rng.uniform(0.25, 0.6) * wrinkles(rng, width, height, max(8, min(width, height) // 5))
    middle = width // 2, height // 2
    points = np.array(cv2.ellipse2Poly(middle, middle, 0, 0, 360, 24))
    points = points + rng.normal(0, 0.04 * min(width, height), points.shape)
    outline = np.zeros((height, width), np.uint8)
    cv2.fillPoly(outline, [points.astype(np.int32)], 255)
    rim = outline - cv2.erode(outline, np.ones((3, 3), np.uint8))
    alpha = (np.clip(veil + shine, 0, 0.6) * outline + 0.2 * rim).astype(np.uint8)
    white = np.full((height, width, 3), 245, np.uint8)
    return premultiply(np.dstack((white, alpha)))


def stick(sprite: np.ndarray, rng: np.random.Generator, cm_px: float) -> np.ndarray:
    """A fruit with a small sticker on it, as growers and scales put there.

    cm_px: pixels per centimetre.
    """
    inside = np.argwhere(cv2.erode(sprite[:, :, 3], np.ones((9, 9), np.uint8)) > 250)
    if not len(inside):
        return sprite
    y, x = (int(n) for n in inside[rng.integers(len(inside))])
    axes = np.maximum(rng.uniform(0.8, 1.6) * cm_px * np.array([1, rng.uniform(0.6, 1)]), 2)
    angle = float(rng.uniform(0, 360))
    colour = np.ascontiguousarray(sprite[:, :, :3])
    for size, ink in ((1.0, np.full(3, 225.0)), (0.8, rng.uniform(20, 240, 3))):
        inner = tuple((axes * size).astype(int).tolist())
        cv2.ellipse(colour, (x, y), inner, angle, 0, 360, ink.tolist(), -1, cv2.LINE_AA)
    return np.dstack((np.minimum(colour, sprite[:, :, 3:]), sprite[:, :, 3]))


def hand(
    rng: np.random.Generator, width: int, height: int, cm_px: float, light: Light
) -> np.ndarray:
    """An arm that reaches in from a border with its hand over the scene, (height, width, 4).

    cm_px: pixels per centimetre. Palm, fingers and forearm are round bars, lit as one surface.
    """
    half = 2  # smooth enough at half of the resolution
    wide, high, cm = width // half, height // half, cm_px / half
    palm = rng.uniform(0.15, 0.85, 2) * (wide, high)
    border = np.array([(palm[0], -9), (palm[0], high + 9), (-9, palm[1]), (wide + 9, palm[1])])
    arm = palm - border[rng.integers(4)] + rng.normal(0, 0.2 * min(wide, high), 2)
    along = arm / max(float(np.hypot(*arm)), 1.0)
    depth, sleeve = np.zeros((high, wide), np.float32), np.zeros((high, wide), np.float32)
    for start, end, radii in _bones(rng, palm, along, cm):
        np.maximum(depth, _bar(wide, high, start, end, radii), out=depth)
    cuff = palm - along * cm * rng.uniform(9, 16)
    far = palm - along * (wide + high)
    if rng.random() < 0.7:
        sleeve = _bar(wide, high, cuff, far, (4.6 * cm, 6.5 * cm))
    return _painted(depth, sleeve, (width, height), cm, light, rng)


def _bones(
    rng: np.random.Generator, palm: np.ndarray, along: np.ndarray, cm: float
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[float, float]]]:
    """The bars of a hand: start, end, radius at both, all in pixels; sizes of a grown-up's."""
    side = np.array([-along[1], along[0]]) * (1 if rng.random() < 0.5 else -1)
    yield palm - along * 4 * cm, palm - along * 90 * cm, (2.5 * cm, 4.5 * cm)
    for across in (-2.6, -0.9, 0.9, 2.6):
        yield (
            palm - along * 4 * cm + side * across * 0.7 * cm,
            palm + along * 4 * cm + (side * across * cm),
            (2.4 * cm, 1.6 * cm),
        )
    spread, bend = rng.uniform(0.02, 0.12), rng.uniform(LEAST_FINGER, 1)
    for across, length in ((-3, 5.8), (-1, 7.4), (1, 7.8), (3, 7.0)):
        knuckle = palm + along * 4.6 * cm + side * across * cm
        first = along + side * (across * spread + rng.normal(0, 0.05))
        joint = knuckle + first * length * 0.5 * bend * cm
        second = first - side * across * spread * 0.7
        yield knuckle, joint, (0.95 * cm, 0.85 * cm)
        yield joint, joint + second * length * 0.5 * bend * cm, (0.85 * cm, 0.68 * cm)
    root = palm + side * 3.4 * cm - along * 1.5 * cm
    knee = root + (side * rng.uniform(0.5, 0.9) + along * 0.8) * 3.6 * cm
    yield root, knee, (1.7 * cm, 1.15 * cm)
    yield knee, knee + (side * rng.uniform(-0.1, 0.4) + along) * 3 * cm, (1.1 * cm, 0.8 * cm)


def _bar(
    width: int, height: int, start: np.ndarray, end: np.ndarray, radii: tuple[float, float]
) -> np.ndarray:
    """How far a round bar rises over the table, float32 (height, width), 0 beside it."""
    x = np.arange(width, dtype=np.float32)[None] - np.float32(start[0])
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(start[1])
    dx, dy = (np.float32(n) for n in end - start)
    share = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    radius = radii[0] + np.float32(radii[1] - radii[0]) * share
    distance = (x - share * dx) ** 2 + (y - share * dy) ** 2
    return np.sqrt(np.maximum(radius**2 - distance, 0), dtype=np.float32)


def _painted(
    depth: np.ndarray,
    sleeve: np.ndarray,
    size: tuple[int, int],
    cm: float,
    light: Light,
    rng: np.random.Generator,
) -> np.ndarray:
    """Skin, or a plain or knitted glove, and cloth over a surface of given depth, in the light."""
    gloved = rng.random() < 0.25
    tones = GLOVE_BGR if gloved else SKIN_BGR
    tone = tones[rng.integers(len(tones))] * rng.uniform(0.8, 1.15)
    height, width = depth.shape
    colour = np.where((sleeve > 0)[:, :, None], rng.uniform(10, 240, 3), tone).astype(np.float32)
    colour *= (0.92 + 0.16 * noise(rng, width, height, (14, 14)))[:, :, None]
    if gloved and rng.random() < 0.6:
        colour *= _knitted(rng, width, height, STITCH_CM * cm)[:, :, None]
    surface = cv2.GaussianBlur(np.maximum(depth, sleeve * 1.05), (0, 0), max(0.8, 0.18 * cm))
    slope_x, slope_y = cv2.Sobel(surface, cv2.CV_32F, 1, 0), cv2.Sobel(surface, cv2.CV_32F, 0, 1)
    slope_x, slope_y = slope_x / 8, slope_y / 8
    upright = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lamp = (slope_x * light.away[0] + slope_y * light.away[1]) * upright
    colour *= (0.45 + 0.55 * upright + 0.35 * lamp)[:, :, None]
    alpha = cv2.GaussianBlur(255 * (np.maximum(depth, sleeve) > 0).astype(np.float32), (3, 3), 0)
    sprite = np.dstack((np.clip(colour, 0, 255), alpha)).astype(np.uint8)
    return cv2.resize(premultiply(sprite), size, interpolation=cv2.INTER_LINEAR)


def _knitted(rng: np.random.Generator, width: int, height: int, stitch: float) -> np.ndarray:
    """Brightness of plain knitting, of one yarn or of a dark and a light one twisted together.

    stitch: width of a stitch in pixels. Returns float32 (height, width).
    """
    cell = max(2, round(stitch))
    if rng.random() < 0.5:
        return 0.5 + noise(rng, width, height, (cell, cell))
    across = rng.random() < 0.5
    streak = round(rng.uniform(2, 5) * cell)
    cells = (streak, cell) if across else (cell, streak)
    y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(np.pi / cell)
    bend = 6 * noise(rng, width, height, (12 * cell, 12 * cell))
    loops = np.abs(np.sin(x + bend) * np.sin(y + bend))
    yarn = np.clip(0.5 + rng.uniform(1, 2.5) * (noise(rng, width, height, cells) - 0.5), 0, 1)
    return (0.35 + 0.75 * yarn) * (0.8 + 0.4 * loops)
