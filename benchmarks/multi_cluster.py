"""What carrying workloads to many physical clusters costs and how long it takes: `make bench-multi-cluster`.

kcp runs as it is started (fronts, shards, controllers: processes of their own). Physical clusters are logical clusters
of servers of ours in further processes; nobody runs pods in them, so what is measured is kcp and the wire.
"""

import argparse
import asyncio
import contextlib
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

import kcpfront
from kcpsyncer.definitions import definitions
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import Access, parse
from kcpsyncer.placement.decision import place
from kcpsyncer.placement.model import ClusterState, Policy, Workload
from kcpsyncer.placement.pod_requests import request_of
from kcpsyncer.placement.workload_step import View, step
from tests.clients.tier import Tier

Object = dict[str, Any]
CLUSTERS = resource_path("cluster.example.dev", "v1alpha1", "clusters")
POLICIES = "/apis/placement.kcp.dev/v1alpha1/namespaces/default/placementpolicies"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
EVERY = "/apis/apps/v1/deployments"
MARK = "benchmark.example.dev/mark"
ALONE = 10  # clusters that are registered one after another


def deployment(name: str, replicas: int) -> Object:
    pod = {"containers": [{"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "10m"}}}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


# --- the processes


def physical(count: int) -> None:
    """In a process of its own: `count` physical clusters; one line of JSON tells how to reach them, then it serves."""
    with kcpfront.embedded(api_set="full") as server:
        found = [server.create_cluster() for _ in range(count)]
        print(orjson.dumps([each.kubeconfig.read_text() for each in found]).decode(), flush=True)
        sys.stdin.read()


class Physical:
    def __init__(self, count: int) -> None:
        command = [sys.executable, "-m", "benchmarks.multi_cluster", "--physical", str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.kubeconfigs: list[str] = orjson.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def kcp(directory: Path) -> Iterator[Access]:
    tier = Tier(directory / "kcp", "--resources-to-sync", "deployments.apps", "--auto-publish-apis")
    tier.start()
    try:
        yield parse(tier.kubeconfig.read_text())
    finally:
        tier.stop()


# --- asking


async def until(what: Callable[[], Awaitable[bool]], timeout_s: float = 300.0, pause_s: float = 0.02) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while True:
            with contextlib.suppress(Failure):
                if await what():
                    return time.monotonic() - began
            await asyncio.sleep(pause_s)


async def register(up: KubeClient, name: str, kubeconfig: str, labels: dict[str, str] | None = None) -> float:
    """Until it is Ready."""
    metadata = {"name": name, "labels": labels or {}}
    body = {"apiVersion": "cluster.example.dev/v1alpha1", "kind": "Cluster", "metadata": metadata}

    async def made() -> bool:
        await up.create(CLUSTERS, {**body, "spec": {"kubeconfig": kubeconfig}})
        return True

    async def is_ready() -> bool:
        found = await up.get(f"{CLUSTERS}/{name}")
        conditions = ((found or {}).get("status") or {}).get("conditions") or ()
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    await until(made)
    return await until(is_ready)


class Seen:
    """What arrives in physical clusters of one server, by one watch over all of them: name and mark, with the time."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.marks: dict[str, tuple[str, float]] = {}  # physical cluster / name → the newest mark and when it came
        self.objects: dict[str, Object] = {}

    async def run(self) -> None:
        _, version = await self._client.list(EVERY)
        while True:
            async for event in self._client.watch(EVERY, version):
                obj = event["object"]
                version = obj["metadata"].get("resourceVersion") or version
                if event["type"] in ("ADDED", "MODIFIED"):
                    annotations = obj["metadata"].get("annotations") or {}
                    key = f"{annotations.get('kcp.io/cluster')}/{obj['metadata']['name']}"
                    mark = (obj["spec"]["template"]["metadata"].get("annotations") or {}).get(MARK) or ""
                    self.objects[key] = obj
                    if self.marks.get(key, ("", 0.0))[0] != mark:
                        self.marks[key] = (mark, time.monotonic())

    def when(self, mark: str) -> list[float]:
        return [at for found, at in self.marks.values() if found == mark]


@contextlib.asynccontextmanager
async def seen(server: Physical) -> AsyncIterator[Seen]:
    access = parse(server.kubeconfigs[0])
    base = access.server.split("/clusters/")[0]
    async with KubeClient(access, f"{base}/clusters/*") as client, asyncio.TaskGroup() as tasks:
        found = Seen(client)
        running = tasks.create_task(found.run())
        yield found
        running.cancel()


# --- the figures


class Figures(dict[str, float]):
    """Told as soon as they are there."""

    def tell(self, name: str, value: float) -> None:
        self[name] = value
        print(f"{name:55} {value:9.3f} s", flush=True)


def share(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]


async def changes(up: KubeClient, server: Physical, count: int, rounds: int, figures: Figures) -> None:
    """A change of one workload that is in every cluster, and a status on its way back."""
    firsts, lasts, backs = [], [], []
    async with seen(server) as found:
        made = deployment("wide", count)
        await up.create(DEPLOYMENTS, made)

        async def is_everywhere() -> bool:
            return len(found.marks) >= count

        await until(is_everywhere)
        for number in range(rounds):
            mark = f"m{number}"
            patch = {"spec": {"template": {"metadata": {"annotations": {MARK: mark}}}}}
            await up.merge(f"{DEPLOYMENTS}/wide", patch)
            began = time.monotonic()

            async def has_come(mark: str = mark) -> bool:
                return len(found.when(mark)) >= count

            await until(has_come)
            firsts.append(min(found.when(mark)) - began)
            lasts.append(max(found.when(mark)) - began)
            backs.append(await status_back(up, server, found, number))
            await asyncio.sleep(0.5)
    figures.tell("change reaches the first cluster, p50", share(firsts, 0.5))
    figures.tell("change reaches the last cluster, p50", share(lasts, 0.5))
    figures.tell("change reaches the last cluster, p99", share(lasts, 0.99))
    figures.tell("status back, p50", share(backs, 0.5))
    figures.tell("status back, p99", share(backs, 0.99))


async def status_back(up: KubeClient, server: Physical, found: Seen, number: int) -> float:
    """From one physical cluster to the status of the whole."""
    key = sorted(found.objects)[number % len(found.objects)]
    obj, path = found.objects[key], key.split("/")[0]
    access = parse(server.kubeconfigs[0])
    metadata = obj["metadata"]
    place = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}/status"
    before = ((await up.get(f"{DEPLOYMENTS}/wide")) or {}).get("status", {}).get("updatedReplicas", 0)
    was = (obj.get("status") or {}).get("updatedReplicas", 0)
    async with KubeClient(access, f"{access.server.split('/clusters/')[0]}/clusters/{path}") as one:
        counts = {"replicas": was + 1, "updatedReplicas": was + 1, "observedGeneration": metadata["generation"]}
        await one.merge(place, {"status": counts})

    async def is_told() -> bool:
        status = ((await up.get(f"{DEPLOYMENTS}/wide")) or {}).get("status") or {}
        return int(status.get("updatedReplicas") or 0) > before

    return await until(is_told)


def per_second(clusters: int, seconds: float = 3.0) -> tuple[float, float]:
    """Of CPU time: decisions for workloads to be divided over all clusters; whole steps, with leafs and status."""
    names = [f"c{number:03}" for number in range(clusters)]
    states = {name: ClusterState(name, {"zone": name[-1]}, free={"cpu": 100.0}) for name in names}
    root = deployment("web", 12)
    root["metadata"].update(namespace="default", uid="u", generation=1)
    view = View(root, (), states, None, "2026-12-01T00:00:00Z", request_of(root))
    workload = Workload("default/web", 12, request_of(root))
    decided = _rate(lambda: place(workload, Policy(), states.values(), {}), seconds)
    return decided, _rate(lambda: step(view), seconds)


def _rate(what: Callable[[], object], seconds: float) -> float:
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        what()
        count += 1
    return count / (time.process_time() - began)


async def failover(up: KubeClient, workloads: int, figures: Figures) -> None:
    """All run in one cluster, which dies."""
    mortal, others = Physical(1), Physical(2)
    try:
        await register(up, "mortal", mortal.kubeconfigs[0], {"liked": "yes"})
        for number, kubeconfig in enumerate(others.kubeconfigs):
            await register(up, f"other-{number}", kubeconfig, {"liked": "no"})
        spec = {
            "mode": "Whole",
            "clusters": {"names": ["mortal", "other-0", "other-1"]},
            "preferences": [{"weight": 100, "clusterSelector": {"matchLabels": {"liked": "yes"}}}],
        }
        policy = {"apiVersion": "placement.kcp.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "one"}}
        await up.create(POLICIES, {**policy, "spec": spec})
        async with seen(mortal) as there, seen(others) as elsewhere:
            began = time.monotonic()
            for number in range(workloads):
                await up.create(DEPLOYMENTS, deployment(f"w-{number}", 1))

            async def are(found: Seen) -> bool:
                return sum("/w-" in key for key in found.marks) >= workloads

            await until(lambda: are(there), pause_s=0.2)
            figures.tell(f"{workloads} workloads placed", time.monotonic() - began)
            await asyncio.sleep(5)
            mortal.kill()
            taken = await until(lambda: are(elsewhere), pause_s=0.1)
        figures.tell(f"{workloads} workloads failed over", taken)
    finally:
        mortal.kill()
        others.kill()


async def measure(access: Access, count: int, rounds: int, workloads: int) -> None:
    figures = Figures()
    server = Physical(count)
    try:
        async with KubeClient(access, manager="bench") as up:
            for made in definitions():
                await up.create(CRDS, made)
            texts = {f"c{number:03}": text for number, text in enumerate(server.kubeconfigs)}
            first = list(texts)[:ALONE]
            times = [await register(up, name, texts[name]) for name in first]
            figures.tell("registration of one cluster, p50", share(times, 0.5))
            figures.tell("registration of one cluster, slowest", max(times))
            began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for name in list(texts)[ALONE:]:
                    tasks.create_task(register(up, name, texts[name]))
            figures.tell(f"registration of {len(texts) - len(first)} more at once", time.monotonic() - began)
            await changes(up, server, count, rounds, figures)
            await up.delete(f"{DEPLOYMENTS}/wide")
            await failover(up, workloads, figures)
    finally:
        server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--physical", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workloads", type=int, default=1000)
    given = parser.parse_args()
    if given.physical:
        physical(given.physical)
        return
    for name, value in zip(("decisions", "whole steps"), per_second(100), strict=True):
        print(f"{name + ' a second of CPU, 100 clusters':55} {value:9.0f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kcp-bench-") as directory, kcp(Path(directory)) as access:
        asyncio.run(measure(access, given.clusters, given.rounds, given.workloads))


if __name__ == "__main__":
    main()
