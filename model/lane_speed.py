"""How fast the whole lane goes, from camera to browser: films, and a run of the soak for each.

The checkout is another program to this library: it is run, not imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "app" / "vision" / "demo.mp4"
AT_REST_MS = 16_300  # four fruits lie on the demo's counter, and no hand is near
FILM_S = 4.0
ENDS_WITHIN_S = 30.0  # a soak, with its server


@dataclass(frozen=True)
class Scene:
    """What the camera sees: a film of 720p at so many FPS. cores: for the server, 0: all.

    fps: 0 for the demo as it is, with its hands and its pauses.
    """

    label: str
    fps: int
    moves: bool
    cores: int = 0


SCENES = (
    Scene("120 FPS, moving", 120, moves=True),
    Scene("120 FPS, moving, one core", 120, moves=True, cores=1),
    Scene("60 FPS, moving", 60, moves=True),
    Scene("60 FPS, moving, one core", 60, moves=True, cores=1),
    Scene("30 FPS, moving", 30, moves=True),
    Scene("30 FPS, still scene", 30, moves=False),
    Scene("30 FPS, the demo", 0, moves=True),
)


@dataclass(frozen=True)
class LaneSpeed:
    """What the lane did with a scene and one browser: means over the run, after a warm-up.

    skipped_per_s: frames that came while the one before was looked at. still_per_s: frames without
    a detection, since nothing had changed. cpu_share: of one core, 1.0 being all of it.
    """

    scene: str
    detections_per_s: float
    skipped_per_s: float
    still_per_s: float
    emit_p50_ms: float
    emit_p95_ms: float
    browser_p50_ms: float
    browser_p95_ms: float
    cpu_share: float
    memory_mib: float


def time_lane(weights: Path, minutes: float, image_size: int) -> Iterator[LaneSpeed]:
    """Every scene, so many minutes each; ends the program when the lane cannot be run."""
    with tempfile.TemporaryDirectory() as folder:
        for scene in SCENES:
            film = DEMO
            if scene.fps:
                film = Path(folder) / "film.avi"
                write_film(film, scene)
            yield run_scene(scene, film, weights, minutes, image_size, out=Path(folder))


def write_film(path: Path, scene: Scene) -> None:
    """Fruit at rest, or going round as on a belt, so that no frame is like the one before.

    MJPG, as webcams send 720p: taking it apart is work of the lane too.
    """
    picture = fruit_at_rest()
    height, width = picture.shape[:2]
    codec = cv2.VideoWriter.fourcc(*"MJPG")  # OpenCV's own: FFmpeg's first pictures are coarser
    film = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, codec, scene.fps, (width, height))
    frames = round(scene.fps * FILM_S)
    for frame in range(frames):
        film.write(np.roll(picture, width * frame // frames, axis=1) if scene.moves else picture)
    film.release()


def fruit_at_rest() -> np.ndarray:
    """One picture of the demo, uint8 (720, 1280, 3) BGR; raises FileNotFoundError without it."""
    capture = cv2.VideoCapture(str(DEMO))
    capture.set(cv2.CAP_PROP_POS_MSEC, AT_REST_MS)
    read, picture = capture.read()
    capture.release()
    if not read:
        raise FileNotFoundError(2, "the lane's demo is needed", str(DEMO))
    return picture


def run_scene(
    scene: Scene, film: Path, weights: Path, minutes: float, image_size: int, out: Path
) -> LaneSpeed:
    """Run the soak on a film; SystemExit when it cannot, or not to the end: it says itself why."""
    command = [sys.executable, "-m", "app.soak", "--json", "-", "--browsers", "1", "--every", "2"]
    command += ["--minutes", str(minutes), "--camera", str(film), "--out", str(out)]
    command += ["--weights", str(weights.absolute()), "--cores", str(scene.cores)]
    command += ["--image-size", str(image_size)]
    answer = json.loads(output_of(command) or '{"failure": "it could not run"}')
    if answer["failure"]:
        raise SystemExit(2)
    mean = {name: figures["mean"] for name, figures in answer["quantities"].items()}
    if None in mean.values():
        print(f"error: --lane {minutes:g}: too short to see a picture", file=sys.stderr)
        raise SystemExit(2)
    return LaneSpeed(
        scene=scene.label,
        detections_per_s=mean["detections_per_s"],
        skipped_per_s=mean["dropped_per_s"],
        still_per_s=mean["still_per_s"],
        emit_p50_ms=mean["emit_p50_ms"],
        emit_p95_ms=mean["emit_p95_ms"],
        browser_p50_ms=mean["browser_p50_ms"],
        browser_p95_ms=mean["browser_p95_ms"],
        cpu_share=mean["cpu_cores"],
        memory_mib=mean["memory_mib"],
    )


def output_of(command: list[str]) -> str:
    """What a program writes; when this one is ended, it ends in order first, with its server."""
    # in a group of its own it does not get the Ctrl+C, but the end that it is told below
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0
    ) as program:
        try:
            return program.communicate()[0]
        except BaseException:
            program.terminate()
            program.wait(ENDS_WITHIN_S)
            raise


def lane_table(rows: list[LaneSpeed], peak_gops: float, gmac: float) -> str:
    """Aligned text; of the peak: what the detections alone take of it, gmac: billions for one."""
    lines = [
        f"{'whole lane, 720p,':<28}{'detections':>11}{'skipped':>9}{'still':>7}"
        f"{'capture to emit':>17}{'to browser':>15}{'CPU of':>8}{'memory':>8}{'of the':>8}",
        f"{'one browser':<28}{'/s':>11}{'/s':>9}{'/s':>7}"
        f"{'p50, p95 ms':>17}{'p50, p95 ms':>15}{'a core':>8}{'MiB':>8}{'peak':>8}",
    ]
    for row in rows:
        emit = f"{row.emit_p50_ms:.1f}, {row.emit_p95_ms:.1f}"
        browser = f"{row.browser_p50_ms:.1f}, {row.browser_p95_ms:.1f}"
        peak = row.detections_per_s * 2 * gmac / peak_gops
        lines.append(
            f"{row.scene:<28}{row.detections_per_s:>11.1f}{row.skipped_per_s:>9.1f}"
            f"{row.still_per_s:>7.1f}{emit:>17}{browser:>15}{row.cpu_share:>8.0%}"
            f"{row.memory_mib:>8.0f}{peak:>8.1%}"
        )
    return "\n".join(lines)
