"""This replica's Lease among those of the others: renewed while we work, given back when we stop.

Who cannot renew is no member, not even to itself, and works on nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kcpsyncer.controllers.division import is_renewed, lease, members, owner
from kcpsyncer.informer import Informer
from kcpsyncer.kube_client import Failure, KubeClient, resource_path

_log = logging.getLogger(__name__)
Object = dict[str, Any]
NAMESPACE = "default"
RENEW_S = 3.0
DURATION_S = 12
_LEASES = resource_path("coordination.k8s.io", "v1", "leases", NAMESPACE)


class Membership:
    """`changed` is called whenever `owns` may answer otherwise."""

    def __init__(self, client: KubeClient, name: str, changed: Callable[[], None]) -> None:
        self._client, self._name, self._changed = client, name, changed
        self._leases = Informer(client, _LEASES, self._lease_changed)
        self._seen: dict[str, float] = {}
        self._renewed = float("-inf")  # when our own lease was last accepted
        self._members: list[str] = []

    def owns(self, item: str) -> bool:
        return owner(item, self._members) == self._name

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._leases.run())
                while True:
                    await self._renew()
                    self._count()
                    await asyncio.sleep(RENEW_S)
        finally:
            self._members = []
            await asyncio.shield(self._give_back())

    async def _renew(self) -> None:
        try:
            began = asyncio.get_running_loop().time()
            made = lease(self._name, NAMESPACE, DURATION_S, datetime.now(UTC))
            await self._client.apply(f"{_LEASES}/{self._name}", made)
            self._renewed = began
        except Failure as failure:
            _log.warning("the lease of %s cannot be renewed: %s", self._name, failure)

    async def _give_back(self) -> None:
        try:
            await self._client.delete(f"{_LEASES}/{self._name}")
        except Failure as failure:
            _log.info("the lease of %s runs out by itself: %s", self._name, failure)

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._seen.pop((old or {})["metadata"]["name"], None)
        elif is_renewed(old, new):
            self._seen[new["metadata"]["name"]] = asyncio.get_running_loop().time()
        self._count()

    def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        found = sorted(set(members(self._leases.objects.values(), self._seen, now)) - {self._name})
        if now - self._renewed <= DURATION_S:
            found.append(self._name)
        else:
            found = []  # others act for us by now
        if found != self._members:
            self._members = found
            self._changed()
