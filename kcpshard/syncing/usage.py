"""Whether what is placed on a name in one logical cluster is for the Cluster that an agent serves."""

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard


def may_use(_shard: Shard, cluster: LogicalCluster, name: str, agent: pb.SyncAgent) -> bool:
    """A name means the Cluster that is registered under it in the same logical cluster."""
    return cluster.path == agent.cluster and name == agent.name
