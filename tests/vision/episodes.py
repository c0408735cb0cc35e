"""Checkout episodes from a script: fruit is put on a counter, hidden, moved, taken; truth included.

``python -m tests.vision.episodes demo OUT.mp4`` renders the demo, a number instead of ``demo`` a
random episode.
"""

from __future__ import annotations

import argparse
import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tests.vision.choreography import Fruit, Hand, scene_at
from tests.vision.filming import Filming
from tests.vision.script import DATA, Episode, Event, Hide, Move, Place, Point, Take
from tests.vision.sprites import key_of, lay, share_covered

LARGE = ("durian", "pineapple", "watermelon")  # there is room for one at a time
FOR_SALE = ("apple", "grapes", "lemon", "melon", "orange", "pear", "pineapple", "watermelon")


@dataclass(frozen=True)
class TrueBox:
    """A fruit in the picture; visible: the share not covered by a hand, in [0, 1]."""

    fruit: str
    key: str
    box_xyxy: tuple[float, float, float, float]
    moving: bool
    visible: float


@dataclass(frozen=True)
class Truth:
    """What is so in one frame.

    counts: fruits that lie on the counter, a moved or hidden one included, one being brought or
    taken not. at_rest: no fruit moves and no hand is there.
    """

    t_s: float
    counts: Mapping[str, int]
    boxes: tuple[TrueBox, ...]
    at_rest: bool


def frames(episode: Episode) -> Iterator[tuple[np.ndarray, Truth]]:
    """Render an episode: uint8 (H, W, 3) BGR pictures, each a new array, with their truth."""
    filmed = Filming(episode)
    still: tuple[Fruit, ...] | None = None
    counter = background(episode)
    for number in range(round(episode.duration_s * episode.fps)):
        t_s = number / episode.fps
        fruits, hands = scene_at(episode, t_s)
        lying = tuple(fruit for fruit in fruits if not fruit.moving)
        if lying != still:  # the resting part is drawn once, then copied
            still, counter = lying, _lay_fruits(background(episode), lying)
        picture = _lay_fruits(counter.copy(), [fruit for fruit in fruits if fruit.moving])
        for hand in hands:
            lay(picture, hand.sprite, hand.at, lift=0.3)
        shift = filmed.shift(t_s)
        yield filmed.film(picture, t_s, shift), _truth(episode, t_s, fruits, hands, shift)


def write_video(episode: Episode, path: Path) -> list[Truth]:
    """Write an episode as mp4v and return the truth of each frame."""
    size = (episode.width, episode.height)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), episode.fps, size)
    assert writer.isOpened(), path
    truths = []
    for picture, truth in frames(episode):
        writer.write(picture)
        truths.append(truth)
    writer.release()
    return truths


def random_episode(
    seed: int,
    cutouts: Sequence[Path] | None = None,
    fruits: int = 4,
    width: int = 1280,
    height: int = 720,
    disturbed: bool = True,
    backgrounds: Sequence[Path] | None = None,
) -> Episode:
    """Make up an episode: fruits come, some are hidden or moved, all go; the same for a seed.

    cutouts, backgrounds: files to choose from, default those for sale and those of the tests.
    disturbed: flicker, drift, shake, noise.
    """
    dice = random.Random(seed)
    cutouts = list(cutouts or for_sale())
    places = dice.sample(
        [(x, y) for x in (0.14, 0.38, 0.62, 0.86) for y in (0.27, 0.7)], fruits + 1
    )
    clock, free = 0.8, places.pop()
    events: list[Event] = []
    for number, at in enumerate(places):
        cutout = dice.choice(cutouts)
        cutouts = [c for c in cutouts if key_of(cutout) not in LARGE or key_of(c) not in LARGE]
        events.append(Place(clock, f"f{number}", cutout, at, dice.uniform(-35, 35)))
        clock += dice.uniform(1.9, 2.6)
    clock += 1.5
    for kind in dice.sample(["hide", "move", "hide"], 2):
        name = f"f{dice.randrange(fruits)}"
        events.append(Move(clock, name, free) if kind == "move" else Hide(clock, name))
        clock += dice.uniform(4.0, 4.6)
    for number in dice.sample(range(fruits), fruits):
        events.append(Take(clock, f"f{number}"))
        clock += dice.uniform(2.0, 2.4)
    episode = Episode(
        fps=30.0,
        width=width,
        height=height,
        seed=seed,
        events=tuple(events),
        duration_s=clock + 2.0,
        background=dice.choice(sorted(backgrounds or (DATA / "backgrounds").glob("*.jpg"))),
    )
    if not disturbed:
        return episode
    return replace(
        episode,
        flicker=dice.uniform(0, 0.06),
        drift=dice.uniform(0, 0.15),
        shake_px=dice.uniform(0, 2.5),
        noise=dice.uniform(1, 5),
    )


def for_sale() -> list[Path]:
    """Return the cut-outs of fruit that the shop sells, without those of poor quality."""
    poor = {"grapes_1", "grapes_2", "melon_1", "watermelon_1", "apple_3"}
    files = sorted((DATA / "cutouts").glob("*.png"))
    return [file for file in files if key_of(file) in FOR_SALE and file.stem not in poor]


@lru_cache(maxsize=4)
def _background(path: Path, width: int, height: int) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None, path
    tall = round(image.shape[1] * height / width)
    top = (image.shape[0] - tall) // 2
    return cv2.resize(image[top : top + tall], (width, height), interpolation=cv2.INTER_CUBIC)


def background(episode: Episode) -> np.ndarray:
    """Return the empty counter, a new array."""
    return _background(episode.background, episode.width, episode.height).copy()


def _lay_fruits(picture: np.ndarray, fruits: Sequence[Fruit]) -> np.ndarray:
    for fruit in fruits:
        lay(picture, fruit.sprite, fruit.at, fruit.lift)
    return picture


def _truth(
    episode: Episode, t_s: float, fruits: list[Fruit], hands: list[Hand], shift: Point
) -> Truth:
    boxes = []
    for fruit in fruits:
        box = _box(episode, fruit, shift)
        if box is not None:
            boxes.append(TrueBox(fruit.name, fruit.key, box, fruit.moving, _visible(fruit, hands)))
    counts = Counter(fruit.key for fruit in fruits if fruit.on_counter)
    hand_there = any(_box(episode, hand, shift) for hand in hands)
    at_rest = not hand_there and not any(fruit.moving for fruit in fruits)
    return Truth(t_s, dict(counts), tuple(boxes), at_rest=at_rest)


def _box(
    episode: Episode, thing: Fruit | Hand, shift: Point
) -> tuple[float, float, float, float] | None:
    x, y = round(thing.at[0]) + shift[0], round(thing.at[1]) + shift[1]
    box = thing.sprite.box_xyxy
    left, right = max(x + box[0], 0.0), min(x + box[2], float(episode.width))
    top, bottom = max(y + box[1], 0.0), min(y + box[3], float(episode.height))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _visible(fruit: Fruit, hands: list[Hand]) -> float:
    covered = (share_covered(fruit.sprite, fruit.at, hand.sprite, hand.at) for hand in hands)
    return 1.0 - max(covered, default=0.0)


def demo_episode() -> Episode:
    """Return the demo: three baskets fill, change and empty; the counter is bare between them."""
    first: list[Event] = [
        _put(1.5, "apple_1", (0.12, 0.28)),
        _put(3.6, "orange_2", (0.36, 0.28), 20),
        _put(5.7, "pear_2", (0.24, 0.70), 20),
        _put(7.8, "watermelon_2", (0.75, 0.48)),
        Hide(12.5, "pear_2"),
        Take(17.0, "orange_2"),
        Take(24.0, "apple_1"),
        Take(26.0, "watermelon_2"),
        Take(28.0, "pear_2"),
    ]
    second: list[Event] = [
        _put(33.5, "melon_2", (0.20, 0.40)),
        _put(35.6, "lemon_1", (0.46, 0.28), 15),
        _put(37.7, "pineapple_1", (0.84, 0.50), -10),
        _put(39.8, "lemon_1", (0.48, 0.72), -40, fruit="second lemon"),
        Move(45.0, "second lemon", (0.63, 0.30)),
        Take(52.0, "melon_2"),
        Take(54.0, "second lemon"),
        Take(56.0, "pineapple_1"),
        Take(58.0, "lemon_1"),
    ]
    third: list[Event] = [
        _put(63.5, "grapes_3", (0.24, 0.42), 15),
        _put(65.6, "apple_2", (0.50, 0.32)),
        _put(67.7, "orange_2", (0.74, 0.60)),
        Hide(72.0, "grapes_3"),
        Take(78.5, "orange_2"),
        Take(80.5, "grapes_3"),
        Take(82.5, "apple_2"),
    ]
    events = (*first, *second, *third)
    background = DATA / "backgrounds" / "proc_steel_202.jpg"
    return Episode(30.0, 1280, 720, 1, events, 88.5, background, zoom=1.3)


def _put(at_s: float, cutout: str, at: Point, angle_deg: float = 0.0, fruit: str = "") -> Place:
    return Place(at_s, fruit or cutout, DATA / "cutouts" / f"{cutout}.png", at, angle_deg)


def encode_h264(episode: Episode, path: Path) -> None:
    """Write an episode as a small H.264 file; needs the ffmpeg program, which tests do not."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{episode.width}x{episode.height}", "-r", f"{episode.fps:g}", "-i", "-"]
    command += ["-c:v", "libx264", "-preset", "slow", "-crf", "25", "-pix_fmt", "yuv420p"]
    command += ["-g", "150", "-movflags", "+faststart", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for picture, _ in frames(episode):
            encoder.stdin.write(picture.tobytes())
    if encoder.returncode:
        raise SystemExit(f"ffmpeg failed with exit code {encoder.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.vision.episodes", description=__doc__)
    parser.add_argument("what", help="demo, or the seed of a random episode")
    parser.add_argument("out", type=Path, help="the video to write (mp4)")
    given = parser.parse_args()
    if given.what != "demo" and not given.what.isdigit():
        parser.error("the first argument is demo or a number")
    episode = demo_episode() if given.what == "demo" else random_episode(int(given.what))
    encode_h264(episode, given.out)


if __name__ == "__main__":
    main()
