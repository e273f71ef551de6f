"""Logical clusters that are born, used and deleted while shards die, and what may be left of them: nothing."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp

from kcpshard.settings import Settings
from kcpshard.storage import keyspace
from kcpshard.storage.rocksdb_engine import RocksdbEngine
from kcpshard.storage.verification import violations
from tests.robustness.tier import Tier
from tests.robustness.traffic import Traffic

STEPS = ("clusters.birth", "clusters.born", "clusters.burial", "clusters.buried", "clusters.clearing")
WITHIN_S = 240.0
_WORKSPACES = "apis/tenancy.kcp.io/v1alpha1/workspaces"


class Lives:
    """`ended` is how many workspaces were deleted and are gone; `paths` those that have been begun."""

    def __init__(self, traffic: Traffic, prefix: str) -> None:
        self._traffic, self._prefix = traffic, prefix
        self.paths: list[str] = []
        self.ended = 0

    async def run(self, number: int) -> None:
        async with self._traffic.session() as session:
            while not self._traffic.stopping:
                name = f"{self._prefix}-{number}-{len(self.paths)}"
                self.paths.append(name)
                await self._live(session, name)

    async def _live(self, session: aiohttp.ClientSession, name: str) -> None:
        document = {"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name}}
        await self._do(session, "POST", f"root/{_WORKSPACES}", (201, 409), document)
        for n in range(20):
            config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{n}"}}
            collection = f"root:{name}/api/v1/namespaces/default/configmaps"
            await self._do(session, "POST", collection, (201, 409), config_map)
        await self._do(session, "DELETE", f"root/{_WORKSPACES}/{name}", (200, 404))
        await self._do(session, "GET", f"root/{_WORKSPACES}/{name}", (404,))
        self.ended += 1

    async def _do(
        self, session: aiohttp.ClientSession, method: str, place: str, codes: tuple[int, ...], document: Any = None
    ) -> None:
        """Until one of those codes answers it; an answer that was lost makes the next one another."""
        url = f"{self._traffic.server}/clusters/{place}"
        async with asyncio.timeout(WITHIN_S):
            while True:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with asyncio.timeout(20), session.request(method, url, json=document) as answer:
                        if answer.status in codes:
                            return
                await asyncio.sleep(0.1)


def left_over(tier: Tier) -> list[str]:
    """Of the stopped tier: what its shards still have of logical clusters that are no more, and faults of the data."""
    found: list[str] = []
    for number in range(1, tier.shards + 1):
        engine = RocksdbEngine(str(tier.directory / f"shard-{number}" / "data"), Settings())
        try:
            found += [f"shard-{number}: {fault}" for fault in violations(engine)]
            for what in (keyspace.DEAD, keyspace.DEPARTED, keyspace.ARRIVING):
                keys = engine.scan(keyspace.META, what, keyspace.after_prefix(what), 10)
                found += [f"shard-{number}: {what.decode()} {key[len(what) :].hex()} is still there" for key, _ in keys]
            found += [f"shard-{number}: keys of {id_}, which is nobody's" for id_ in _nobodys(engine)]
        finally:
            engine.close()
    return found


def _nobodys(engine: RocksdbEngine) -> list[int]:
    alive = {
        int.from_bytes(key[-8:], "big")
        for key, _ in engine.scan(keyspace.META, keyspace.NAMES, keyspace.after_prefix(keyspace.NAMES), 1_000_000)
    }
    found: set[int] = set()
    for family in (keyspace.OBJECTS, keyspace.LOG, keyspace.VERSIONS):
        start = b""
        while pairs := engine.scan(family, start, keyspace.END, 1):  # one look for each logical cluster
            id_ = int.from_bytes(pairs[0][0][:8], "big")
            found.add(id_)
            start = keyspace.number(id_ + 1)
    return sorted(found - alive)
