from types import SimpleNamespace
from typing import Any, cast

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.syncing.usage import may_use


def test_a_name_means_the_cluster_registered_beside_the_object() -> None:
    agent = pb.SyncAgent(cluster="root:admin", name="east", uid="u")
    here, elsewhere = cast(Any, SimpleNamespace(path="root:admin")), cast(Any, SimpleNamespace(path="root:tenant"))
    shard = cast(Any, None)
    assert may_use(shard, here, "east", agent)
    assert not may_use(shard, here, "west", agent) and not may_use(shard, elsewhere, "east", agent)
