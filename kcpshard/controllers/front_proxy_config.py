"""ConfigMap kube-system/extension-apiserver-authentication: by what an extension API server knows our requests.

It gives the authorities and the one name of the client certificate that this logical cluster's requests come with.
There is no `client-ca-file`: certificates of clients are somebody in one logical cluster only, which such a server
cannot tell; clients with certificates reach it through us. Kept where there are APIServices of other servers.
"""

from contextlib import suppress

import orjson

from kcpshard.api.errors import AlreadyExists
from kcpshard.controllers.resource_types import ResourceTypes
from kcpshard.controllers.system_client import SystemClient
from kcpshard.credentials.front_proxy import common_name
from kcpshard.credentials.keys import KeyRing
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"


class FrontProxyConfig:
    def __init__(self, shard: Shard, ring: KeyRing) -> None:
        self._shard, self._ring = shard, ring
        self._types = ResourceTypes(shard.catalog)
        self._client = SystemClient(shard, "extension-apiserver-authentication-controller")

    async def keep(self, cluster: LogicalCluster) -> None:
        """Have it say what is true now. Raises ApiError."""
        resource = self._types.stored_as(cluster, "configmaps")
        if resource is None or not self._ring.front_proxy_authorities:
            return
        wanted = self.data(cluster.id)
        value = self._shard.store.pending(cluster, "configmaps", NAMESPACE, NAME)
        if value is None:
            meta = {"name": NAME, "namespace": NAMESPACE}
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": wanted}
            with suppress(AlreadyExists):
                await self._client.create(cluster, resource, NAMESPACE, document)
            return
        present = orjson.loads(envelope.body(value)).get("data") or {}
        if any(present.get(key) != text for key, text in wanted.items()):
            await self._client.merge(cluster, resource, NAMESPACE, NAME, {"data": wanted})

    def data(self, cluster_id: int) -> dict[str, str]:
        return {
            "requestheader-allowed-names": f'["{common_name(cluster_id)}"]',
            "requestheader-client-ca-file": self._ring.front_proxy_authorities.decode(),
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        }
