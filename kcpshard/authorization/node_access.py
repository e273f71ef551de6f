"""Keeps what belongs to which node for each logical cluster in which a node has asked, and decides about nodes.

As with policies: read when it is first needed, from the pending state, and exact with every accepted write. Where no
node asks nothing is kept.
"""

from collections.abc import Sequence

from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.loading import Kept, Source
from kcpshard.authorization.node_graph import TYPES, NodeGraph
from kcpshard.authorization.node_rules import decide
from kcpshard.authorization.policy import Decision
from kcpshard.authorization.rules import Rule
from kcpshard.storage.contract import LogicalCluster

_CACHED = "nodes"  # key in LogicalCluster.cached
# Places that a graph may be behind in before it is dropped and read anew, in slices: as many as a slice has.
_MOST_STALE = 128


class _Entry(Kept):
    __slots__ = ("graph",)

    def __init__(self) -> None:
        self.graph = NodeGraph()
        super().__init__(self.graph.put)


class NodeAccess:
    """`rules`: what every node may."""

    def __init__(self, source: Source, rules: Sequence[Rule]) -> None:
        self._source, self._rules = source, rules

    def decide(self, cluster: LogicalCluster, node: str, wanted: Attributes) -> Decision:
        """Raises NotDurable while a large logical cluster is being read."""

        def related(group_resource: str, namespace: str, name: str) -> bool:
            return self._graph(cluster).is_related(node, group_resource, namespace, name)

        return decide(node, wanted, self._rules, related)

    def written(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> None:
        kept = cluster.cached.get(_CACHED)
        if type(kept) is not _Entry:
            return
        kept.stale[group_resource, namespace, name] = None
        if len(kept.stale) > _MOST_STALE and kept.loading is None:
            self.undone(cluster)

    def undone(self, cluster: LogicalCluster) -> None:
        cluster.cached.pop(_CACHED, None)

    def _graph(self, cluster: LogicalCluster) -> NodeGraph:
        found = cluster.cached.get(_CACHED)
        kept = found if type(found) is _Entry else self._load(cluster)
        kept.catch_up(self._source, cluster)
        return kept.graph

    def _load(self, cluster: LogicalCluster) -> _Entry:
        kept = cluster.cached[_CACHED] = _Entry()
        kept.load(self._source, cluster, TYPES, lambda: None)
        return kept


__all__ = ["TYPES", "NodeAccess"]
