"""Places the workloads of one logical cluster, around what `placement` decides: leafs, status, Events, failover.

A workload is an object of a kind with replicas or completions that nobody has placed by hand (label `kcp.dev/cluster`)
and that no other object controls. It is looked at again whenever it, a leaf, a policy or a cluster changes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kcpsyncer.conditions import status_of
from kcpsyncer.events import event
from kcpsyncer.imported_apis import api_of
from kcpsyncer.informer import Informer, key_of
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.placement.failover import Rate, held
from kcpsyncer.placement.failure_detection import FailureDetector, Health, Judgement
from kcpsyncer.placement.leafs import CLUSTER_LABEL, belongs_to, is_leaf, replicas_of
from kcpsyncer.placement.model import ClusterState, Policy, Taint
from kcpsyncer.placement.policies import GROUP, VERSION, PlacementRules, PolicyFault, chosen, read_policy
from kcpsyncer.placement.workload_step import Step, View, step
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
KINDS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "Job"})
MANAGER = "kcp-placement"
TICK_S = 1.0
POLICIES = tuple(resource_path(GROUP, VERSION, plural) for plural in ("placementpolicies", "clusterplacementpolicies"))


class Heard(NamedTuple):
    """When the cluster itself was last known to answer, on this loop's clock; its agent's lease; both None: never."""

    at_s: float | None
    renewed_s: float | None


class Key(NamedTuple):
    """Of a root: the list path of its type, its namespace and name."""

    path: str
    namespace: str
    name: str


class _Followed(NamedTuple):
    informer: Informer
    group_resource: str
    task: asyncio.Task[None]


class Workloads:
    """`run` until cancelled. `clusters`, `negotiated` and `definitions` are somebody else's informers, whose changes
    are told by `look_again`; `heard` tells of a cluster."""

    def __init__(
        self,
        client: KubeClient,
        clusters: Informer,
        negotiated: Informer,
        definitions: Informer,
        heard: Callable[[str], Heard],
    ) -> None:
        self._client, self._clusters, self._negotiated, self._definitions = client, clusters, negotiated, definitions
        self._heard = heard
        self._wake = asyncio.Event()
        self._types: dict[str, _Followed] = {}
        self._policies: dict[str, tuple[Informer, asyncio.Task[None]]] = {}
        self._rules: list[PlacementRules] = []
        self._queue: WorkQueue[Key] = WorkQueue(self._do, workers=8)
        self._detector, self._rate = FailureDetector(), Rate()
        self._judgement = Judgement({})
        self._last_tick_s = float("-inf")

    def look_again(self) -> None:
        """At everything: a cluster, a policy or the types that are served have changed."""
        self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run())
            tasks.create_task(self._detect())
            while True:
                self._wake.clear()
                self._follow_policies(tasks)
                self._follow_types(tasks)
                self._add_all()
                await self._wake.wait()

    # --- what there is

    def _follow_types(self, tasks: asyncio.TaskGroup) -> None:
        wanted: dict[str, str] = {}
        for each in self._negotiated.objects.values():
            api = api_of(each)
            published = status_of((each.get("status") or {}).get("conditions"), "Published") == "True"
            if published and api.kind in KINDS and api.scope == "Namespaced":
                wanted[resource_path(api.group, api.version, api.plural)] = api.group_resource
        for path in self._types.keys() - wanted.keys():
            self._types.pop(path).task.cancel()
        for path in wanted.keys() - self._types.keys():
            informer = Informer(self._client, path, self._changed(path))
            self._types[path] = _Followed(informer, wanted[path], tasks.create_task(informer.run()))

    def _changed(self, path: str) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            for obj in (old, new):
                if obj is None:
                    continue
                namespace, name = key_of(obj)
                self._queue.add(Key(path, namespace, _root_name(obj) or name))

        return changed

    def _follow_policies(self, tasks: asyncio.TaskGroup) -> None:
        """Where policies are defined. One that cannot be read counts for nothing, and its log says why."""
        for path in POLICIES:
            defined = self._definitions.get(f"{path.rpartition('/')[2]}.{GROUP}") is not None
            if defined and path not in self._policies:
                informer = Informer(self._client, path, lambda *_: self._policies_changed())
                self._policies[path] = (informer, tasks.create_task(informer.run()))

    def _policies_changed(self) -> None:
        self._rules = []
        for informer, _ in self._policies.values():
            for obj in informer.objects.values():
                try:
                    self._rules.append(read_policy(obj))
                except PolicyFault as fault:
                    _log.warning("policy %s: %s", obj["metadata"]["name"], fault)
        self.look_again()

    def _add_all(self) -> None:
        for path, followed in self._types.items():
            for obj in followed.informer.objects.values():
                if not is_leaf(obj):
                    self._queue.add(Key(path, *key_of(obj)))

    # --- who is silent

    async def _detect(self) -> None:
        while True:
            now_s = asyncio.get_running_loop().time()
            self._detector.watch({each["metadata"]["name"]: "" for each in self._clusters.objects.values()})
            heard = (each for each in self._detector_names() if (self._heard(each).at_s or 0) > self._last_tick_s)
            before, self._judgement = self._judgement, self._detector.tick(now_s, list(heard))
            self._last_tick_s = now_s
            if self._judgement.frozen and self._judgement.frozen != before.frozen:
                _log.warning("failover is frozen: %s", self._judgement.frozen)
            if self._judgement != before:
                self.look_again()
            await asyncio.sleep(TICK_S)

    def _detector_names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self._clusters.objects.values()]

    def _states(self, group_resource: str) -> dict[str, ClusterState]:
        found = {}
        for each in self._clusters.objects.values():
            metadata, spec = each["metadata"], each.get("spec") or {}
            health = self._judgement.health.get(metadata["name"], Health.HEALTHY)
            found[metadata["name"]] = ClusterState(
                metadata["name"],
                metadata.get("labels") or {},
                tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in spec.get("taints") or ()),
                serves=group_resource in ((each.get("status") or {}).get("syncedResources") or ()),
                is_cordoned=bool(spec.get("cordon")),
                is_draining=bool(spec.get("drain") or metadata.get("deletionTimestamp")),
                is_suspect=health is Health.SUSPECT,
                is_lost=health is Health.LOST,
                is_pull=False,  # no agent stops its copies by itself yet: what may run at most once is not replaced
            )
        return found

    # --- one workload

    async def _do(self, key: Key) -> float | None:
        followed = self._types.get(key.path)
        if followed is None or not followed.informer.synced.is_set():
            return None
        root = followed.informer.get(key.name, key.namespace)
        if root is None or not is_workload(root):
            return None
        found = followed.informer.objects.values()
        leafs = [each for each in found if is_leaf(each) and belongs_to(each, root)]
        leafs = [each for each in leafs if not each["metadata"].get("deletionTimestamp")]
        rules = chosen(self._rules, root)
        clusters = self._states(followed.group_resource)
        hold = self._hold(rules.policy if rules is not None else Policy(), leafs, clusters)
        now_s = asyncio.get_running_loop().time()
        view = View(root, leafs, clusters, rules, _now(), {}, hold)
        wanted = step(view)
        if _fails_over(wanted, leafs, clusters) and not self._rate.take(now_s):
            wanted = step(replace(view, may_fail_over=False))
        await self._carry_out(key, root, wanted)
        if wanted.waits_for_rate:
            return self._rate.wait_s()
        return max(0.1, hold.until_s - now_s) if hold.until_s is not None else None

    def _hold(self, policy: Policy, leafs: Iterable[Object], clusters: Mapping[str, ClusterState]) -> Any:
        given = {leaf["metadata"]["labels"][CLUSTER_LABEL]: replicas_of(leaf) for leaf in leafs}
        renewals = {name: self._heard(name).renewed_s for name in given}
        return held(policy.guarantee, given, clusters, renewals, asyncio.get_running_loop().time())

    async def _carry_out(self, key: Key, root: Object, wanted: Step) -> None:
        place = key.path.rpartition("/")
        below = f"{place[0]}/namespaces/{key.namespace}/{place[2]}"
        for leaf in wanted.applied:
            await self._client.apply(f"{below}/{leaf['metadata']['name']}", leaf, manager=MANAGER)
        for gone in wanted.deleted:
            await self._client.delete(f"{below}/{gone['metadata']['name']}", gone["metadata"]["uid"])
        if wanted.status is not None:
            await self._client.update(f"{below}/{key.name}/status", {**root, "status": wanted.status})
        for note in wanted.notes:
            made = event(root, note.reason, note.message, kind=note.kind)
            try:
                await self._client.create(resource_path("", "v1", "events", key.namespace), made)
            except Failure as failure:
                _log.info("an event cannot be written: %s", failure)


def is_workload(obj: Mapping[str, Any]) -> bool:
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    controlled = any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
    return not (metadata.get("deletionTimestamp") or controlled or CLUSTER_LABEL in labels or is_leaf(obj))


def _root_name(leaf: Mapping[str, Any]) -> str:
    """By its owner reference; "" of what is no leaf."""
    if not is_leaf(leaf):
        return ""
    return next((str(o["name"]) for o in leaf["metadata"].get("ownerReferences") or ()), "")


def _fails_over(wanted: Step, leafs: Iterable[Object], clusters: Mapping[str, ClusterState]) -> bool:
    """Whether the step takes copies of a lost cluster elsewhere."""
    lost = {name for name, each in clusters.items() if each.is_lost}
    lost |= {leaf["metadata"]["labels"][CLUSTER_LABEL] for leaf in leafs} - clusters.keys()
    return any(leaf["metadata"]["labels"][CLUSTER_LABEL] in lost for leaf in wanted.deleted)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
