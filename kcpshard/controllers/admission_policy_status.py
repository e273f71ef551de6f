"""Type-checks ValidatingAdmissionPolicies and says in their status what was found, for which generation.

A policy is checked when its spec is new. One over kinds that are defined later is not checked again, as upstream.
"""

import orjson

from kcpshard.api.events import Change
from kcpshard.api.objects import Object
from kcpshard.controllers.contract import Key, Keys
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.type_checking import warnings
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAME = "validatingadmissionpolicy-status-controller"
POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
_NOTHING: Keys = ()


class AdmissionPolicyStatus:
    name = NAME

    def __init__(self, shard: Shard) -> None:
        self._shard, self._types = shard, ResourceTypes(shard.catalog)
        self._client = SystemClient(shard, "validatingadmissionpolicy-status-controller")

    def see(self, cluster_id: int, change: Change) -> Keys:
        return ((change.name,),) if change.group_resource == POLICIES else _NOTHING

    async def reconcile(self, cluster: LogicalCluster, key: Key) -> float:
        value = self._shard.store.pending(cluster, POLICIES, "", key[0])
        resource = self._types.stored_as(cluster, POLICIES)
        if value is None or resource is None:
            return 0
        policy: Object = orjson.loads(envelope.body(value))
        generation = policy["metadata"].get("generation", 0)
        if (policy.get("status") or {}).get("observedGeneration", 0) >= generation:
            return 0
        found = warnings(policy, lambda *place: self._find(cluster, *place), self._params(cluster, policy))
        checking = {"expressionWarnings": found} if found else {}
        status = {**(policy.get("status") or {}), "observedGeneration": generation, "typeChecking": checking}
        await self._client.update(cluster, resource, {**policy, "status": status}, "status")
        return 0

    def _find(self, cluster: LogicalCluster, group: str, version: str, plural: str) -> Resource | None:
        return self._shard.catalog.find(cluster, group, version, plural)

    def _params(self, cluster: LogicalCluster, policy: Object) -> Resource | None:
        kind = policy["spec"].get("paramKind")
        if kind is None:
            return None
        found = self._types.of_kind(cluster, kind["apiVersion"], kind["kind"])
        return found and self._find(cluster, found.group, found.version, found.plural)
