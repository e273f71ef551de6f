"""Restores what every logical cluster of the full set must hold (`verbs.birth_contents`) when it was deleted, or when
it was born before that was known. As kube-apiserver, which does this beside the API and not through it.
"""

from kcpshard.api.events import Change, EventType
from kcpshard.controllers.contract import Key, Keys
from kcpshard.storage.contract import LogicalCluster
from kcpshard.storage.durability import durable
from kcpshard.verbs.births import namespace_puts
from kcpshard.verbs.shard import Shard

NAME = "kubernetes-service-controller"
_DEFAULT: Key = ("namespaces", "", "default")


class BirthContentsController:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._kept = shard.birth.kept
        self._namespaces = {("namespaces", "", name): name for name in shard.birth.namespaces}
        self._all: Keys = (*self._namespaces, *self._kept)

    def see(self, cluster_id: int, change: Change) -> Keys:
        place = (change.group_resource, change.namespace, change.name)
        if change.type is EventType.DELETED:
            return (place,) if place in self._kept or place in self._namespaces else ()
        # Only when all objects are looked through: what was born complete needs no second look.
        return self._all if place == _DEFAULT and change.previous is None else ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        store, now_us = self._shard.store, self._shard.now_us()
        group_resource, namespace, name = key
        if store.pending(cluster, group_resource, namespace, name) is None:
            kept = self._kept.get((group_resource, namespace, name))
            puts = [kept.put(now_us)] if kept else namespace_puts(name, now_us, self._shard.contents)
            await durable(store.commit(cluster, puts).group)
        return 0
