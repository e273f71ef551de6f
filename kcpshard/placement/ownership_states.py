"""The states of slots and logical clusters at one shard, as tables. An entry that is missing is illegal.

slot:    FREE ── GRANT ──► GRANTED ── SEAL ──► SEALED (knows the new owner) ── GRANT ──► GRANTED …
cluster: follows its slot, unless it has a record of its own:
         ELSEWHERE ── ADOPT ──► ADOPTED ── SEAL ──► SEALED ── ADOPT ──► ADOPTED …      (moved in before its slot)
         HERE ── SEAL ──► SEALED                                                        (moved out before its slot)
         HERE ── KEEP ──► ADOPTED                                                       (stays when its slot moves)
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class SlotState(Enum):
    FREE = "free"  # never ours
    GRANTED = "granted"
    SEALED = "sealed"  # was ours


class ClusterState(Enum):
    ELSEWHERE = "elsewhere"  # no record; its slot is not granted to us
    HERE = "here"  # no record; its slot is
    ADOPTED = "adopted"
    SEALED = "sealed"


class Command(Enum):
    GRANT = "grant"
    SEAL = "seal"
    ADOPT = "adopt"
    KEEP = "keep"


SLOT_TRANSITIONS: Mapping[tuple[SlotState, Command], SlotState] = {
    (SlotState.FREE, Command.GRANT): SlotState.GRANTED,
    (SlotState.SEALED, Command.GRANT): SlotState.GRANTED,
    (SlotState.GRANTED, Command.SEAL): SlotState.SEALED,
}
CLUSTER_TRANSITIONS: Mapping[tuple[ClusterState, Command], ClusterState] = {
    (ClusterState.ELSEWHERE, Command.ADOPT): ClusterState.ADOPTED,
    (ClusterState.SEALED, Command.ADOPT): ClusterState.ADOPTED,
    (ClusterState.HERE, Command.KEEP): ClusterState.ADOPTED,
    (ClusterState.HERE, Command.SEAL): ClusterState.SEALED,
    (ClusterState.ADOPTED, Command.SEAL): ClusterState.SEALED,
}


class ClusterRecord(NamedTuple):
    """A logical cluster that does not follow its slot."""

    state: ClusterState  # ADOPTED or SEALED
    epoch: int  # of the command that made it so
    moved_to: int = 0  # of a sealed one
    revision: int = 0  # of a sealed one: nothing of it was committed here after that


class LastCommand(NamedTuple):
    """What a repeat of the last command on slots is answered with."""

    kind: str = ""
    refused: tuple[int, ...] = ()
    revision: int = 0


class OwnershipConflict(Exception):
    """A command that our records contradict. The keeper must look again; nothing was changed."""
