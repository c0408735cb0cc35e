"""The numbers by which detections become a basket, each with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass

from model.detector import Detector

KEEP_SHARE = 0.5
ASK_SCORE = 0.36  # of boxes between this and a half two in five are fruit: worth a question
SURE_SCORE = 0.6  # of three fruits that are this sure, all are right one time in five


@dataclass(frozen=True, slots=True)
class SettleConfig:
    """How long and how sure before the basket changes.

    Times are seconds of the source's own clock, so 5 and 30 frames a second decide alike. Sizes
    are shares of a fruit's box side (``sqrt(width × height)``) or of the frame's longer side, so
    any resolution decides alike.
    """

    confidence: float = 0.4
    """Score in [0, 1] that a new fruit must reach."""

    sure_score: float = 0.0
    """Mean score in [0, 1] below which a person is asked what a fruit is; for scores that are
    chances. 0 asks only when two names are close."""

    # One fruit, one observation (within a frame)
    name_score: float = 0.02
    """Score from which a box lends a fruit its name: too low to find one, but what it may be."""
    same_iou: float = 0.5
    """Boxes overlapping this much are one fruit; touching or half-hidden fruits mostly stay below
    0.4."""
    nested_share: float = 0.85
    """Share of the smaller box inside the larger from which it is nested."""
    same_name_share: float = 0.7
    """Share of the smaller box inside the larger from which two of one name are one fruit."""
    nested_size: float = 0.35
    """Area ratio from which a nested box of another name is the same fruit; a lemon before a
    watermelon is smaller, a second box of the watermelon is not."""
    group_score: float = 0.75
    """A box around two or more separate fruits is dropped if theirs reach this share of its
    score; parts of one large fruit score lower than the whole."""

    part_share: float = 0.5
    """Share of a box inside that of a known fruit from which it may be a piece of it: a hand over
    a large fruit leaves several to be seen."""

    hand_over: float = 0.02
    """Share of a known fruit's place, beside its pieces, that shows what lies over it."""

    # One fruit, one track (between frames)
    match_iou: float = 0.4
    """Overlap with the last box from which an observation of the same name continues a track."""
    match_name: float = 0.2
    """Overlap that the same name is worth: a fruit carried over another one keeps its track."""
    reach_share: float = 0.3
    """Distance, in box sides, at which a track that was just lost is always sought …"""
    reach_speed: float = 1.8
    """… and more, in frame sides per second: a quick hand crosses the counter in 0.6 s."""
    reach_s: float = 0.4
    """How long after it was lost in motion a track is sought at a distance."""

    # Believing a fruit
    evidence: float = 0.15
    """Score-seconds that confirm a track: 0.2 s at score 0.9, 0.5 s at 0.5."""
    leak_share: float = 0.5
    """Share of ``confidence`` that leaks from the evidence each second, so rare flicker never
    adds up to a fruit."""
    min_hits: int = 3
    """Frames that must have shown it, however slow the camera."""
    tentative_s: float = 0.6
    """How long an unconfirmed track may be unseen, and may keep the scene unsettled."""
    class_memory_s: float = 20.0
    """Time constant of a track's class history."""
    class_clear: float = 2.0
    """Factor by which a name must outweigh every other for a fruit to enter without waiting."""
    class_wait_s: float = 2.0
    """Longest wait for a contested name."""
    doubt: float = 4.0
    """Factor by which a counted fruit's name must outweigh every other, or a person is asked."""
    doubt_over: float = 1.25
    """How much clearer than what raised a doubt the views must be to end it."""
    choices: int = 3
    """Names that a person is offered: with three the right one is nearly always among them."""
    class_lead: float = 1.6
    """Factor by which another name must outweigh a counted fruit's before it is taken."""
    recall_after_s: float = 0.5
    """Absence after which another fruit may lie in a fruit's place, as after it was moved …"""
    class_recall_s: float = 0.5
    """… so that its past weighs no more than so many seconds of sure views."""

    # Rest
    still_share: float = 0.12
    """Motion, in box sides, that still is rest: box jitter of a good detector is 0.02-0.04."""
    still_s: float = 0.3
    """Time within ``still_share`` from which a fruit rests."""
    sway_share: float = 0.35
    """Motion, in box sides, beyond which a resting fruit is being moved; a shaking mount over
    one or two fruits stays within."""
    sway_s: float = 1.0
    """Time within ``sway_share`` from which a swaying fruit rests."""
    patience_s: float = 4.0
    """Longest time that motion alone (a waving hand) keeps the scene unsettled."""
    start_s: float = 0.5
    """Time without fruit after which the empty counter is believed."""

    # Leaving
    carry_share: float = 0.25
    """Way from its resting place, in box sides, from which a lost fruit was being carried …"""
    carry_frames: int = 2
    """… if it was seen there so often in a row: one false box elsewhere carries nothing away."""
    blink_s: float = 0.4
    """Absence that is taken for a flicker of the detector; longer makes the scene unsettled …"""
    blink_frames: int = 3
    """… once as many frames in a row lack the fruit: 0.4 s is one or two of a slow camera's."""
    blink_before_s: float = 0.2
    """The same while the scene is unsettled, however few frames lack it: what was just lost in a
    hand must not look at rest."""
    hidden_s: float = 2.6
    """Absence after which a fruit lost at its place is gone: a hand hides one for up to 2 s."""
    held_s: float = 8.0
    """Absence after which it is gone though its place looks like something else than the counter,
    that being no other fruit: the detector may not find for a while what lies there still."""
    carried_s: float = 0.5
    """Absence after which a fruit lost in motion is gone."""
    bare_seen: float = 0.5
    """Share of a fruit's place that may look like the bare counter while the fruit is seen …"""
    bare_gone: float = 0.8
    """… and that must look like it for the fruit to be gone …"""
    bare_s: float = 0.2
    """… for so long: then it is no matter how long a hand might hide it."""
    heal_rate: float = 4.0
    """Seconds of absence that one second in sight makes good; a track seen in less than
    1 / (1 + rate) of the frames fades away."""
    max_step_s: float = 0.5
    """Most time that one frame can prove, after a gap in the pictures."""
    gap_s: float = 2.0
    """Gap after which everything has to be seen anew: of a still scene a picture a second is looked
    at, or the next that comes after a second."""

    @classmethod
    def of(cls, detector: Detector) -> SettleConfig:
        """For a detector: its own threshold, or less where its scores are chances.

        Then what is doubtful is asked about instead of passed over.
        """
        if not detector.calibrated:
            return cls(detector.confidence)
        return cls(min(detector.confidence, ASK_SCORE), SURE_SCORE)

    @property
    def keep_score(self) -> float:
        """Score in [0, 1] that keeps a known fruit."""
        return self.confidence * KEEP_SHARE
