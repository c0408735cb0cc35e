"""Dividing pictures into train, val and test by ratios, with groups that stay together.

Pictures of one physical fruit, or frames of one film, are nearly the same picture: on both sides
they would let a network be measured on what it learnt by heart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from model.data.dataset import DataError, Labelled, read_table


def divide(
    samples: Sequence[Labelled],
    groups: Sequence[str],
    classes: int,
    ratios: Mapping[str, float],
    seed: int,
) -> dict[str, list[Labelled]]:
    """Give each group whole to one split, so that pictures and every class come near the ratios.

    groups: each sample's group. ratios: each split's share; they sum to 1. Groups go largest first
    (the seed orders equal ones), each to the split where it brings the shares of pictures and of
    every class's boxes nearest to the ratios. Source of the idea: Sechidis et al., "On the
    Stratification of Multi-label Data" (ECML 2011). DataError when a split would stay empty.
    """
    members: dict[str, list[Labelled]] = defaultdict(list)
    for sample, group in zip(samples, groups, strict=True):
        members[group].append(sample)
    order = sorted(members)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=lambda group: -len(members[group]))
    content = np.array([_content(members[group], classes) for group in order])
    shares = content / np.maximum(content.sum(0), 1)
    given = np.zeros((len(ratios), classes + 1))
    wanted = np.array(list(ratios.values()))[:, None]
    parts: dict[str, list[Labelled]] = {split: [] for split in ratios}
    for group, share in zip(order, shares, strict=True):
        worse = ((given + share - wanted) ** 2 - (given - wanted) ** 2).sum(1)
        chosen = int(worse.argmin())
        given[chosen] += share
        parts[list(ratios)[chosen]] += members[group]
    empty = [split for split, part in parts.items() if not part]
    if empty:
        raise DataError(f"{len(order)} groups are too few: nothing is left for {', '.join(empty)}")
    return {split: sorted(part, key=lambda s: s.path) for split, part in parts.items()}


def _content(members: Sequence[Labelled], classes: int) -> np.ndarray:
    """How many pictures a group has, and how many boxes of each class."""
    class_ids = np.concatenate([sample.boxes[:, 0] for sample in members]).astype(int)
    return np.array([len(members), *np.bincount(class_ids, minlength=classes)])


def groups_by_pattern(samples: Sequence[Labelled], pattern: str) -> list[str]:
    """Each picture's group: what a regular expression's brackets (or all of it) match in its path.

    Raises DataError for an expression that is none, or that a picture's path does not match.
    """
    try:
        matches = [re.search(pattern, sample.path.as_posix()) for sample in samples]
    except re.error as error:
        raise DataError(f"{pattern!r} is no regular expression ({error})") from error
    groups = []
    for sample, match in zip(samples, matches, strict=True):
        if match is None:
            raise DataError(f"{sample.path}: does not match {pattern!r}, so it has no group")
        groups.append("\n".join(map(str, match.groups() or (match.group(),))))
    return groups


def groups_by_table(samples: Sequence[Labelled], table: Path, column: str) -> list[str]:
    """Each picture's group: a column of a CSV whose column ``file`` is relative to the CSV.

    Raises DataError for a missing column, and for a picture that the table does not list.
    """
    rows = read_table(table, "file", column)
    by_path = {(table.parent / row["file"]).resolve(): row[column] for row in rows}
    for sample in samples:
        if not by_path.get(sample.path.resolve()):
            raise DataError(f"{table}: gives no {column} for {sample.path}")
    return [by_path[sample.path.resolve()] for sample in samples]
