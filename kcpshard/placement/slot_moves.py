"""The keeper's record of a move of slots: what has been done and what comes next. Pure.

    SEAL ── the source sealed them ──► GRANT ── the destination took them ──► finished (the map says so)
      └──── nothing to seal, or the source's records contradict ──► finished (nothing moved)

The record is durable before each step is asked for, and each step may be asked for again: a source or destination
answers a repeat like the first time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

import orjson

from kcpshard.placement.rebalancing import PlannedMove


class MoveStage(Enum):
    SEAL = "seal"
    GRANT = "grant"


@dataclass(frozen=True, slots=True)
class SlotMove:
    """`slots` are those wanted while SEAL, and those sealed from then on."""

    epoch: int
    source: int
    destination: int
    slots: tuple[int, ...]
    stage: MoveStage = MoveStage.SEAL
    revision: int = 0  # the source's newest at the seal; the destination commits above it
    elsewhere: tuple[tuple[str, int], ...] = ()  # logical clusters of the slots that another shard serves

    def encode(self) -> bytes:
        fields = (self.epoch, self.source, self.destination, self.slots, self.stage, self.revision, self.elsewhere)
        return orjson.dumps(fields)


def begin_move(plan: PlannedMove, epoch: int) -> SlotMove:
    return SlotMove(epoch, plan.source, plan.destination, plan.slots)


def sealed(move: SlotMove, refused: Iterable[int], revision: int, elsewhere: Iterable[tuple[str, int]]) -> SlotMove:
    """The next stage: only what the source has sealed goes on."""
    stays = frozenset(refused)
    left = tuple(slot for slot in move.slots if slot not in stays)
    return replace(move, stage=MoveStage.GRANT, slots=left, revision=revision, elsewhere=tuple(elsewhere))


def decode_move(raw: bytes) -> SlotMove:
    epoch, source, destination, slots, stage, revision, elsewhere = orjson.loads(raw)
    others = tuple((path, shard) for path, shard in elsewhere)
    return SlotMove(epoch, source, destination, tuple(slots), MoveStage(stage), revision, others)
