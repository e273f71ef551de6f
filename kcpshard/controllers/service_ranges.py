"""ServiceCIDRs: each is marked as ready and protected, and goes only when no Service's address needs it.

An address needs a range if no other one holds it. Whether a Service's address is taken from one that goes is decided in
the commit that takes it, so nothing has to be waited for.
"""

from collections.abc import Sequence
from ipaddress import ip_address

import orjson

from kcpshard.admission.service_ranges import ADDRESSES, MANAGED_BY, RANGES, ServiceRange, ranges_of
from kcpshard.api.events import Change, EventType
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "service-cidr-controller"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_EVERY: Key = ("",)  # of those that go: what kept one may be gone
_MOST = 1000
_SLICE = 256
_READY = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
_NEEDED = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR",
}


class ServiceRanges:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._types = shard, ResourceTypes(shard.catalog)
        self._client = SystemClient(shard, NAME)

    def see(self, cluster_id: int, change: Change) -> Keys:
        if change.group_resource == RANGES:
            # The one that comes with a birth is ready as it is.
            is_born = change.type is EventType.ADDED and change.value is not None and b'"Ready"' in change.value
            return () if is_born else (_EVERY,) if change.type is EventType.DELETED else ((change.name,), _EVERY)
        return (_EVERY,) if change.group_resource == ADDRESSES and change.type is EventType.DELETED else ()

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        resource = self._types.stored_as(cluster, RANGES)
        if resource is None or resource.definition is not None:
            return 0
        values = self._shard.store.scan_pending(cluster, RANGES, "", _MOST)
        for obj in [orjson.loads(envelope.body(value)) for value in values]:
            is_going = bool(obj["metadata"].get("deletionTimestamp"))
            if is_going if key == _EVERY else obj["metadata"]["name"] == key[0]:
                await self._settle(cluster, obj, is_going, ranges_of(values))
        return 0

    async def _settle(
        self, cluster: LogicalCluster, obj: Object, is_going: bool, ranges: Sequence[ServiceRange]
    ) -> None:
        meta = obj["metadata"]
        finalizers = meta.get("finalizers") or []
        if is_going and not await self._is_needed(cluster, meta["name"], ranges):
            if FINALIZER in finalizers:
                await self._write(cluster, obj, [each for each in finalizers if each != FINALIZER])
        elif not is_going and FINALIZER not in finalizers:
            await self._write(cluster, obj, [*finalizers, FINALIZER])  # and then it is looked at again
        else:
            await self._say(cluster, obj, _NEEDED if is_going else _READY)

    async def _write(self, cluster: LogicalCluster, obj: Object, finalizers: list[str]) -> None:
        resource = self._types.stored_as(cluster, RANGES)
        if resource is not None:
            meta = {**obj["metadata"], "finalizers": finalizers}
            await self._client.update(cluster, resource, {**obj, "metadata": meta})

    async def _say(self, cluster: LogicalCluster, obj: Object, condition: dict[str, str]) -> None:
        resource = self._types.stored_as(cluster, RANGES)
        conditions = (obj.get("status") or {}).get("conditions") or []
        others = [each for each in conditions if each.get("type") != "Ready"]
        if resource is None or any(condition.items() <= each.items() for each in conditions):
            return
        told = {**condition, "lastTransitionTime": timestamp(self._shard.now_us())}
        await self._client.update(cluster, resource, {**obj, "status": {"conditions": [*others, told]}}, "status")

    async def _is_needed(self, cluster: LogicalCluster, name: str, ranges: Sequence[ServiceRange]) -> bool:
        """Whether an address lies in it and in no other range, also none that goes."""
        own = [each for each in ranges if each.name == name]
        others = [each for each in ranges if each.name != name]
        if all(any(_covers(other, each) for other in others) for each in own):
            return False
        after: tuple[str, str] | None = None
        while True:
            items = self._shard.store.scan_own(cluster, ADDRESSES, after, _SLICE)
            for item in items:
                address = ip_address(item.name)
                is_ours = envelope.labels(item.value).get(MANAGED_BY[0]) == MANAGED_BY[1]
                if is_ours and any(r.holds(address) for r in own) and not any(r.holds(address) for r in others):
                    return True
            if len(items) < _SLICE:
                return False
            after = (items[-1].namespace, items[-1].name)
            await self._shard.turn(cluster.path)


def _covers(wide: ServiceRange, narrow: ServiceRange) -> bool:
    return wide.holds(narrow.network.network_address) and wide.network.prefixlen <= narrow.network.prefixlen
