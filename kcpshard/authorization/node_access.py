"""Keeps what belongs to which node for each logical cluster in which a node has asked, and decides about nodes.

As with policies: read when it is first needed, from the pending state, and exact with every accepted write. Where no
node asks nothing is kept.
"""

from collections.abc import Sequence

import orjson

from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.loading import Loading, Source
from kcpshard.authorization.node_graph import TYPES, NodeGraph
from kcpshard.authorization.node_rules import decide
from kcpshard.authorization.policy import Decision
from kcpshard.authorization.rules import Rule
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable

_CACHED = "nodes"  # key in LogicalCluster.cached
# Places that a graph may be behind in before it is dropped and read anew, in slices: as many as a slice has.
_MOST_STALE = 128


class _Kept:
    """A graph on its way or in force, and the places in which it is behind."""

    __slots__ = ("graph", "loading", "stale")

    def __init__(self) -> None:
        self.graph = NodeGraph()
        self.loading: Loading | None = None
        self.stale: dict[tuple[str, str, str], None] = {}


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
        if type(kept) is not _Kept:
            return
        kept.stale[group_resource, namespace, name] = None
        if len(kept.stale) > _MOST_STALE and kept.loading is None:
            self.undone(cluster)

    def undone(self, cluster: LogicalCluster) -> None:
        cluster.cached.pop(_CACHED, None)

    def _graph(self, cluster: LogicalCluster) -> NodeGraph:
        found = cluster.cached.get(_CACHED)
        kept = found if type(found) is _Kept else self._load(cluster)
        if kept.loading is not None:
            raise NotDurable(kept.loading)
        if kept.stale:
            self._refresh(cluster, kept)
        return kept.graph

    def _load(self, cluster: LogicalCluster) -> _Kept:
        kept = cluster.cached[_CACHED] = _Kept()
        loading = Loading(self._source, cluster, TYPES, kept.graph.put)
        if not loading.read():
            kept.loading = loading
            loading.when_durable(lambda: setattr(kept, "loading", None))
            loading.go_on()
        return kept

    def _refresh(self, cluster: LogicalCluster, kept: _Kept) -> None:
        stale, kept.stale = kept.stale, {}
        for group_resource, namespace, name in stale:
            value = self._source.pending_own(cluster, group_resource, namespace, name)
            kept.graph.put(
                group_resource, namespace, name, None if value is None else orjson.loads(envelope.body(value))
            )


__all__ = ["TYPES", "NodeAccess"]
