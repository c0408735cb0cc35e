"""What went wrong in an episode, to look at: its course as a plot, its worst moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import cv2
import numpy as np

from model.plots import new_figure
from tests.vision.episode_score import Moment

WORST = 12
ACROSS = 4
TILE_PX = (480, 270)
STATES = {  # of the basket on the screen
    "right": "#009E73",
    "right but asked names": "#E69F00",
    "wrong": "#D55E00",
}


def draw_timeline(moments: Sequence[Moment], out: Path) -> None:
    """Plot how many of each fruit lie there and are in the basket; shaded where it is sure."""
    baskets = [counts for m in moments for counts in (m.truth.counts, m.scene.counts)]
    keys = sorted({key for counts in baskets for key in counts})
    step = 0.8 / max((n for counts in baskets for n in counts.values()), default=1)
    times_s = [m.truth.t_s for m in moments]
    figure = new_figure(14, 1.2 + 0.6 * len(keys))
    axis = figure.subplots()
    for state, colour in STATES.items():
        for first, last in _stretches([_state(m) == state for m in moments]):
            axis.axvspan(times_s[first], times_s[last], color=colour, alpha=0.25, linewidth=0)
        axis.fill_between([], [], color=colour, alpha=0.25, label=f"sure and {state}")
    for row, key in enumerate(keys):
        there = [row + step * m.truth.counts.get(key, 0) for m in moments]
        sold = [row + step * m.scene.counts.get(key, 0) for m in moments]
        axis.fill_between(times_s, row, there, step="post", color="black", alpha=0.3)
        axis.step(times_s, sold, where="post", color="#0072B2")
    for first, last in _stretches([m.truth.at_rest for m in moments]):
        axis.hlines(-0.2, times_s[first], times_s[last], color="black", linewidth=4)
    axis.set_yticks(range(-1, len(keys)), ["at rest", *keys])
    axis.set_ylim(-0.5, len(keys))
    axis.set_xlabel("s; grey: lies there, blue: in the basket")
    axis.legend(loc="upper right", ncols=len(STATES))
    figure.savefig(out)


def draw_worst(moments: Sequence[Moment], pictures: Sequence[bytes], out: Path) -> None:
    """Write one picture of the moments that most ask for an explanation, in their order."""
    chosen = sorted(worst(moments))
    if not chosen:
        return
    tiles = [_tile(moments[n], pictures[n]) for n in chosen]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % ACROSS)
    rows = [np.hstack(tiles[n : n + ACROSS]) for n in range(0, len(tiles), ACROSS)]
    cv2.imwrite(str(out), np.vstack(rows))


def worst(moments: Sequence[Moment]) -> list[int]:
    """Numbers of the frames in the middle of the longest wrong or, at rest, unsure stretches.

    A change of the basket at rest that does not make it right comes before all of them.
    """
    found = {b: 1e9 for b, pair in enumerate(pairwise(moments), 1) if _flips(*pair)}
    for first, last in _stretches([m.scene.settled and not m.right for m in moments]):
        found[(first + last) // 2] = 2.0 * (last - first + 1)
    for first, last in _stretches([m.truth.at_rest and not m.scene.settled for m in moments]):
        found[(first + last) // 2] = float(last - first + 1)
    return sorted(found, key=lambda number: -found[number])[:WORST]


def _flips(before: Moment, now: Moment) -> bool:
    at_rest = before.truth.at_rest and now.truth.at_rest
    return at_rest and before.scene.counts != now.scene.counts and not now.right


def _state(moment: Moment) -> str:
    if not moment.scene.settled:
        return "unsure"
    if moment.right:
        return "right"
    return "right but asked names" if moment.asked else "wrong"


def _stretches(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of True."""
    for flag, run in groupby(range(len(flags)), lambda index: flags[index]):
        if flag:
            indices = list(run)
            yield indices[0], indices[-1]


def _tile(moment: Moment, picture: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    tile = cv2.copyMakeBorder(cv2.resize(image, TILE_PX), 0, 54, 0, 0, cv2.BORDER_CONSTANT)
    rest = "rest" if moment.truth.at_rest else "hand"
    lines = (
        f"{moment.truth.t_s:.1f} s {rest} {_state(moment)}: {_words(moment.truth.counts)}",
        f"basket: {_words(moment.scene.counts)}  ask: {list(moment.scene.doubts.values())}",
    )
    for row, line in enumerate(lines):
        at = (4, TILE_PX[1] + 20 + 22 * row)
        cv2.putText(tile, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {key}" for key, number in sorted(counts.items())) or "nothing"
