"""Column charts as plain numbers, for a template to draw as SVG; no colours, no fonts here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720.0, 240.0  # units of the drawing, which is as wide as its place
LEFT, TOP, BOTTOM = 80.0, 16.0, 32.0  # room for the amounts on the left and the labels below
FILLED = 0.72  # the share of its place that a column takes
MOST_LABELS = 12
MOST_TICKS = 4


@dataclass(frozen=True, slots=True)
class Value:
    """One column to be: label: below it; amount: 0 or more; text: all about it, in words."""

    label: str
    amount: int
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column; label is "" where not every column has room for one. middle: of its place."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    text: str
    spare: bool  # a label that a narrow screen leaves out


@dataclass(frozen=True, slots=True)
class Tick:
    """One line across, and the amount that it stands for."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole drawing; its size in the units of its parts."""

    width: float
    height: float
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    left: float = LEFT


def column_chart(values: Sequence[Value], write: Callable[[int], str]) -> Chart:
    """Lay out columns from 0 up to a round amount over the highest; write: names an amount.

    Without values, or with zeros only, there are no ticks but 0.
    """
    ticks = round_amounts(max((value.amount for value in values), default=0))
    floor, full = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP

    def height(amount: int) -> float:
        return round(full * amount / ticks[-1], 2) if ticks[-1] else 0.0

    lines = tuple(Tick(floor - height(amount), write(amount)) for amount in ticks)
    return Chart(WIDTH, HEIGHT, tuple(_columns(values, floor, height)), lines)


def round_amounts(highest: int) -> list[int]:
    """Choose amounts from 0 in equal steps of 1, 2 or 5 times a power of ten.

    The last is ``highest`` or over; at most four steps; [0] when highest is 0.
    """
    if highest <= 0:
        return [0]
    power = 10 ** max(0, math.floor(math.log10(highest)) - 1)
    steps = (power * times for times in (1, 2, 5, 10, 20, 50))
    step = next(step for step in steps if step * MOST_TICKS >= highest)
    return list(range(0, highest + step, step))


def _columns(
    values: Sequence[Value], floor: float, height: Callable[[int], float]
) -> Iterable[Column]:
    place = (WIDTH - LEFT) / max(1, len(values))
    every = math.ceil(len(values) / MOST_LABELS)
    for n, value in enumerate(values):
        tall, left = height(value.amount), LEFT + n * place
        labelled = n % every == 0
        yield Column(
            x=round(left + place * (1 - FILLED) / 2, 2),
            y=round(floor - tall, 2),
            width=round(place * FILLED, 2),
            height=tall,
            middle=round(left + place / 2, 2),
            label=value.label if labelled else "",
            text=value.text,
            spare=n // every % 2 == 1,
        )
