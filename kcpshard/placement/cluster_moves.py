"""Moves of logical clusters as the keeper writes them down: the one under way, and those that were asked for. Pure.

What a drain or rebalancing wants moved is not here: it is found anew from what the shards say.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

ASKED, DRAIN, REBALANCE = "asked", "drain", "rebalance"
PLACE = "place"  # of a path where nothing lives: what is born there is to be born at the destination


class WantedMove(NamedTuple):
    path: str
    destination: int
    pin: bool = False
    reason: str = ASKED


class ClusterMove(NamedTuple):
    """Under way: whoever has taken it answers a repeat of the epoch like the first time."""

    epoch: int
    path: str
    source: int
    destination: int
    pin: bool
    reason: str


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """What is durable. A path is asked for once: the last wish counts. `epoch` is the newest given to a move, whatever
    became of it: shards may have it in their records."""

    active: ClusterMove | None = None
    asked: tuple[WantedMove, ...] = ()
    epoch: int = 0

    def encode(self) -> bytes:
        return orjson.dumps((self.active and tuple(self.active), [tuple(each) for each in self.asked], self.epoch))

    def with_asked(self, wanted: Iterable[WantedMove]) -> "MoveRecord":
        found = {each.path: each for each in self.asked}
        for each in wanted:
            found.pop(each.path, None)
            found[each.path] = each
        return replace(self, asked=tuple(found.values()))

    def without(self, paths: Iterable[str]) -> "MoveRecord":
        gone = frozenset(paths)
        return replace(self, asked=tuple(each for each in self.asked if each.path not in gone))

    def begun(self, move: ClusterMove) -> "MoveRecord":
        return replace(self.without((move.path,)), active=move, epoch=move.epoch)

    def at_epoch(self, epoch: int) -> "MoveRecord":
        return replace(self, epoch=epoch)

    def ended(self) -> "MoveRecord":
        return replace(self, active=None)


def decode_record(raw: bytes | None) -> MoveRecord:
    if raw is None:
        return MoveRecord()
    active, asked, *rest = orjson.loads(raw)
    epoch = rest[0] if rest else active[0] if active else 0  # the first records had none of their own
    return MoveRecord(ClusterMove(*active) if active else None, tuple(WantedMove(*each) for each in asked), epoch)
