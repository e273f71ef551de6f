"""What other logical clusters offer, asked as the installation's controllers: their Clusters, and the right to them."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from kcpsyncer.controllers.cluster_offers import Offer, access_review, ancestors, consumer_finalizer, provider_of
from kcpsyncer.kube_client import Failure, KubeClient, resource_path

_log = logging.getLogger(__name__)
Object = dict[str, Any]
_CLUSTERS = resource_path("cluster.example.dev", "v1alpha1", "clusters")
_REVIEWS = resource_path("authorization.k8s.io", "v1", "subjectaccessreviews")


class OfferedClusters:
    """Use it as an asynchronous context manager. `client` makes one for a logical cluster, not opened yet."""

    def __init__(self, client: Callable[[str], KubeClient]) -> None:
        self._client = client
        self._open: dict[str, KubeClient] = {}  # one per provider: there are few
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "OfferedClusters":
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._open.clear()
        await self._stack.aclose()

    async def of(self, provider: str) -> KubeClient:
        """Speaks to the provider, until we are closed."""
        if provider not in self._open:
            client = self._client(provider)
            self._open[provider] = client
            await self._stack.enter_async_context(client)
        return self._open[provider]

    async def find(self, consumer: str, provider: str, name: str) -> Offer:
        """Raises Failure if nobody can say. A Cluster that is offered to the provider is not its to offer."""
        client = await self.of(provider)
        try:
            cluster = await client.get(f"{_CLUSTERS}/{name}")
        except Failure as failure:
            if failure.code != 403:  # of a workspace that there is not
                raise
            return Offer(None, False)
        if cluster is None or provider_of(cluster):
            return Offer(None, False)
        return Offer(cluster, await self._may_use(client, consumer, name))

    async def inherited(self, consumer: str) -> list[tuple[str, Object]]:
        """What its ancestors offer it, the nearest first, each with the path of who does."""
        found: list[tuple[str, Object]] = []
        for above in ancestors(consumer):
            client = await self.of(above)
            try:
                clusters, _ = await client.list(_CLUSTERS)
            except Failure as failure:
                if failure.is_gone or failure.code == 403:
                    continue  # no clusters are defined there
                raise
            own = [each for each in clusters if not provider_of(each)]
            found += [(above, each) for each in own if await self._may_use(client, consumer, each["metadata"]["name"])]
        return found

    async def hold(self, consumer: str, provider: str, cluster: Object) -> None:
        """The provider's Cluster stays until the consumer has left it."""
        await self._set(provider, cluster, consumer_finalizer(consumer), wanted=True)

    async def release(self, consumer: str, provider: str, name: str) -> None:
        client = await self.of(provider)
        if (cluster := await client.get(f"{_CLUSTERS}/{name}")) is not None:
            await self._set(provider, cluster, consumer_finalizer(consumer), wanted=False)

    async def _set(self, provider: str, cluster: Object, finalizer: str, wanted: bool) -> None:
        metadata = cluster["metadata"]
        present = metadata.get("finalizers") or []
        if (finalizer in present) is wanted:
            return
        changed = [*present, finalizer] if wanted else [each for each in present if each != finalizer]
        body = {"metadata": {"finalizers": changed, "resourceVersion": metadata["resourceVersion"]}}
        client = await self.of(provider)
        await client.merge(f"{_CLUSTERS}/{metadata['name']}", body)

    async def _may_use(self, client: KubeClient, consumer: str, name: str) -> bool:
        answer = await client.create(_REVIEWS, access_review(consumer, name))
        return bool((answer.get("status") or {}).get("allowed"))
