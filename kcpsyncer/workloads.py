"""Places the workloads of one logical cluster, around what `placement` decides: leafs, status, Events, failover.

A workload is an object of a kind with replicas or completions, or of a kind that a policy names, that nobody has placed
by hand (label `kcp.dev/cluster`) and that no other object controls. It is looked at again whenever it or a leaf
changes, and all are whenever a policy, or something about a cluster that placing looks at, does.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kcpsyncer.conditions import Condition, status_of, with_conditions
from kcpsyncer.events import event
from kcpsyncer.imported_apis import api_of
from kcpsyncer.informer import Informer, key_of
from kcpsyncer.kube_client import Failure, KubeClient, resource_path
from kcpsyncer.placement.cluster_states import cluster_state
from kcpsyncer.placement.failover import Rate, held
from kcpsyncer.placement.failure_detection import FailureDetector, Health, Judgement
from kcpsyncer.placement.health_notes import HealthNote, health_condition, health_notes
from kcpsyncer.placement.leaf_index import LeafIndex
from kcpsyncer.placement.leafs import CLUSTER_LABEL, is_leaf, replicas_of
from kcpsyncer.placement.model import ClusterState, Policy
from kcpsyncer.placement.pod_requests import request_of
from kcpsyncer.placement.policies import GROUP, VERSION, PlacementRules, PolicyFault, chosen, read_policy
from kcpsyncer.placement.workload_step import Step, View, step
from kcpsyncer.work_queue import WorkQueue

_log = logging.getLogger(__name__)
Object = dict[str, Any]
KINDS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "Job"})
MANAGER = "kcp-placement"
TICK_S = 1.0
WORKERS = 16  # workloads at a time: each waits for the server most of the time
PATH_LABEL = "cluster.example.dev/connection-path"  # clusters with equal values are reached in the same way
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


class _Type(NamedTuple):
    """A published type whose objects are placed. `is_chosen`: only those that a policy is for."""

    group_resource: str
    has_status: bool
    is_chosen: bool


class _Followed(NamedTuple):
    type: _Type
    informer: Informer
    leafs: LeafIndex
    task: asyncio.Task[None]


class _Picture(NamedTuple):
    """All that placing looks at beside the workloads themselves."""

    types: Mapping[str, _Type]
    clusters: Mapping[str, Mapping[str, ClusterState]]  # by group resource and name
    rules: Sequence[PlacementRules]


class Workloads:
    """`run` until cancelled. `clusters`, `negotiated` and `definitions` are somebody else's informers, whose changes
    are told by `look_again`; `heard` tells of a cluster; `judged` is called with the names of those of which
    `condition` may say something else now."""

    def __init__(
        self,
        client: KubeClient,
        clusters: Informer,
        negotiated: Informer,
        definitions: Informer,
        heard: Callable[[str], Heard],
        judged: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        self._client, self._clusters, self._negotiated, self._definitions = client, clusters, negotiated, definitions
        self._heard, self._judged = heard, judged
        self._wake = asyncio.Event()
        self._types: dict[str, _Followed] = {}
        self._policies: dict[str, tuple[Informer, asyncio.Task[None]]] = {}
        self._rules: dict[str, PlacementRules] = {}  # by the policy's uid; of one that was broken the last good form
        self._picture = _Picture({}, {}, ())
        self._queue: WorkQueue[Key] = WorkQueue(self._do, workers=WORKERS)
        self._readings: WorkQueue[Key] = WorkQueue(self._tell_validity, workers=1)
        self._detector, self._rate = FailureDetector(), Rate()
        self._judgement = Judgement({})
        self._untold: deque[HealthNote] = deque(maxlen=1000)  # of more at once the oldest are not told
        self._last_tick_s = float("-inf")

    def look_again(self) -> None:
        """A cluster, a policy or the types that are served may have changed."""
        self._wake.set()

    def condition(self, cluster: str) -> Condition | None:
        """What the failure detector thinks of it; None: nothing yet."""
        return health_condition(cluster, self._judgement)

    def is_on(self, cluster: str) -> bool:
        """Whether anything that was placed by us is on it, according to what is written down."""
        for followed in self._types.values():
            for obj in followed.informer.objects.values():
                if is_leaf(obj) and (obj["metadata"].get("labels") or {}).get(CLUSTER_LABEL) == cluster:
                    return True
        return False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run())
            tasks.create_task(self._readings.run())
            tasks.create_task(self._detect())
            tasks.create_task(self._tell_health())
            while True:
                self._wake.clear()
                self._follow_policies(tasks)
                self._look(tasks)
                await self._wake.wait()

    # --- what there is

    def _look(self, tasks: asyncio.TaskGroup) -> None:
        """At all workloads, if there is a reason to."""
        types = self._wanted_types()
        clusters = {each.group_resource: self._states(each.group_resource) for each in types.values()}
        seen = _Picture(types, clusters, tuple(self._rules[uid] for uid in sorted(self._rules)))
        if seen == self._picture:
            return
        self._picture = seen
        self._follow_types(tasks, types)
        for path, followed in self._types.items():
            for obj in followed.informer.objects.values():
                if not is_leaf(obj):
                    self._queue.add(Key(path, *key_of(obj)))

    def _wanted_types(self) -> dict[str, _Type]:
        named = {(rule.group, rule.kind) for rules in self._rules.values() for rule in rules.rules if rule.kind}
        wanted = {}
        for each in self._negotiated.objects.values():
            api = api_of(each)
            published = status_of((each.get("status") or {}).get("conditions"), "Published") == "True"
            is_named = (api.group, api.kind) in named or (None, api.kind) in named
            if published and api.scope == "Namespaced" and (api.kind in KINDS or is_named):
                path = resource_path(api.group, api.version, api.plural)
                wanted[path] = _Type(api.group_resource, "status" in api.subresources, api.kind not in KINDS)
        return wanted

    def _follow_types(self, tasks: asyncio.TaskGroup, wanted: Mapping[str, _Type]) -> None:
        for path in self._types.keys() - wanted.keys():
            self._types.pop(path).task.cancel()
        for path in wanted.keys() - self._types.keys():
            leafs = LeafIndex()
            informer = Informer(self._client, path, self._changed(path, leafs))
            self._types[path] = _Followed(wanted[path], informer, leafs, tasks.create_task(informer.run()))

    def _changed(self, path: str, leafs: LeafIndex) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            leafs.change(old, new)
            for obj in (old, new):
                if obj is None:
                    continue
                namespace, name = key_of(obj)
                self._queue.add(Key(path, namespace, _root_name(obj) or name))

        return changed

    # --- policies

    def _follow_policies(self, tasks: asyncio.TaskGroup) -> None:
        """Where policies are defined."""
        for path in POLICIES:
            defined = self._definitions.get(f"{path.rpartition('/')[2]}.{GROUP}") is not None
            if defined and path not in self._policies:
                informer = Informer(self._client, path, self._policy_changed(path))
                self._policies[path] = (informer, tasks.create_task(informer.run()))

    def _policy_changed(self, path: str) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            if new is None:
                self._rules.pop((old or {})["metadata"]["uid"], None)
                self.look_again()
                return
            if old is not None and old["metadata"].get("generation") == new["metadata"].get("generation"):
                return
            try:
                self._rules[new["metadata"]["uid"]] = read_policy(new)
            except PolicyFault as fault:
                _log.warning("policy %s: %s", new["metadata"]["name"], fault)
            self._readings.add(Key(path, *key_of(new)))
            self.look_again()

        return changed

    async def _tell_validity(self, key: Key) -> None:
        """Whether it can be read; of one that cannot, what was read last goes on."""
        policy = self._policies[key.path][0].get(key.name, key.namespace)
        if policy is None:
            return
        made = Condition("Valid", "True", "Valid")
        try:
            read_policy(policy)
        except PolicyFault as fault:
            made = Condition("Valid", "False", "Invalid", str(fault))
        before = policy.get("status") or {}
        conditions = with_conditions(before.get("conditions"), [made], _now())
        status = {"observedGeneration": policy["metadata"].get("generation"), "conditions": conditions}
        if status != before:
            await self._client.update(f"{_object_path(key)}/status", {**policy, "status": status})

    # --- who is silent

    async def _detect(self) -> None:
        while True:
            now_s = asyncio.get_running_loop().time()
            labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in self._clusters_there()}
            self._detector.watch({name: found.get(PATH_LABEL) or "" for name, found in labels.items()})
            heard = [name for name in labels if (self._heard(name).at_s or 0) > self._last_tick_s]
            before, self._judgement = self._judgement, self._detector.tick(now_s, heard)
            self._last_tick_s = now_s
            if self._judgement != before:
                if self._judgement.frozen and self._judgement.frozen != before.frozen:
                    _log.warning("failover is frozen: %s", self._judgement.frozen)
                self._untold += health_notes(before, self._judgement)
                self._judged(labels)
                self.look_again()
            await asyncio.sleep(TICK_S)

    async def _tell_health(self) -> None:
        """Apart from detecting, which waits for nobody."""
        while True:
            while self._untold:
                note = self._untold.popleft()
                if (cluster := self._clusters.get(note.cluster)) is not None:
                    await self._tell(cluster, note.kind, note.reason, note.message)
            await asyncio.sleep(TICK_S)

    def _clusters_there(self) -> Iterable[Object]:
        return self._clusters.objects.values()

    def _states(self, group_resource: str) -> dict[str, ClusterState]:
        found = {}
        for each in self._clusters_there():
            name = each["metadata"]["name"]
            # No agent stops its copies by itself yet: what may run at most once is not replaced.
            found[name] = cluster_state(each, group_resource, self._judgement.health.get(name, Health.HEALTHY))
        return found

    # --- one workload

    async def _do(self, key: Key) -> float | None:
        followed = self._types.get(key.path)
        if followed is None or not followed.informer.synced.is_set():
            return None
        root = followed.informer.get(key.name, key.namespace)
        if root is None or not is_workload(root):
            return None
        leafs = [each for each in followed.leafs.of(root) if not each["metadata"].get("deletionTimestamp")]
        rules = chosen(self._picture.rules, root)
        if followed.type.is_chosen and not _is_named(rules, root):
            return None  # no policy is for it, or none any more: what there is stays
        clusters = self._picture.clusters.get(followed.type.group_resource) or {}
        hold = self._hold(rules.policy if rules is not None else Policy(), leafs, clusters)
        now_s = asyncio.get_running_loop().time()
        view = View(root, leafs, clusters, rules, _now(), request_of(root), hold)
        wanted = step(view)
        if _fails_over(wanted, leafs, clusters) and not self._rate.take(now_s):
            wanted = step(replace(view, may_fail_over=False))
        await self._carry_out(key, root, wanted, followed.type.has_status)
        if wanted.waits_for_rate:
            return self._rate.wait_s()
        return max(0.1, hold.until_s - now_s) if hold.until_s is not None else None

    def _hold(self, policy: Policy, leafs: Iterable[Object], clusters: Mapping[str, ClusterState]) -> Any:
        given = {leaf["metadata"]["labels"][CLUSTER_LABEL]: replicas_of(leaf) for leaf in leafs}
        renewals = {name: self._heard(name).renewed_s for name in given}
        return held(policy.guarantee, given, clusters, renewals, asyncio.get_running_loop().time())

    async def _carry_out(self, key: Key, root: Object, wanted: Step, has_status: bool) -> None:
        for leaf in wanted.applied:
            path = _object_path(key._replace(name=leaf["metadata"]["name"]))
            await self._client.apply(path, leaf, manager=MANAGER)
        for gone in wanted.deleted:
            metadata = gone["metadata"]
            await self._client.delete(_object_path(key._replace(name=metadata["name"])), metadata["uid"])
        if wanted.status is not None and has_status:
            await self._client.update(f"{_object_path(key)}/status", {**root, "status": wanted.status})
        for note in wanted.notes:
            await self._tell(root, note.kind, note.reason, note.message)

    async def _tell(self, about: Object, kind: str, reason: str, message: str) -> None:
        namespace = about["metadata"].get("namespace") or "default"
        try:
            made = event(about, reason, message, kind=kind)
            await self._client.create(resource_path("", "v1", "events", namespace), made)
        except Failure as failure:
            _log.info("an event cannot be written: %s", failure)


def _object_path(key: Key) -> str:
    base, _, plural = key.path.rpartition("/")
    place = f"{base}/namespaces/{key.namespace}" if key.namespace else base
    return f"{place}/{plural}/{key.name}"


def _is_named(rules: PlacementRules | None, root: Mapping[str, Any]) -> bool:
    """Whether a policy is meant for its kind: one for everything leaves alone what has no replicas."""
    return rules is not None and any(rule.kind and rule.matches(root) for rule in rules.rules)


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
