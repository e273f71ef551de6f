"""Events that controllers write about objects, in the object's namespace; `default` for cluster-scoped ones.

Said again within a few minutes, the same is said once: a controller looks again and again.
"""

from collections import OrderedDict

from kcpshard.api.errors import ApiError
from kcpshard.api.objects import Object, timestamp
from kcpshard.controllers.system_client import SystemClient
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

_REMEMBERED = 512
_SILENCE_US = 300_000_000


class EventRecorder:
    def __init__(self, shard: Shard, client: SystemClient, component: str) -> None:
        self._shard, self._client, self._component = shard, client, component
        self._said: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    async def warn(self, cluster: LogicalCluster, obj: Object, reason: str, message: str) -> None:
        """A refusal (the namespace is going, say) is nobody's loss."""
        now_us, meta = self._shard.now_us(), obj["metadata"]
        if self._is_known((meta["uid"], reason, message), now_us):
            return
        resource = self._shard.catalog.find(cluster, "", "v1", "events")
        assert resource is not None, "core types are always served"
        namespace = meta.get("namespace") or "default"
        try:
            await self._client.create(
                cluster, resource, namespace, self._event(obj, namespace, reason, message, now_us)
            )
        except ApiError:
            return

    def _is_known(self, key: tuple[str, str, str], now_us: int) -> bool:
        said = self._said.pop(key, None)
        is_known = said is not None and now_us - said < _SILENCE_US
        self._said[key] = said if said is not None and is_known else now_us
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return is_known

    def _event(self, obj: Object, namespace: str, reason: str, message: str, now_us: int) -> Object:
        meta, when = obj["metadata"], timestamp(now_us)
        about = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "uid": meta["uid"]}
        about |= {"resourceVersion": meta["resourceVersion"]}
        if meta.get("namespace"):
            about["namespace"] = meta["namespace"]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{now_us * 1000:x}", "namespace": namespace},
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "firstTimestamp": when,
            "lastTimestamp": when,
            "count": 1,
            "type": "Warning",
            "reportingComponent": self._component,
        }
