"""An Upstream that no shard feeds but a test."""

from typing import Any

import orjson

from kcpshard.rpc import shard_pb2 as pb
from kcpsyncer.stream.shard_stream import ShardStream
from kcpsyncer.stream.upstream import Shards, Type, Upstream

PATH, INCARNATION = "root:a", "i"


class FedUpstream(Upstream):
    def __init__(self, name: str = "east", uid: str = "7c9f") -> None:
        super().__init__(pb.SyncAgent(cluster=PATH, name=name, uid=uid), Shards(()), "test")
        self.stream = ShardStream(lambda: None, self.agent, "test", self)
        self.stream.number = 1

    def start(self, *types: Type) -> None:
        """Its logical cluster is here, and there is nothing placed yet."""
        self.subscribe(types)
        asked = self.opened(self.stream)
        here = pb.SyncCluster(path=PATH, id=1, incarnation=INCARNATION, state=pb.SYNC_HERE)
        self.received(self.stream, pb.SyncDownBatch(clusters=[here], complete=asked.number))

    def put(self, resource: str, obj: dict[str, Any] | None, name: str = "", namespace: str = "default") -> None:
        metadata = obj["metadata"] if obj is not None else {"name": name, "namespace": namespace}
        plural, _, group = resource.partition(".")
        said = pb.SyncObject(
            cluster_id=1, group=group, resource=plural, namespace=metadata.get("namespace") or "",
            name=metadata["name"], revision=self.stream.revision, object=orjson.dumps(obj) if obj is not None else b"",
        )  # fmt: skip
        self.stream.revision += 1
        self.received(self.stream, pb.SyncDownBatch(objects=[said]))
