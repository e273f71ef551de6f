"""A logical cluster with the controllers at work on it, and helpers to look at it from above and below."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import yaml
from click.testing import CliRunner

from kcp.__main__ import main
from kcpfront.embedding import EmbeddedCluster, EmbeddedServer
from kcpsyncer.controller_process import ControllerProcess
from kcpsyncer.definitions import definitions
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.kubeconfig import parse
from kcpsyncer.settings import Settings

Object = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLUSTERS = resource_path("cluster.example.dev", "v1alpha1", "clusters")
DEPLOYMENTS = resource_path("apps", "v1", "deployments")


def kubeconfig_of(cluster: EmbeddedCluster) -> str:
    return cluster.kubeconfig.read_text()


async def eventually(what: Callable[[], Awaitable[Any]], timeout_s: float = 120.0) -> Any:
    """What it returns once that is true, however busy the machine is; else an assertion error."""
    found: Any = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    found = await what()
                except Failure as failure:
                    found = None if failure.code else failure
                if found:
                    return found
                await asyncio.sleep(0.05)
    raise AssertionError(f"it never came true: {found}")


class World:
    """`up` speaks to the logical cluster, `down[name]` to the physical clusters."""

    def __init__(self, path: str, up: KubeClient, process: ControllerProcess) -> None:
        self.path, self.up, self.process = path, up, process
        self.down: dict[str, KubeClient] = {}

    async def define(self) -> None:
        for made in definitions():
            await self.up.create(CRDS, made)

    async def register(self, name: str, cluster: EmbeddedCluster, **spec: Any) -> None:
        self.down[name] = await self.stack.enter_async_context(KubeClient(parse(kubeconfig_of(cluster))))
        body = {
            "apiVersion": "cluster.example.dev/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": name},
            "spec": spec or {"kubeconfig": kubeconfig_of(cluster)},
        }
        await eventually(lambda: self.up.create(CLUSTERS, body))

    async def condition(self, path: str, kind: str) -> Object | None:
        obj = await self.up.get(path)
        conditions = ((obj or {}).get("status") or {}).get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), None)

    async def is_ready(self, name: str) -> bool:
        found = await self.condition(f"{CLUSTERS}/{name}", "Ready")
        return found is not None and found["status"] == "True"

    stack: contextlib.AsyncExitStack


@contextlib.asynccontextmanager
async def working(upstream: EmbeddedCluster, auto_publish: bool = True, *others: str) -> AsyncIterator[World]:
    access = parse(kubeconfig_of(upstream))
    settings = Settings(
        ("deployments.apps",), auto_publish, (upstream.path, *others), everywhere=False, sync=(upstream.sync_address,)
    )
    process = ControllerProcess(access, settings, "controllers-test")
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        up = await stack.enter_async_context(KubeClient(access, manager="test"))
        world = World(upstream.path, up, process)
        world.stack = stack
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(process.run(stop))
            try:
                yield world
            finally:
                stop.set()
                async with asyncio.timeout(60):
                    await running


UP = resource_path("apps", "v1", "deployments", "default")


def deployment(name: str, cluster: str, **spec: Any) -> Object:
    container = {
        "name": "c",
        "image": "nginx",
        "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kcp.dev/cluster": cluster},
            "finalizers": ["example.dev/upstream"] if spec.pop("finalizer", False) else [],
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": name}},
            "template": {"metadata": {"labels": {"a": name}}, "spec": {"containers": [container]}},
            **spec,
        },
    }


async def placed(world: World, name: str = "web", where: str = "east") -> Object | None:
    """The downstream copy."""
    found, _ = await world.down[where].list(DEPLOYMENTS)
    return next((each for each in found if each["metadata"]["name"] == name and world.path in str(each)), None)


async def ready_world(world: World, physical_server: EmbeddedServer) -> None:
    await world.define()
    await world.register("east", physical_server.create_cluster())
    await eventually(lambda: world.is_ready("east"))


async def has(world: World, path: str, **spec: Any) -> bool:
    live = await world.down["east"].get(path)
    return live is not None and all(live["spec"].get(key) == value for key, value in spec.items())


async def is_gone(world: World, path: str, where: str = "east") -> bool:
    return await world.down[where].get(path) is None


async def is_gone_above(world: World, path: str) -> bool:
    return await world.up.get(path) is None


async def has_replicas(world: World, path: str, count: int, where: str = "east") -> bool:
    live = await world.down[where].get(path)
    return live is not None and live["spec"]["replicas"] == count


def joined(upstream: EmbeddedCluster) -> list[dict[str, Any]]:
    arguments = ["syncer", "join", "inside", "--resource", "deployments.apps", "--kubeconfig", str(upstream.kubeconfig)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.output))
