"""Kills, pauses and power cuts under load, judged: `make robustness` and `make powerloss`.

Starts a tier, keeps writers, readers and watches busy, kills processes one after the other (or pauses them, or cuts the
power), lets everything settle, and judges what the clients saw. Prints one line per phase; exits with 1 if any promise
was broken. The histories are kept in --out for looking at.
"""

import argparse
import asyncio
import faulthandler
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.robustness import phases, powerloss
from tests.robustness.phases import Load
from tests.robustness.tier import Tier

# How a shard dies at each point. The chance is such that it takes about a second of this traffic.
FAILPOINTS = {
    "writer.before_write": "kill%0.01",
    "writer.after_write": "kill%0.01",
    "writer.before_sync": "kill%0.01",
    "writer.after_sync": "kill%0.01",
    "writer.before_announce": "kill%0.01",
    "clusters.birth": "kill%0.15",
    "clusters.born": "kill%0.15",
    "compaction.before_write": "kill%0.2",
    "compaction.after_write": "kill%0.2",
}
PLACEMENT_FAILPOINTS = (
    "placement.move_seal",
    "placement.sealing",
    "placement.move_grant",
    "placement.move_publish",
)
# So that there is something to compact after a minute; clients are never away for as long, five deaths included.
COMPACTING = {"KCP_SHARD_SETTINGS": "retention_s=60:60:60,compaction_interval_s=0.3"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all, over the kinds")
    parser.add_argument("--phase", type=int, default=20, help="kills between two judgements")
    parser.add_argument("--kinds", default="front,shard,shard,supervisor,all")
    parser.add_argument("--failpoint-kills", type=int, default=5, help="at each named failpoint")
    every = (*FAILPOINTS, *PLACEMENT_FAILPOINTS)
    parser.add_argument("--failpoints", default=",".join(every), help="comma-separated; empty: none")
    parser.add_argument("--restarts", type=int, default=20, help="of shards, that no client's watch may notice")
    parser.add_argument("--pauses", default="shard,front", help="comma-separated kinds; empty: none")
    parser.add_argument("--pause-s", type=float, default=30, help="how long a process is stopped")
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


def listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


@contextmanager
def stopping(tier: Tier) -> Iterator[Tier]:
    """Leave no process behind, whatever happens."""
    try:
        yield tier
    finally:
        if tier.process is not None and tier.process.poll() is None:
            tier.kill_everything()


async def kills(args: argparse.Namespace, load: Load, directory: Path) -> list[str]:
    chance, breaches = random.Random(args.seed), []
    kinds = listed(args.kinds)
    plan = [kinds[n % len(kinds)] for n in range(args.kills)]
    with stopping(Tier(directory / "kcp", args.port, args.shards, args.fronts)) as tier:
        tier.start()
        for start in range(0, len(plan), args.phase):
            batch = plan[start : start + args.phase]
            breaches += await phases.kill_phase(tier, load, f"kills-{start}", batch, chance)
        if args.restarts:
            # The controllers of physical clusters are a client of their own, which lists anew when its Lease has run
            # out while a shard was away; what is counted here is what fronts do for watches.
            tier.options.append("--no-cluster-controllers")
            tier.restart()
            breaches += await phases.restart_phase(tier, load, args.restarts)
        for kind in listed(args.pauses):
            breaches += await phases.pause_phase(tier, load, kind, args.pause_s, chance)
        tier.stop()
        breaches += tier.crashes()
    print(f"kills by kind: {dict(Counter(plan))}", flush=True)
    return breaches


async def deaths_at_failpoints(args: argparse.Namespace, load: Load, directory: Path) -> list[str]:
    breaches = []
    for failpoint in listed(args.failpoints):
        tier = Tier(directory / failpoint, args.port, args.shards, args.fronts)
        if failpoint.startswith("compaction."):
            tier.environment |= COMPACTING
        with stopping(tier):
            if failpoint in PLACEMENT_FAILPOINTS:
                tier.shards = 1
                breaches += await phases.placement_phase(tier, load, failpoint, args.failpoint_kills, 6)
                continue
            tier.start()
            action = FAILPOINTS[failpoint]
            breaches += await phases.failpoint_phase(tier, load, failpoint, action, args.failpoint_kills)
            tier.stop()
            breaches += tier.crashes()
    return breaches


async def power_cuts(args: argparse.Namespace, load: Load, directory: Path) -> list[str]:
    journal, breaches = directory / "journal", []
    environment = powerloss.environment(powerloss.build(directory), journal, args.deaf)
    with stopping(Tier(directory / "kcp", args.port, args.shards, args.fronts, environment)) as tier:
        tier.start()
        for number in range(args.powerloss):
            breaches += await phases.powerloss_phase(tier, load, number, journal)
        tier.stop()
        breaches += tier.crashes()
    return breaches


async def run(args: argparse.Namespace, directory: Path) -> list[str]:
    load = Load(args.clusters, args.clients, args.pause_ms / 1000, args.seed, args.out)
    if args.powerloss:
        return await power_cuts(args, load, directory)
    return await kills(args, load, directory) + await deaths_at_failpoints(args, load, directory)


def main() -> int:
    args = arguments()
    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="kcp-robustness-") as directory:
        # Not on uvloop: with aiohttp's client on it, while connections die, a descriptor was closed that belonged to
        # somebody else (psutil found its pidfd gone), and libuv aborts the process when that happens to it.
        breaches = asyncio.run(run(args, Path(directory)))
        if breaches and args.out:
            for log in Path(directory).glob("*.log"):
                shutil.copy(log, args.out)
    print(f"{len(breaches)} breaches in all", flush=True)
    for breach in breaches[-20:]:
        print(f"    {breach}", flush=True)
    if args.deaf:
        print("the missing sync was noticed" if breaches else "NOBODY NOTICED the missing sync", flush=True)
        return 0 if breaches else 1
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
