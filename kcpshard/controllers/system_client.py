"""How controllers read and write: through the verbs, as any client would, under an identity of their own.

Every call returns when what it did is durable. Raises ApiError, NotOwned, ReadOnly.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.api.objects import Object
from kcpshard.api.requests import Answer, Identity
from kcpshard.api.unconverted import NotConverted
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster, NotDurable
from kcpshard.storage.durability import durable
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard


class SystemClient:
    """`account` is the service account in kube-system under which kube-controller-manager runs the same controller."""

    def __init__(self, shard: Shard, account: str) -> None:
        self._shard = shard
        username = f"system:serviceaccount:kube-system:{account}"
        self._identity = Identity(username, "", ("system:masters", "system:authenticated")).encode()

    async def create(self, cluster: LogicalCluster, resource: Resource, namespace: str, obj: Object) -> None:
        request = self._request(pb.CREATE, cluster, resource, namespace, "")
        request.body = orjson.dumps(obj)
        await self._ask(request)

    async def update(self, cluster: LogicalCluster, resource: Resource, obj: Object, subresource: str = "") -> None:
        """With the resourceVersion in `obj`: anything written meanwhile makes it a Conflict."""
        meta = obj["metadata"]
        request = self._request(pb.UPDATE, cluster, resource, meta.get("namespace", ""), meta["name"])
        request.subresource, request.body = subresource, orjson.dumps(obj)
        await self._ask(request)

    async def merge(
        self, cluster: LogicalCluster, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> None:
        request = self._request(pb.PATCH, cluster, resource, namespace, name)
        request.patch_type, request.body = pb.MERGE_PATCH, orjson.dumps(patch)
        await self._ask(request)

    async def delete(
        self, cluster: LogicalCluster, resource: Resource, namespace: str, name: str, options: Mapping[str, Any]
    ) -> None:
        request = self._request(pb.DELETE, cluster, resource, namespace, name)
        request.body = orjson.dumps({"apiVersion": "v1", "kind": "DeleteOptions", **options})
        await self._ask(request)

    async def delete_collection(self, cluster: LogicalCluster, resource: Resource, namespace: str) -> None:
        """What its objects own goes with them."""
        request = self._request(pb.DELETE_COLLECTION, cluster, resource, namespace, "")
        request.body = b'{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}'
        await self._ask(request)

    def _request(
        self, verb: pb.Verb.ValueType, cluster: LogicalCluster, resource: Resource, namespace: str, name: str
    ) -> pb.Request:
        return pb.Request(
            verb=verb,
            cluster=cluster.path,
            group=resource.group,
            version=resource.version,
            resource=resource.plural,
            namespace=namespace,
            name=name,
            identity=self._identity,
            user_agent="kcpshard",  # the field manager of what controllers write
        )

    async def _ask(self, request: pb.Request) -> None:
        while True:
            try:
                outcome: Outcome = dispatch(self._shard, request)
                if not isinstance(outcome, Answer | AfterSync):
                    assert asyncio.iscoroutine(outcome)
                    outcome = await outcome
                break
            except NotDurable as pending:
                await durable(pending.group)
            except NotConverted as reason:
                await reason.settle()
        if isinstance(outcome, AfterSync):
            await durable(outcome.group)
