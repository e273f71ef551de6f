"""The shard map as objects that administrators can read: Shards of core.kcp.io/v1alpha1 in system:shards.

They show the map, they are not the map: the keeper writes them after each change, and again when it starts.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from kcpshard.api.objects import timestamp
from kcpshard.api.slots import decode_table
from kcpshard.placement.shard_map import KEEPER_CLUSTER
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster, ObjectStore, Put
from kcpshard.storage.envelope import body, encode_object
from kcpshard.verbs.births import first_objects

API_VERSION = "core.kcp.io/v1alpha1"
GROUP_RESOURCE = "shards.core.kcp.io"


class ShardObjects:
    def __init__(self, store: ObjectStore, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us

    def write(self, shard_map: pb.ShardMap) -> None:
        """Bring the objects in line with the map: one commit, none if nothing differs."""
        cluster = self._store.pending_cluster(KEEPER_CLUSTER)
        if cluster is None:
            cluster, _ = self._store.create_cluster(KEEPER_CLUSTER, first_objects(self._now_us()))
        puts = [put for name, fields in contents(shard_map) if (put := self._put(cluster, name, fields))]
        if puts:
            self._store.commit(cluster, puts)

    def _put(self, cluster: LogicalCluster, name: str, fields: dict[str, Any]) -> Put | None:
        known = self._store.pending(cluster, GROUP_RESOURCE, "", name)
        before = orjson.loads(body(known)) if known else None
        if before and all(before.get(key) == value for key, value in fields.items()):
            return None
        uid = before["metadata"]["uid"] if before else str(uuid.uuid4())
        created = before["metadata"]["creationTimestamp"] if before else timestamp(self._now_us())
        metadata = {"name": name, "uid": uid, "creationTimestamp": created}
        document = {"apiVersion": API_VERSION, "kind": "Shard", "metadata": metadata, **fields}
        json, hole, annotations = encode_object(document)
        return Put(GROUP_RESOURCE, "", name, json, hole, annotations, uid, API_VERSION, {}, {})


def contents(shard_map: pb.ShardMap) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name, spec and status of each shard's object. Pure."""
    slots = Counter(decode_table(shard_map.slots))
    for entry in shard_map.shards:
        spec = {"weight": entry.weight, "cordoned": entry.cordoned, "draining": entry.draining}
        status = {
            "number": entry.number,
            "address": entry.address,
            "adminAddress": entry.admin_address,
            "slots": slots[entry.number],
            "ownershipEpoch": entry.ownership_epoch,
        }
        yield entry.name, {"spec": spec, "status": status}
