"""What happens on a counter, and how it is filmed: the script of an episode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"

Point = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """A hand carries a new fruit in and leaves; ``at`` is its centre in shares of the picture."""

    at_s: float
    fruit: str
    cutout: Path
    at: Point
    angle_deg: float = 0.0


@dataclass(frozen=True)
class Hide:
    """A hand lies over a fruit without moving it."""

    at_s: float
    fruit: str
    hold_s: float = 1.5


@dataclass(frozen=True)
class Move:
    """A hand puts a fruit somewhere else on the counter."""

    at_s: float
    fruit: str
    to: Point


@dataclass(frozen=True)
class Take:
    """A hand carries a fruit away for good."""

    at_s: float
    fruit: str


Event = Place | Hide | Move | Take


@dataclass(frozen=True)
class Episode:
    """A script and how it is filmed.

    width, height: pixels, 16:9. zoom: 1 shows a counter 80 cm wide, 1.3 one of 60 cm. events: by
    rising at_s; of one fruit, each after the one before is over. flicker, drift: share of the
    brightness, e.g. 0.08. shake_px: of the mount. noise: standard deviation of the sensor's noise
    in grey levels.
    """

    fps: float
    width: int
    height: int
    seed: int
    events: tuple[Event, ...]
    duration_s: float
    background: Path = DATA / "backgrounds" / "proc_wood_205.jpg"
    zoom: float = 1.0
    flicker: float = 0.0
    drift: float = 0.0
    shake_px: float = 0.0
    noise: float = 0.0

    @property
    def scale(self) -> float:
        """Pixels of the picture per pixel of a picture 1280 wide with zoom 1."""
        return self.zoom * self.width / 1280
