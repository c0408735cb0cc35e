"""Target assignment of the original project: who has to find which box.

Every box is given to the best free anchor of each scale in the cell that holds its centre. An
anchor that fits a box over the ignore threshold but was not chosen is neither asked to find it nor
punished for doing so. A cell's anchor belongs to the first box that claims it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.boxes import iou_wh

EMPTY, IGNORED, POSITIVE = 0, -1, 1


@dataclass(frozen=True, slots=True)
class Targets:
    """What the raw map of one scale should say about a batch.

    state: int8 (B, A, G, G): 1 a box is here, 0 nothing, -1 not judged.
    picture, anchor, row, column: int64 (P,), the places where state is 1.
    box_cxcywh: float32 (P, 4), fractions of the input; class_id: int64 (P,).
    """

    state: Tensor
    picture: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    box_cxcywh: Tensor
    class_id: Tensor


@torch.no_grad()
def assign(
    rows: Tensor,
    batch: int,
    anchors: Tensor,
    grids: Sequence[int],
    ignore_iou: float = 0.5,
    one_scale: bool = False,
) -> list[Targets]:
    """Assign the boxes of a batch to the anchors of every scale, on the device of ``rows``.

    rows: float32 (M, 6): picture index, class id, cxcywh in [0, 1]; a box without area is passed
    over, M = 0 is a batch of backgrounds. anchors: (scales, A, 2) fractions of the input. grids:
    cells a side of each scale. one_scale: give a box only to the scale of its best anchor (YOLOv3
    section 2.1) and not to each (the original project).
    """
    rows = rows[(rows[:, 4:] > 0).all(1)]
    fit = iou_wh(rows[:, 4:], anchors.flatten(0, 1)).view(-1, *anchors.shape[:2])  # (M, scales, A)
    home = fit.amax(2).argmax(1)  # the scale of the best anchor
    targets = []
    for scale, grid in enumerate(grids):
        mine = home == scale if one_scale else torch.ones_like(home, dtype=torch.bool)
        targets.append(_assign_scale(rows, fit[:, scale], mine, batch, grid, ignore_iou))
    return targets


def _assign_scale(
    rows: Tensor, fit: Tensor, mine: Tensor, batch: int, grid: int, ignore_iou: float
) -> Targets:
    """One scale; boxes that share a cell take turns, all others are served at once.

    rows: (M, 6). fit: (M, A) IoU with the anchors. mine: bool (M,), who may claim an anchor here.
    """
    picture = rows[:, 0].long()
    # a centre on the right or lower border belongs to the last cell
    column, row = (rows[:, 2:4] * grid).long().clamp(0, grid - 1).unbind(1)
    cell = (picture * grid + row) * grid + column
    owner = rows.new_full((batch * grid * grid, fit.shape[1]), -1, dtype=torch.long)
    ignored = torch.zeros_like(owner, dtype=torch.bool)
    turn = rank_within(cell)
    for number in range(int(turn.max()) + 1 if len(turn) else 0):
        box = (turn == number).nonzero().squeeze(1)  # no two of them share a cell
        at, free = cell[box], owner[cell[box]] < 0
        best = fit[box].masked_fill(~free, -1).argmax(1, keepdim=True)
        chosen = torch.zeros_like(free).scatter_(1, best, True) & free & mine[box, None]
        owner[at] = torch.where(chosen, box[:, None], owner[at])
        ignored[at] |= free & ~chosen & (fit[box] > ignore_iou)
    state = torch.where(owner >= 0, POSITIVE, torch.where(ignored, IGNORED, EMPTY)).to(torch.int8)
    where, anchor = (owner >= 0).nonzero(as_tuple=True)
    box = owner[where, anchor]
    return Targets(
        state.view(batch, grid, grid, -1).permute(0, 3, 1, 2),
        picture[box],
        anchor,
        row[box],
        column[box],
        rows[box, 2:],
        rows[box, 1].long(),
    )


def rank_within(groups: Tensor) -> Tensor:
    """Which one of its group each element is: int64 (M,) → (M,), [7, 3, 7, 7] → [0, 0, 1, 2]."""
    ordered, order = groups.sort(stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - torch.searchsorted(
        ordered, ordered
    )
    return rank
