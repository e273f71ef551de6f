"""Kills under load, judged: `make robustness` and `make powerloss`.

Starts a tier, keeps writers, readers and watches busy, kills processes one after the other (or cuts the power), lets
everything settle, and judges what the clients saw. Prints one line per phase; exits with 1 if any promise was broken.
The histories are kept in --out for looking at.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop

from tests.robustness import powerloss
from tests.robustness.checks import judge
from tests.robustness.history import History
from tests.robustness.tier import Tier
from tests.robustness.traffic import Traffic

FAILPOINTS = (
    "writer.before_write",
    "writer.before_sync",
    "writer.after_sync",
    "writer.before_announce",
    "compaction.between_slices",
    "clusters.after_birth",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all, over the kinds")
    parser.add_argument("--phase", type=int, default=20, help="kills between two judgements")
    parser.add_argument("--kinds", default="front,shard,shard,supervisor,all")
    parser.add_argument("--failpoint-kills", type=int, default=5, help="at each named failpoint")
    parser.add_argument("--failpoints", default=",".join(FAILPOINTS), help="comma-separated; empty: none")
    parser.add_argument("--powerloss", type=int, default=0, help="power cuts instead of kills")
    parser.add_argument(
        "--deaf", action="store_true", help="with --powerloss: syncs do not count; the checker must object"
    )
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--fronts", type=int, default=2)
    parser.add_argument("--clusters", type=int, default=4)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pause-ms", type=float, default=20, help="mean pause of a client between requests")
    parser.add_argument("--port", type=int, default=18643)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


class Phase:
    """Traffic from a clean beginning to a judged end, over logical clusters of its own."""

    def __init__(self, tier: Tier, args: argparse.Namespace, name: str) -> None:
        server, token, authority = tier.access()
        clusters = [f"{name}-{n}" for n in range(args.clusters)]
        self.tier, self.args, self.name = tier, args, name
        self.traffic = Traffic(server, token, authority, clusters, args.seed)
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, group: asyncio.TaskGroup) -> None:
        for number, cluster in enumerate(self.traffic.clusters * 2):
            self.tasks.append(group.create_task(self.traffic.run_watch(number, cluster)))
        await asyncio.sleep(0.5)
        for number in range(self.args.clients):
            group.create_task(self.traffic.run_client(number, self.args.pause_ms / 1000))
        await asyncio.sleep(1)

    async def end(self) -> list[str]:
        await self.traffic.finish()
        for task in self.tasks:
            task.cancel()
        history = self.traffic.history
        breaches = judge(history)
        if self.args.out:
            self.args.out.mkdir(parents=True, exist_ok=True)
            history.save(self.args.out / f"{self.name}.json")
        print(f"{self.name}: {summary(history)}; {len(breaches)} breaches", flush=True)
        for breach in breaches[:20]:
            print(f"    {breach}", flush=True)
        return breaches


def summary(history: History) -> str:
    outcomes = Counter(o.outcome for o in history.operations)
    events = sum(len(w.events) for w in history.watches)
    relists, reconnects = sum(w.relists for w in history.watches), sum(w.reconnects for w in history.watches)
    return f"{dict(outcomes)}, {events} watch events, {relists} relists, {reconnects} reconnects"


async def kill_phase(
    tier: Tier, args: argparse.Namespace, name: str, kills: list[str], chance: random.Random
) -> list[str]:
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, args, name)
        await phase.begin(group)
        for kind in kills:
            await asyncio.to_thread(tier.kill, kind, chance)
            await asyncio.sleep(0.3 + chance.random())
        await asyncio.to_thread(tier.wait_ready)
        await asyncio.sleep(1)
        return await phase.end()


async def failpoint_phase(tier: Tier, args: argparse.Namespace, failpoint: str) -> list[str]:
    """The shards kill themselves at the named point, again and again, until it has happened often enough."""
    tier.stop()
    await asyncio.to_thread(tier.start, {"KCP_FAILPOINTS": f"{failpoint}=kill:0.02"})
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, args, "fp-" + failpoint.replace(".", "-").replace("_", "-"))
        await phase.begin(group)
        pids = {p.pid for p in tier.members("shard")}
        deaths, deadline = 0, time.monotonic() + 90
        while deaths < args.failpoint_kills and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            now = {p.pid for p in tier.members("shard")}
            deaths += len(now - pids)
            pids |= now
        await asyncio.to_thread(restart_without_failpoints, tier)
        await asyncio.sleep(1)
        breaches = await phase.end()
    print(f"    {failpoint}: {deaths} deaths", flush=True)
    return breaches if deaths >= args.failpoint_kills else [*breaches, f"{failpoint}: only {deaths} deaths"]


def restart_without_failpoints(tier: Tier) -> None:
    tier.stop()
    tier.start()


async def powerloss_phase(tier: Tier, args: argparse.Namespace, number: int, journal: Path) -> list[str]:
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, args, f"power-{number}")
        await phase.begin(group)
        await asyncio.sleep(2)
        await asyncio.to_thread(tier.kill_everything)
        lost = powerloss.cut_power(tier.directory, journal)
        await asyncio.to_thread(tier.start)
        await asyncio.sleep(1)
        breaches = await phase.end()
    print(f"    cut off {lost} bytes", flush=True)
    return breaches


async def kills(args: argparse.Namespace, directory: Path) -> list[str]:
    tier, chance, breaches = Tier(directory / "kcp", args.port, args.shards, args.fronts), random.Random(args.seed), []
    tier.start()
    kinds = args.kinds.split(",")
    plan = [kinds[n % len(kinds)] for n in range(args.kills)]
    for start in range(0, len(plan), args.phase):
        breaches += await kill_phase(tier, args, f"kills-{start}", plan[start : start + args.phase], chance)
    for failpoint in [f for f in args.failpoints.split(",") if f]:
        breaches += await failpoint_phase(tier, args, failpoint)
    tier.stop()
    print(f"kills by kind: {dict(Counter(plan))}", flush=True)
    return breaches


async def power_cuts(args: argparse.Namespace, directory: Path) -> list[str]:
    journal = directory / "journal"
    environment = powerloss.environment(powerloss.build(directory), journal, args.deaf)
    tier, breaches = Tier(directory / "kcp", args.port, args.shards, args.fronts, environment), []
    tier.start()
    for number in range(args.powerloss):
        breaches += await powerloss_phase(tier, args, number, journal)
    tier.stop()
    return breaches


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="kcp-robustness-") as directory:
        run = power_cuts if args.powerloss else kills
        breaches = uvloop.run(run(args, Path(directory)))
    print(f"{len(breaches)} breaches in all", flush=True)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
