"""Where fruits and hands are at any time of an episode; pure, no picture is drawn here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tests.vision.script import Episode, Event, Hide, Move, Place, Point, Take
from tests.vision.sprites import Sprite, fruit_sprite, hand_sprite, key_of

CARRY_S, REACH_S, LEAVE_S = 1.1, 0.7, 0.6


@dataclass(frozen=True)
class Fruit:
    """A fruit at one moment; at: its centre, pixels; lift: 0 lies … 1 is held high."""

    name: str
    sprite: Sprite
    key: str
    at: Point
    on_counter: bool = True
    moving: bool = False
    lift: float = 0.0


@dataclass(frozen=True)
class Hand:
    """A hand at one moment; at: where its fingers begin, pixels."""

    sprite: Sprite
    at: Point


def scene_at(episode: Episode, t_s: float) -> tuple[list[Fruit], list[Hand]]:
    """Return fruits and hands at a time; pure, so that any frame can be asked for."""
    fruits: dict[str, Fruit] = {}
    hands: list[Hand] = []
    for event in episode.events:
        since_s = t_s - event.at_s
        if since_s < 0:
            continue
        if isinstance(event, Place):
            fruits[event.fruit] = _new_fruit(episode, event)
        fruit = fruits[event.fruit]
        after, hand_at = _play(episode, event, fruit, since_s)
        if after is None:
            del fruits[event.fruit]
        else:
            fruits[event.fruit] = after
        if hand_at is not None:
            angle = _arm_angle_deg(episode, _target(episode, event, fruit))
            hands.append(Hand(hand_sprite(angle, episode.scale, episode.seed), hand_at))
    return list(fruits.values()), hands


def _new_fruit(episode: Episode, event: Place) -> Fruit:
    sprite = fruit_sprite(event.cutout, event.angle_deg, episode.scale)
    return Fruit(event.fruit, sprite, key_of(event.cutout), _pixels(episode, event.at))


def _pixels(episode: Episode, at: Point) -> Point:
    return at[0] * episode.width, at[1] * episode.height


def _target(episode: Episode, event: Event, fruit: Fruit) -> Point:
    """Where the event's hand goes: the arm keeps the direction of this place."""
    return _pixels(episode, event.to) if isinstance(event, Move) else fruit.at


def _arm_angle_deg(episode: Episode, at: Point) -> float:
    return round((at[0] / episode.width - 0.5) * 24 / 4) * 4.0  # few angles: sprites are kept


def _play(
    episode: Episode, event: Event, fruit: Fruit, since_s: float
) -> tuple[Fruit | None, Point | None]:
    """Return the fruit so long after the event began, None once taken, and the hand if there."""
    hand = _HandPath(episode, fruit, _target(episode, event, fruit))
    if isinstance(event, Place):
        return hand.bring(fruit, since_s)
    if since_s < REACH_S:
        return fruit, hand.coming(fruit.at, since_s / REACH_S, hiding=isinstance(event, Hide))
    since_s -= REACH_S
    if isinstance(event, Hide):
        return fruit, hand.hide(fruit, since_s, event.hold_s)
    if isinstance(event, Take):
        return hand.take(fruit, since_s)
    return hand.move(fruit, _pixels(episode, event.to), since_s)


class _HandPath:
    """Where a hand is, and a fruit in it, while it acts on one fruit."""

    def __init__(self, episode: Episode, fruit: Fruit, target: Point) -> None:
        angle = math.radians(_arm_angle_deg(episode, target))
        self._towards = (math.sin(angle), -math.cos(angle))
        self._radius = fruit.sprite.radius
        self._size = episode.scale
        self._height = episode.height

    def bring(self, fruit: Fruit, since_s: float) -> tuple[Fruit, Point | None]:
        if since_s < CARRY_S:
            at = _between(self._outside(fruit.at), fruit.at, since_s / CARRY_S)
            lift = 1 - _ease(since_s / CARRY_S)
            carried = replace(fruit, at=at, moving=True, on_counter=False, lift=lift)
            return carried, self._grip(at)
        return fruit, self._leaving(self._grip(fruit.at), since_s - CARRY_S)

    def coming(self, at: Point, share: float, hiding: bool) -> Point:
        over = self._cover(at) if hiding else self._grip(at)
        return _between(self._outside(over), over, share)

    def hide(self, fruit: Fruit, since_s: float, hold_s: float) -> Point | None:
        over = self._cover(fruit.at)
        if since_s < hold_s:
            sway = 3 * self._size * math.sin(5 * since_s)
            return over[0] + sway, over[1] - sway / 2
        return self._leaving(over, since_s - hold_s)

    def take(self, fruit: Fruit, since_s: float) -> tuple[Fruit | None, Point | None]:
        if since_s >= CARRY_S:
            return None, None
        at = _between(fruit.at, self._outside(fruit.at), since_s / CARRY_S)
        lift = _ease(since_s / CARRY_S)
        return replace(fruit, at=at, moving=True, on_counter=False, lift=lift), self._grip(at)

    def move(self, fruit: Fruit, to: Point, since_s: float) -> tuple[Fruit, Point | None]:
        if since_s < CARRY_S:
            at = _between(fruit.at, to, since_s / CARRY_S)
            lift = 0.6 * math.sin(math.pi * since_s / CARRY_S)
            return replace(fruit, at=at, moving=True, lift=lift), self._grip(at)
        return replace(fruit, at=to), self._leaving(self._grip(to), since_s - CARRY_S)

    def _grip(self, at: Point) -> Point:
        """Return the hand's place when its fingers hold a fruit from the customer's side."""
        return self._along(at, -0.85 * self._radius - 15 * self._size)

    def _cover(self, at: Point) -> Point:
        return self._along(at, -25 * self._size)

    def _outside(self, at: Point) -> Point:
        way = (self._height - at[1] + self._radius + 140 * self._size) / -self._towards[1]
        return self._along(at, -way)

    def _leaving(self, at: Point, since_s: float) -> Point | None:
        if since_s >= LEAVE_S:
            return None
        return _between(at, self._outside(at), since_s / LEAVE_S)

    def _along(self, at: Point, way: float) -> Point:
        return at[0] + self._towards[0] * way, at[1] + self._towards[1] * way


def _ease(share: float) -> float:
    return share * share * (3 - 2 * share)


def _between(begin: Point, end: Point, share: float) -> Point:
    eased = _ease(share)
    return begin[0] + (end[0] - begin[0]) * eased, begin[1] + (end[1] - begin[1]) * eased
