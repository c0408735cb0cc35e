"""Episodes as a source of pictures, put through the detector and the settling that the lane has."""

from __future__ import annotations

from collections.abc import Iterator

from app.replay import Look, watch
from app.vision.sources import Picture
from model.detector import Detector
from tests.vision.episode_score import Moment
from tests.vision.episodes import Episode, Truth, frames


class Film:
    """An episode that is rendered while it is read; truths: of the pictures read so far."""

    label = "episode"
    loops = False

    def __init__(self, episode: Episode) -> None:
        self.rate_fps = episode.fps
        self.truths: list[Truth] = []
        self._frames = frames(episode)

    def read(self) -> Picture | None:
        picture, truth = next(self._frames, (None, None))
        if picture is None or truth is None:
            return None
        self.truths.append(truth)
        return picture, truth.t_s

    def close(self) -> None:
        self._frames = iter(())


def watched(episode: Episode, detector: Detector) -> Iterator[tuple[Moment, Look]]:
    """What the lane makes of each frame of an episode, beside the truth."""
    film = Film(episode)
    for look in watch(film, detector):
        yield Moment(film.truths[-1], look.scene), look
