"""Moves, drains and rolling restarts under load, shards dying at every named step of a move: `make moves`.

The traffic and its judge are those of `make robustness`. Where nothing is killed, no client may see an error, a list it
did not ask for or a broken watch. Prints one line per phase; exits with 1 if any promise was broken.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from kcp import installation
from kcp.current_map import dialler
from kcp.keeper import ask_keeper
from kcp.output import Refused
from kcp.programs import shard_socket
from kcpshard.placement.shard_map import KEEPER_CLUSTER
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import PlacementClient
from tests.robustness.lives import STEPS as LIFE_STEPS
from tests.robustness.lives import Lives, left_over
from tests.robustness.phases import Deaths, Load, Phase
from tests.robustness.run import stopping
from tests.robustness.tier import Tier
from tests.robustness.traffic import Traffic

STEPS = (
    "moves.begun", "moves.copying", "moves.copied", "moves.sealing", "moves.seal", "moves.seal_durable", "moves.sealed",
    "moves.adopting", "moves.adopted", "moves.departed", "moves.clearing", "placement.cluster_move",
    "placement.cluster_publish",
)  # fmt: skip
SETTINGS = {"KCP_SHARD_SETTINGS": "departed_grace_s=0.5"}
SHARDS = 3
SETTLE_S = 90.0
CLEARED_S = 20.0  # the dead are cleared five seconds after their end
DEATHS_WITHIN_S = 120.0


class Mover:
    """Asks the keeper, as `kcp move` and `kcp shards` do."""

    def __init__(self, tier: Tier, chance: random.Random) -> None:
        self._tier, self._chance = tier, chance
        self.asked = 0

    async def ask(self, call: Callable[[Any], Awaitable[Any]]) -> Any:
        made = installation.load(self._tier.directory)
        assert made is not None
        return await ask_keeper(made, call)

    async def move_any(self, clusters: list[str]) -> None:
        request = pb.MoveClustersRequest(
            cluster=self._chance.choice(clusters), shard=f"shard-{self._chance.randrange(SHARDS) + 1}"
        )
        try:
            await self.ask(lambda keeper: keeper.move_clusters(request))
            self.asked += 1
        except Refused:
            pass  # a shard is away, or the cluster is being handed over

    async def change(self, shard: str, change: str) -> None:
        request = pb.ChangeShardRequest(shard=shard, change=change)
        await self.ask(lambda keeper: keeper.change_shard(request))

    async def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.ask(lambda keeper: keeper.show_moves()))
        return found

    async def settled(self) -> list[str]:
        """What is wrong if moves do not come to an end, or one failed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_S
        while True:
            found = await self.figures()
            if found["active"] is None and not found["waiting"] and not found["slots"]:
                return [f"move failed: {end}" for end in found["ended"] if end["outcome"] == "failed"]
            if loop.time() > deadline:
                return [f"moves do not come to an end: {found['active']}, {len(found['waiting'])} waiting"]
            await asyncio.sleep(0.1)


Keep = Callable[[Mover, Phase, float], Coroutine[Any, Any, None]]


async def keep_moving(mover: Mover, phase: Phase, pause_s: float) -> None:
    while not phase.traffic.stopping:
        await mover.move_any(phase.traffic.clusters)
        await asyncio.sleep(pause_s)


async def calm(
    tier: Tier, load: Load, name: str, chance: random.Random, act: Callable[[Mover, Phase], Any]
) -> list[str]:
    """A phase in which nothing dies: what clients see must be as if nothing happened."""
    mover = Mover(tier, chance)
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, name)
        await phase.begin(group)
        await phase.watch_everywhere(group)
        await phase.traffic.without_lists()
        before, connected = tier.front_counts("kcp_front_shard_lists_total"), phase.traffic.reconnects()
        await act(mover, phase)
        failed = await mover.settled()
        broken = phase.traffic.reconnects() - connected
        lists = tier.front_counts("kcp_front_shard_lists_total") - before  # the end of the phase lists to judge
        breaches = await phase.end() + failed
    refused = [o for o in phase.traffic.history.operations if not o.code or o.code >= 500 or o.code in (410, 429)]
    print(f"    {mover.asked} moves asked, {broken} watches broken, {lists:g} lists, {len(refused)} errors", flush=True)
    if broken:
        breaches.append(f"{name}: {broken} watch connections broke")
    if lists:
        breaches.append(f"{name}: fronts sent {lists:g} lists that nobody asked for")
    if refused:
        breaches.append(f"{name}: {len(refused)} requests failed, such as {refused[0]}")
    return breaches


async def moves(mover: Mover, phase: Phase) -> None:
    for _ in range(40):
        await mover.move_any(phase.traffic.clusters)
        await asyncio.sleep(0.15)


async def drains(mover: Mover, phase: Phase) -> None:
    for name in ("shard-2", "shard-1", "shard-3"):  # the first shard keeps the map: its role has to go too
        await mover.change(name, "drain")
        await mover.settled()
        await mover.change(name, "uncordon")
        await mover.settled()


async def keep_moving_role(mover: Mover, phase: Phase, pause_s: float) -> None:
    """The keeper's role, from shard to shard, a logical cluster now and then."""
    while not phase.traffic.stopping:
        await mover.move_any([KEEPER_CLUSTER, KEEPER_CLUSTER, *phase.traffic.clusters])
        await asyncio.sleep(pause_s)


async def deaths(
    tier: Tier, load: Load, step: str, wanted: int, chance: random.Random, keep: Keep = keep_moving, name: str = "fp"
) -> list[str]:
    """Shards die at that step of moves, again and again; then all must be where it was brought, once."""
    tier.stop()
    await asyncio.to_thread(tier.start, {"KCP_FAILPOINTS": f"{step}=kill%0.3"}, False)
    mover = Mover(tier, chance)
    async with asyncio.TaskGroup() as group:
        died = Deaths(tier, "shard")
        phase = Phase(tier, load, f"{name}-" + step.replace(".", "-").replace("_", "-"))
        await asyncio.to_thread(tier.wait_ready)
        await phase.begin(group)
        moving = group.create_task(keep(mover, phase, 0.3))
        await died.reach(wanted, DEATHS_WITHIN_S)
        moving.cancel()
        await asyncio.to_thread(tier.restart)
        await asyncio.to_thread(tier.wait_shards)
        breaches = await mover.settled()
        breaches += await phase.end()
    print(f"    {step}: {died.count} deaths, {mover.asked} moves asked", flush=True)
    return breaches if died.count >= wanted else [*breaches, f"{step}: only {died.count} deaths"]


async def deletions(tier: Tier, load: Load, step: str, wanted: int, chance: random.Random) -> list[str]:
    """Workspaces are made, filled and deleted while shards die at that step; nothing of them may be left."""
    tier.stop()
    share = "0.02" if step in ("clusters.birth", "clusters.born") else "0.1"
    await asyncio.to_thread(tier.start, {"KCP_FAILPOINTS": f"{step}=kill%{share}"}, False)
    async with asyncio.TaskGroup() as group:
        died = Deaths(tier, "shard")
        phase = Phase(tier, load, "lives-" + step.replace(".", "-"))
        await asyncio.to_thread(tier.wait_ready)
        await phase.begin(group)
        lives = Lives(phase.traffic, step.replace(".", "-"))
        phase.clients += [group.create_task(lives.run(number)) for number in range(3)]
        await died.reach(wanted, DEATHS_WITHIN_S)
        await asyncio.to_thread(tier.restart)
        await asyncio.to_thread(tier.wait_shards)
        breaches = await phase.end()
    await asyncio.sleep(CLEARED_S)
    tier.stop()
    breaches += await asyncio.to_thread(left_over, tier)
    tier.start()
    print(f"    {step}: {died.count} deaths, {lives.ended} of {len(lives.paths)} workspaces came and went", flush=True)
    return breaches if died.count >= wanted else [*breaches, f"{step}: only {died.count} deaths"]


async def restarts(tier: Tier, load: Load, number: int, chance: random.Random) -> list[str]:
    """Shards are killed in turn while logical clusters move."""
    mover = Mover(tier, chance)
    async with asyncio.TaskGroup() as group:
        phase = Phase(tier, load, "restarts-and-moves")
        await phase.begin(group)
        moving = group.create_task(keep_moving(mover, phase, 0.3))
        for n in range(number):
            victims = tier.members("shard")
            died = Deaths(tier, "shard")
            victims[n % len(victims)].kill()
            await died.reach(1, 30)
            await asyncio.to_thread(tier.wait_shards)
            await asyncio.sleep(1)
        moving.cancel()
        breaches = await mover.settled()
        breaches += await phase.end()
    print(f"    {number} restarts, {mover.asked} moves asked", flush=True)
    return breaches


async def run(args: argparse.Namespace, directory: Path) -> list[str]:
    load = Load(args.clusters, args.clients, args.pause_ms / 1000, args.seed, args.out)
    chance, breaches = random.Random(args.seed), []
    tier = Tier(directory / "kcp", args.port, SHARDS, 2)
    tier.environment |= SETTINGS
    if args.tls:
        tier.options += ["--internal-listen", f"127.0.0.1:{args.port + 10}"]
    if args.sealed:
        tier.options += ["--encryption-provider-config", str(write_encryption(directory))]
    with stopping(tier):
        tier.start()
        await asyncio.to_thread(tier.wait_shards)
        if "calm" in args.phases:
            breaches += await calm(tier, load, "moves", chance, moves)
            breaches += await calm(tier, load, "drains", chance, drains)
        if "restarts" in args.phases:
            breaches += await restarts(tier, load, args.restarts, chance)
        if "deaths" in args.phases:
            for step in args.steps.split(","):
                breaches += await deaths(tier, load, step, args.deaths, chance)
        if "keeper" in args.phases:
            for step in args.steps.split(","):
                breaches += await deaths(tier, load, step, args.deaths, chance, keep_moving_role, "keeper")
        if "deletions" in args.phases:
            for step in args.lives.split(","):
                breaches += await deletions(tier, load, step, max(args.deaths, 5), chance)
        if "large" in args.phases:
            breaches += await large(tier, args.objects, args.port)
        tier.stop()
        breaches += tier.crashes()
        if args.sealed:
            breaches += plaintext(tier)
    return breaches


def write_encryption(directory: Path) -> Path:
    key = {"name": "k1", "secret": base64.b64encode(os.urandom(32)).decode()}
    rule = {"resources": ["configmaps", "secrets"], "providers": [{"aesgcm": {"keys": [key]}}, {"identity": {}}]}
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
    path = directory / "encryption.json"
    path.touch(0o600)
    path.write_text(json.dumps({**head, "resources": [rule]}))
    return path


def plaintext(tier: Tier) -> list[str]:
    """Files of shards in which a ConfigMap's content can be read: every one that traffic wrote has this label."""
    files = [path for path in tier.directory.glob("shard-*/data/*") if path.is_file()]
    assert files
    return [f"{path.name} shows what should be sealed" for path in files if b'"labels":{"origin":' in path.read_bytes()]


async def large(tier: Tier, objects: int, port: int) -> list[str]:
    """One logical cluster of many objects moves while it is written to; how long writes waited, as shards count it."""
    mover, cluster = Mover(tier, random.Random(1)), "large"
    await asyncio.to_thread(tier.wait_shards)
    traffic = Traffic(*tier.access(), [cluster], 1)
    await traffic.give_life()
    async with traffic.session() as session:
        for first in range(0, objects, 500):
            await traffic.until(session, "POST", transactions(traffic, cluster), (201,), config_maps(first, 500))
    longest = 0.0
    async with asyncio.TaskGroup() as group:
        client = group.create_task(traffic.run_client(1, 0.01))
        for number in (1, 2, 3, 1):
            request = pb.MoveClustersRequest(cluster=cluster, shard=f"shard-{number}")
            await mover.ask(lambda keeper, request=request: keeper.move_clusters(request))
            while (await mover.figures())["active"] or (await mover.figures())["waiting"]:
                await asyncio.sleep(0.2)
        traffic.stopping = True
        await client
    writes = [o for o in traffic.history.operations if o.verb not in ("get", "list")]
    longest = max((o.returned - o.called for o in writes), default=0)
    refused = [o for o in traffic.history.operations if not o.code or o.code >= 500 or o.code in (410, 429)]
    print(f"large: {objects} objects, {len(writes)} writes meanwhile, the slowest {longest * 1000:.0f} ms", flush=True)
    for row in await asyncio.to_thread(pauses, tier):
        print(f"    {row}", flush=True)
    return [f"large: {len(refused)} requests failed, such as {refused[0]}"] if refused else []


def transactions(traffic: Traffic, cluster: str) -> str:
    return f"{traffic.server}/clusters/{cluster}/apis/changes.kcp.io/v1alpha1/transactions"


def config_maps(first: int, number: int) -> dict[str, Any]:
    def create(n: int) -> dict[str, Any]:
        meta = {"name": f"large-{n}", "namespace": "default"}
        return {
            "verb": "Create",
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "x" * 200}},
        }

    operations = [create(n) for n in range(first, first + number)]
    return {"apiVersion": "changes.kcp.io/v1alpha1", "kind": "Transaction", "spec": {"operations": operations}}


def pauses(tier: Tier) -> list[str]:
    """The histograms of the moves that each shard has taken."""

    async def ask() -> list[str]:
        made = installation.load(tier.directory)
        assert made is not None
        found = []
        for number in made.numbers:
            client = PlacementClient(dialler(made)(f"unix:{shard_socket(made, number, 'admin')}"))
            moves = json.loads(await client.statistics(census=False))["moves"]
            await client.close()
            found.append(f"shard-{number}: {json.dumps(moves)}")
        return found

    return asyncio.run(ask())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", default="calm,restarts,deaths,keeper,deletions,large")
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--lives", default=",".join(LIFE_STEPS), help="steps of births and deletions")
    parser.add_argument("--deaths", type=int, default=3, help="at each step")
    parser.add_argument("--restarts", type=int, default=9)
    parser.add_argument("--clusters", type=int, default=4)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--pause-ms", type=float, default=30)
    parser.add_argument("--sealed", action="store_true", help="ConfigMaps and Secrets are sealed at rest")
    parser.add_argument("--tls", action="store_true", help="shards talk over TLS, as on several machines")
    parser.add_argument("--objects", type=int, default=100_000, help="of the logical cluster of the phase large")
    parser.add_argument("--port", type=int, default=18643)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kcp-moves-") as directory:
        breaches = asyncio.run(run(args, Path(directory)))
        if breaches:
            print((Path(directory) / "kcp.log").read_text(errors="replace")[-20_000:], flush=True)
            if args.out:
                args.out.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(directory) / "kcp.log", args.out)
    print(f"{len(breaches)} breaches in all", flush=True)
    for breach in breaches[-20:]:
        print(f"    {breach}", flush=True)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
