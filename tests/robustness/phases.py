"""Phases of a robustness run: traffic from a clean beginning to a judged end, and what the tier suffers meanwhile."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.robustness import powerloss
from tests.robustness.checks import judge
from tests.robustness.everywhere import Everywhere
from tests.robustness.history import History
from tests.robustness.tier import Tier
from tests.robustness.traffic import Traffic

READS = ("get", "list")
DEATHS_WITHIN_S = 90.0  # for the deaths at one failpoint


@dataclass(frozen=True)
class Load:
    """What the clients of every phase do."""

    clusters: int
    clients: int
    pause_s: float
    seed: int
    out: Path | None
    births_pause_s: float = 0.1


class Phase:
    """Traffic over logical clusters of its own; `end` returns the promises broken."""

    def __init__(self, tier: Tier, load: Load, name: str) -> None:
        server, token, authority = tier.access()
        self.tier, self.load, self.name = tier, load, name
        clusters = [f"{name}-{n}" for n in range(load.clusters)]
        self.traffic = Traffic(server, token, authority, clusters, load.seed)
        self.watches: list[asyncio.Task[None]] = []
        self.clients: list[asyncio.Task[None]] = []
        self.everywhere: Everywhere | None = None

    async def begin(self, group: asyncio.TaskGroup) -> None:
        await self.traffic.give_life()
        for number, cluster in enumerate(self.traffic.clusters * 2):
            self.watches.append(group.create_task(self.traffic.run_watch(number, cluster)))
        await asyncio.sleep(0.5)
        for number in range(self.load.clients):
            self.clients.append(group.create_task(self.traffic.run_client(number, self.load.pause_s)))
        births = self.traffic.run_births(f"{self.name}-born", self.load.births_pause_s)
        self.clients.append(group.create_task(births))
        await asyncio.sleep(1)

    async def watch_everywhere(self, group: asyncio.TaskGroup) -> None:
        self.everywhere = Everywhere(self.traffic)
        await self.everywhere.begin()
        self.watches.append(group.create_task(self.everywhere.run()))

    async def end(self) -> list[str]:
        self.traffic.stopping = True
        await asyncio.wait(self.clients)
        await self.traffic.finish()
        if self.everywhere is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    while not self.everywhere.has_seen(self.traffic.history):
                        await asyncio.sleep(0.1)
        for task in self.watches:
            task.cancel()
        history = self.traffic.history
        breaches = judge(history)
        if self.everywhere is not None:
            breaches += self.everywhere.breaches(history)
            print(f"    {len(self.everywhere.events)} events of all logical clusters", flush=True)
        if self.load.out:
            self.load.out.mkdir(parents=True, exist_ok=True)
            history.save(self.load.out / f"{self.name}.json")
        print(f"{self.name}: {summary(history)}; {len(breaches)} breaches", flush=True)
        for breach in breaches[:20]:
            print(f"    {breach}", flush=True)
        return breaches


def summary(history: History) -> str:
    outcomes = Counter(f"{'read' if o.verb in READS else 'write'} {o.outcome}" for o in history.operations)
    events = sum(len(w.events) for w in history.watches)
    relists, reconnects = sum(w.relists for w in history.watches), sum(w.reconnects for w in history.watches)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    births = Counter(birth.outcome for birth in history.births)
    return f"{said}, births {dict(births)}, {events} watch events, {relists} relists, {reconnects} reconnects"


async def kill_phase(tier: Tier, load: Load, name: str, kills: list[str], chance: random.Random) -> list[str]:
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, name)
        await phase.begin(group)
        for kind in kills:
            await asyncio.to_thread(tier.kill, kind, chance)
            await asyncio.sleep(0.3 + chance.random())
        await asyncio.to_thread(tier.wait_ready)
        await asyncio.sleep(1)
        return await phase.end()


async def pause_phase(tier: Tier, load: Load, kind: str, seconds: float, chance: random.Random) -> list[str]:
    """A process stops as if its machine had been suspended, and goes on as if nothing had happened."""
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, f"pause-{kind}")
        await phase.begin(group)
        victim = chance.choice(tier.members(kind))
        victim.suspend()
        await asyncio.sleep(seconds)
        victim.resume()
        await asyncio.sleep(2)
        return await phase.end()


class Deaths:
    """Counts processes of one kind that were replaced."""

    def __init__(self, tier: Tier, kind: str) -> None:
        self._tier, self._kind = tier, kind
        self._known = {p.pid for p in tier.members(kind)}
        self.count = 0

    async def reach(self, wanted: int, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while self.count < wanted and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            self.look()

    def look(self) -> None:
        now = {p.pid for p in self._tier.members(self._kind)}
        self.count += len(now - self._known)
        self._known |= now


async def failpoint_phase(tier: Tier, load: Load, failpoint: str, action: str, deaths: int) -> list[str]:
    """The shards kill themselves at the named point, again and again, until it has happened often enough."""
    name = "fp-" + failpoint.replace(".", "-").replace("_", "-")
    tier.stop()
    await asyncio.to_thread(tier.start, {"KCP_FAILPOINTS": f"{failpoint}={action}"}, False)
    async with asyncio.TaskGroup() as group:
        died = Deaths(tier, "shard")
        phase = Phase(tier, load, name)
        await asyncio.to_thread(tier.wait_ready)
        await phase.begin(group)
        await died.reach(deaths, DEATHS_WITHIN_S)
        await asyncio.to_thread(tier.restart)
        await asyncio.sleep(1)
        breaches = await phase.end()
    print(f"    {failpoint}: {died.count} deaths", flush=True)
    return breaches if died.count >= deaths else [*breaches, f"{failpoint}: only {died.count} deaths"]


async def placement_phase(tier: Tier, load: Load, failpoint: str, deaths: int, shards_at_most: int) -> list[str]:
    """Shards are added, one after the other, while those that move slots die at the named point. A tier of its own."""
    tier.start()
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, "fp-" + failpoint.replace(".", "-").replace("_", "-"))
        await phase.begin(group)
        count = 0
        while count < deaths and tier.shards < shards_at_most:
            tier.stop()
            tier.shards += 1
            await asyncio.to_thread(tier.start, {"KCP_FAILPOINTS": f"{failpoint}=kill%0.7"}, False)
            died = Deaths(tier, "shard")
            await died.reach(deaths - count, 8)
            count += died.count
        await asyncio.to_thread(tier.restart)
        await asyncio.sleep(2)
        breaches = await phase.end()
    print(f"    {failpoint}: {count} deaths, {tier.shards} shards in the end", flush=True)
    breaches += await asyncio.to_thread(unequal_shares, tier)
    tier.stop()
    return breaches if count >= deaths else [*breaches, f"{failpoint}: only {count} deaths"]


def unequal_shares(tier: Tier, within_s: float = 30) -> list[str]:
    """After all those deaths the slots must have come to where they belong."""
    deadline = time.monotonic() + within_s
    while True:
        found = tier.slots()
        if sum(found) == 16384 and len(found) == tier.shards and max(found) - min(found) <= 1:
            return []
        if time.monotonic() > deadline:
            return [f"slots of {tier.shards} shards after the moves: {found}"]
        time.sleep(0.5)


async def restart_phase(tier: Tier, load: Load, restarts: int) -> list[str]:
    """Shards are killed one after the other; no watch connection may break and no front may list because of it."""
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, "restarts")
        phase.traffic.lists_allowed = False
        await phase.begin(group)
        await phase.traffic.without_lists()
        before, connected = tier.front_counts("kcp_front_shard_lists_total"), phase.traffic.reconnects()
        for number in range(restarts):
            victims = tier.members("shard")
            died = Deaths(tier, "shard")
            victims[number % len(victims)].kill()
            await died.reach(1, 30)
            await asyncio.to_thread(tier.wait_shards)
            await asyncio.sleep(0.5)
        lists = tier.front_counts("kcp_front_shard_lists_total") - before
        broken = phase.traffic.reconnects() - connected
        resumed = tier.front_counts("kcp_front_shard_watches_resumed_total")
        breaches = await phase.end()
    print(
        f"    {restarts} restarts, {lists:g} lists, {broken} watch connections broken, {resumed:g} resumed", flush=True
    )
    if lists:
        breaches.append(f"fronts sent {lists:g} lists for {restarts} restarts of shards")
    if broken:
        breaches.append(f"{broken} watch connections of clients broke over {restarts} restarts of shards")
    return breaches


async def powerloss_phase(tier: Tier, load: Load, number: int, journal: Path) -> list[str]:
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, f"power-{number}")
        await phase.begin(group)
        await asyncio.sleep(2)
        await asyncio.to_thread(tier.kill_everything)
        lost = powerloss.cut_power(tier.directory, journal)
        await asyncio.to_thread(tier.start)
        await asyncio.sleep(1)
        breaches = await phase.end()
    print(f"    cut off {lost} bytes", flush=True)
    return breaches
