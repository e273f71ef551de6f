"""Ownership on disk: the meta records of one shard, read and written.

ownership/record         JSON: number, data id, epoch, the last command
ownership/slots          the slot table: our number GRANTED, another SEALED and moved there, 0 FREE
ownership/exceptions     bitmap of the slots that have cluster records
ownership/clusters/SLOT  JSON: path → [state, epoch, moved to, revision]
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NewType, Protocol

import orjson

from kcpshard.api.slots import decode_slots, decode_table, empty_table, encode_slots, encode_table, slot_of
from kcpshard.placement.ownership_states import ClusterRecord, ClusterState, LastCommand
from kcpshard.storage.contract import Group

RECORD_KEY = b"ownership/record"
TABLE_KEY = b"ownership/slots"
EXCEPTIONS_KEY = b"ownership/exceptions"
CLUSTERS_PREFIX = b"ownership/clusters/"

DataId = NewType("DataId", bytes)
Items = dict[bytes, bytes | None]


class MetaStore(Protocol):
    """The part of ObjectStore that placement's records need."""

    def get_meta(self, key: bytes) -> bytes | None: ...
    def put_meta(self, items: Mapping[bytes, bytes | None]) -> Group: ...


class DamagedOwnership(Exception):
    """The records cannot be read; the text is a sentence for the operator."""


@dataclass(slots=True)
class OwnershipRecords:
    """All that ownership remembers over a restart."""

    number: int
    data_id: DataId = DataId(b"")  # empty: a directory nobody has begun
    epoch: int = 0
    last: LastCommand = field(default_factory=LastCommand)
    forgotten_epoch: int = 0  # the newest among cluster records that were dropped
    table: "array[int]" = field(default_factory=empty_table)
    clusters: dict[str, ClusterRecord] = field(default_factory=dict)

    def copy(self) -> "OwnershipRecords":
        """To change: a command that cannot be written leaves the original as it was."""
        return replace(self, table=self.table[:], clusters=dict(self.clusters))

    def items(self, cluster_slots: set[int], with_table: bool = True) -> Items:
        """What to write; of cluster records only those in `cluster_slots`."""
        found: Items = {RECORD_KEY: self._record()}
        if with_table:
            found[TABLE_KEY] = encode_table(self.table)
        if cluster_slots:
            found[EXCEPTIONS_KEY] = encode_slots({slot_of(path) for path in self.clusters})
        for slot in cluster_slots:
            found[_clusters_key(slot)] = self._cluster_records(slot)
        return found

    def _record(self) -> bytes:
        return orjson.dumps(
            {
                "number": self.number,
                "dataId": self.data_id.hex(),
                "epoch": self.epoch,
                "last": tuple(self.last),
                "forgottenEpoch": self.forgotten_epoch,
            }
        )

    def _cluster_records(self, slot: int) -> bytes | None:
        found = {p: [r.state.value, *r[1:]] for p, r in self.clusters.items() if slot_of(p) == slot}
        return orjson.dumps(found) if found else None


def read_records(store: MetaStore, number: int) -> OwnershipRecords:
    """Raises DamagedOwnership. A directory without records gives records without a data id."""
    raw = store.get_meta(RECORD_KEY)
    if raw is None:
        return OwnershipRecords(number)
    try:
        document = orjson.loads(raw)
        kind, refused, revision = document["last"]
        return OwnershipRecords(
            document["number"],
            DataId(bytes.fromhex(document["dataId"])),
            document["epoch"],
            LastCommand(kind, tuple(refused), revision),
            document["forgottenEpoch"],
            decode_table(store.get_meta(TABLE_KEY) or b""),
            _read_clusters(store),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedOwnership(f"the ownership records of this data directory are damaged: {error}") from error


def _read_clusters(store: MetaStore) -> dict[str, ClusterRecord]:
    found: dict[str, ClusterRecord] = {}
    bitmap = store.get_meta(EXCEPTIONS_KEY)
    for slot in decode_slots(bitmap) if bitmap else ():
        for path, (state, *rest) in orjson.loads(store.get_meta(_clusters_key(slot)) or b"{}").items():
            found[path] = ClusterRecord(ClusterState(state), *rest)
    return found


def _clusters_key(slot: int) -> bytes:
    return CLUSTERS_PREFIX + str(slot).encode()
