"""A watch of all logical clusters at once, beside those of each: it tells the same, in order, on one connection."""

import json
from contextlib import suppress
from itertools import pairwise

import aiohttp

from tests.robustness.history import History
from tests.robustness.traffic import Traffic

Event = tuple[int, str, str, str]  # revision, logical cluster, type, name


class Everywhere:
    """`run` until cancelled; it begins at `start`, a revision."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.start = 0
        self.events: list[Event] = []
        self.faults: list[str] = []
        self._wanted = frozenset(traffic.clusters)

    async def begin(self) -> None:
        url = f"{self._traffic.server}/clusters/*/api/v1/configmaps?limit=1"
        async with self._traffic.session() as session, session.get(url) as answer:
            self.start = int((await answer.json())["metadata"]["resourceVersion"])

    async def run(self) -> None:
        query = f"watch=1&allowWatchBookmarks=true&resourceVersion={self.start}"
        url = f"{self._traffic.server}/clusters/*/api/v1/configmaps?{query}"
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._traffic.session() as session, session.get(url) as answer:
                async for line in answer.content:
                    self._note(json.loads(line))
        self.faults.append("the watch of all logical clusters ended")

    def _note(self, event: dict[str, object]) -> None:
        obj = event["object"]
        assert isinstance(obj, dict)
        if event["type"] == "ERROR":
            self.faults.append(f"the watch of all logical clusters was told {obj}")
            return
        meta = obj["metadata"]
        if event["type"] != "BOOKMARK" and meta.get("labels", {}).get("origin"):
            where = meta["annotations"]["kcp.io/cluster"]
            if where in self._wanted:
                self.events.append((int(meta["resourceVersion"]), where, str(event["type"]), meta["name"]))

    def has_seen(self, history: History) -> bool:
        newest = max((r for objects in history.final.values() for r, _ in objects.values()), default=0)
        return bool(self.events) and self.events[-1][0] >= newest

    def breaches(self, history: History) -> list[str]:
        """Judged by what single watches saw of the same time."""
        found = list(self.faults)
        seen = [event[0] for event in self.events]
        if any(before > after for before, after in pairwise(seen)):
            found.append("the watch of all logical clusters was out of order")
        if len(set(self.events)) != len(self.events):
            found.append("the watch of all logical clusters repeated an event")
        alone = {
            (e.revision, watch.cluster, e.type, e.name)
            for watch in history.watches
            for e in watch.events
            if e.type != "BOOKMARK" and e.revision > self.start
        }
        if missing := alone - set(self.events):
            found.append(f"the watch of all logical clusters lost {len(missing)} events, such as {min(missing)}")
        if more := set(self.events) - alone:
            found.append(f"the watch of all logical clusters told {len(more)} that no other did, such as {min(more)}")
        return found
