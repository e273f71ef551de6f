"""The multi-cluster controllers of one logical cluster: registration and negotiation, around what `controllers` decide.

Nothing happens where no Cluster is defined: the definitions are somebody's `kubectl apply -f config/`.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kcpshard.rpc.transport import is_unix
from kcpsyncer.agent import FAULT_ANNOTATION, LEFT_ANNOTATION, NAMESPACE, SILENT, Registered
from kcpsyncer.agent_admission import AgentAdmission
from kcpsyncer.agent_pool import AgentPool
from kcpsyncer.conditions import Condition, status_of, with_conditions
from kcpsyncer.controllers.api_negotiation import Plan, View, negotiate
from kcpsyncer.controllers.cluster_offers import (
    Offer,
    is_inherited,
    is_like,
    mirror,
    missing,
    provider_of,
    usable,
)
from kcpsyncer.controllers.cluster_registration import FINALIZER, Heartbeat, Registration, Source, is_pull, register
from kcpsyncer.definitions import CLUSTERS, definitions
from kcpsyncer.imported_apis import GROUP, IMPORTS, NEGOTIATED, VERSION, api_of
from kcpsyncer.informer import Informer
from kcpsyncer.kube_client import Failure, KubeClient, resource_path, tls_fault
from kcpsyncer.offered_clusters import OfferedClusters
from kcpsyncer.services.definitions import EXPORTS
from kcpsyncer.services.discovery import ServiceDiscovery
from kcpsyncer.settings import Settings
from kcpsyncer.work_queue import WorkQueue
from kcpsyncer.workloads import Heard, Workloads

_log = logging.getLogger(__name__)
Object = dict[str, Any]
GroupResource = tuple[str, str]  # group ("" is the core group), plural
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CLUSTERS = resource_path("cluster.example.dev", "v1alpha1", "clusters")
_IMPORTS, _NEGOTIATED = resource_path(GROUP, VERSION, IMPORTS), resource_path(GROUP, VERSION, NEGOTIATED)
_LEASES = resource_path("coordination.k8s.io", "v1", "leases", NAMESPACE)
LOOK_AGAIN_S = 5.0  # at a Cluster: a heartbeat that stays away is no event, and a Secret may have changed
LEAVING_S = 10.0
INHERIT_S = 10.0  # between two looks at what ancestors offer
REVOKED_S = 60.0  # after which what is still placed on a cluster that may not be used is removed, drained or not
OFFERS = "kcp-offers"  # the field manager of what is mirrored


class LogicalCluster:
    """`run` until cancelled, with the client open."""

    def __init__(
        self, path: str, client: KubeClient, settings: Settings, agents: AgentPool, offers: OfferedClusters
    ) -> None:
        self._path, self._client, self._settings, self._agents = path, client, settings, agents
        self._offers = offers
        self._revoked: dict[str, float] = {}  # uid of a Cluster → since when it may not be used any more
        self._defined = asyncio.Event()
        self._definitions = Informer(client, _DEFINITIONS, self._definition_changed)
        self._clusters = Informer(client, _CLUSTERS, self._cluster_changed)
        self._imports = Informer(client, _IMPORTS, self._import_changed)
        self._negotiated = Informer(client, _NEGOTIATED, self._negotiated_changed)
        self._leases = Informer(client, _LEASES, self._lease_changed)
        self._admission = AgentAdmission(client)
        self._workloads = Workloads(
            client, self._clusters, self._negotiated, self._definitions, self._heard, self._judged
        )
        self._services = ServiceDiscovery(path, client)
        self._answers: dict[str, float] = {}  # when the cluster itself was last said to answer
        self._beats: dict[str, float] = {}  # when a lease was last seen to change, on this loop's clock
        self._apis: WorkQueue[GroupResource] = WorkQueue(self._negotiate)
        self._registrations: WorkQueue[str] = WorkQueue(self._register)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._definitions.run())
                await self._defined.wait()
                await self._complete_definitions()
                informers = (self._clusters, self._imports, self._negotiated, self._leases)
                for informer in informers:
                    tasks.create_task(informer.run())
                for informer in informers:
                    await informer.synced.wait()
                tasks.create_task(self._apis.run())
                tasks.create_task(self._registrations.run())
                tasks.create_task(self._admission.run())
                tasks.create_task(self._workloads.run())
                tasks.create_task(self._inherit())
                tasks.create_task(self._services.run())
        finally:
            self._agents.stop_all(self._path)

    # --- what has changed

    def _definition_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        if new is not None and new["metadata"]["name"] == CLUSTERS and _is_established(new):
            self._defined.set()
        if new is not None and new["metadata"]["name"] == EXPORTS and _is_established(new):
            self._services.begin()
        self._apis.add((obj["spec"].get("group") or "", obj["spec"]["names"]["plural"]))
        self._workloads.look_again()

    def _import_changed(self, old: Object | None, new: Object | None) -> None:
        self._negotiated_changed(old, new)
        self._registrations.add((new or old or {})["spec"].get("location") or "")

    def _negotiated_changed(self, old: Object | None, new: Object | None) -> None:
        self._workloads.look_again()
        for obj in (old, new):
            if obj is not None:
                self._apis.add(_group_resource(obj))

    def _cluster_changed(self, old: Object | None, new: Object | None) -> None:
        self._registrations.add((new or old or {})["metadata"]["name"])
        self._workloads.look_again()

    def _judged(self, names: Iterable[str]) -> None:
        for name in names:
            self._registrations.add(name)

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        if new is None:
            self._beats.pop(name, None)
            self._answers.pop(name, None)
            return
        was_silent = name not in self._beats
        told = any(_annotation(old, name) != _annotation(new, name) for name in (FAULT_ANNOTATION, LEFT_ANNOTATION))
        if old is None or old["spec"].get("renewTime") != new["spec"].get("renewTime"):
            self._beats[name] = asyncio.get_running_loop().time()
            if not _annotation(new, FAULT_ANNOTATION).startswith(SILENT):
                self._answers[name] = self._beats[name]
        if was_silent or told:
            self._registrations.add(name)

    async def _complete_definitions(self) -> None:
        """Whoever applied one of them wants all."""
        for made in definitions():
            name = made["metadata"]["name"]
            while (present := self._definitions.get(name)) is None or not _is_established(present):
                if present is None:
                    try:
                        await self._client.create(_DEFINITIONS, made)
                    except Failure as failure:
                        _log.info("%s: definition %s: %s", self._path, name, failure)
                await asyncio.sleep(0.1)

    # --- registration

    async def _register(self, name: str) -> float | None:
        cluster = self._clusters.get(name)
        if cluster is None:
            self._agents.stop_all(self._path, name)
            self._admission.forget(name)
            self._services.reach(name, None)
            return None
        registered = Registered(self._path, name, cluster["metadata"]["uid"])
        if provider := provider_of(cluster):
            return await self._register_offered(cluster, registered, provider)
        imports = list(self._imports.objects.values())
        found = register(cluster, await self._source(cluster, self._client), imports, self._beat(name), tls_fault)
        resources = tuple(cluster["spec"].get("resources") or self._settings.resources)
        if found.is_leaving or found.access is not None:  # what a kubeconfig that is broken for now leads to stays
            self._services.reach(name, None if found.is_leaving else found.access)
        if found.is_leaving:
            return await self._leave(cluster, registered, found, resources)
        pulls = is_pull(cluster)
        if (pulls or found.access is not None) and FINALIZER not in (cluster["metadata"].get("finalizers") or ()):
            await self._set_finalizers(cluster, [*(cluster["metadata"].get("finalizers") or ()), FINALIZER])
        if pulls:
            await self._admission.admit(cluster)
        if found.access is None:
            self._agents.stop(registered)
        else:
            self._agents.run(registered, found.access, resources)
        await self._write_status(cluster, found)
        return LOOK_AGAIN_S

    async def _source(self, cluster: Object, client: KubeClient) -> Source:
        """`client` speaks to the logical cluster where it is registered."""
        spec = cluster.get("spec") or {}
        if client is self._client and not is_pull(cluster) and self._path not in self._settings.logical_clusters:
            return Source(None, "clusters are not registered in this logical cluster, only offered to it")
        reference = spec.get("kubeconfigSecretRef")
        if not reference:
            return Source(spec.get("kubeconfig"), "is not set")
        where = "spec.kubeconfigSecretRef"
        secret = await client.get(resource_path("", "v1", "secrets", reference["namespace"], reference["name"]))
        if secret is None:
            return Source(None, f"there is no Secret {reference['namespace']}/{reference['name']}", where)
        key = reference.get("key") or "kubeconfig"
        value = (secret.get("data") or {}).get(key)
        if value is None:
            return Source(None, f"the Secret has no key {key}", where)
        try:
            return Source(base64.b64decode(value).decode(), "", where)
        except (binascii.Error, UnicodeDecodeError):
            return Source(None, f"the Secret's key {key} is not text", where)

    def _beat(self, name: str) -> Heartbeat:
        seen = self._beats.get(name)
        if seen is None:
            return Heartbeat()
        lease = self._leases.get(name, NAMESPACE)
        age_s = asyncio.get_running_loop().time() - seen
        return Heartbeat(age_s, _annotation(lease, FAULT_ANNOTATION), _annotation(lease, LEFT_ANNOTATION))

    def _heard(self, name: str) -> Heard:
        return Heard(self._answers.get(name), self._beats.get(name))

    async def _leave(
        self, cluster: Object, registered: Registered, found: Registration, resources: tuple[str, ...]
    ) -> float | None:
        finalizers = cluster["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            self._agents.stop(registered)
            return None
        if not found.release and is_pull(cluster):
            await self._write_status(cluster, found)
            return LOOK_AGAIN_S
        if not found.release:
            assert found.access is not None
            try:
                await self._agents.leave(registered, found.access, resources)
            except Failure as failure:
                _log.info("%s cannot be left yet: %s", registered.name, failure)
                await self._write_status(cluster, found)
                return LEAVING_S
        self._agents.stop(registered)
        await self._client.delete(f"{_LEASES}/{registered.name}")
        await self._set_finalizers(cluster, [each for each in finalizers if each != FINALIZER])
        return None

    # --- clusters that are somebody else's

    async def _inherit(self) -> None:
        """Makes Clusters of what ancestors offer; each goes by itself when it is not offered any more."""
        while True:
            try:
                offered = await self._offers.inherited(self._path)
                for made in missing(offered, self._clusters.objects.values()):
                    await self._client.apply(f"{_CLUSTERS}/{made['metadata']['name']}", made, manager=OFFERS)
            except Failure as failure:
                _log.info("%s: what is offered cannot be found out: %s", self._path, failure)
            await asyncio.sleep(INHERIT_S)

    async def _register_offered(self, cluster: Object, registered: Registered, provider: str) -> float | None:
        metadata = cluster["metadata"]
        offer = await self._offers.find(self._path, provider, metadata["name"])
        source = await self._offered_source(offer, provider)
        found = register(cluster, source, list(self._imports.objects.values()), self._beat(registered.name), tls_fault)
        resources = tuple(((offer.cluster or {}).get("spec") or {}).get("resources") or self._settings.resources)
        standing = usable(offer)
        if found.is_leaving or self._has_ended(registered, standing.status == "True"):
            self._services.reach(registered.name, None)
            return await self._leave_offered(cluster, registered, provider, found, resources)
        if standing.status == "True" and offer.cluster is not None:
            if FINALIZER not in (metadata.get("finalizers") or ()):
                await self._set_finalizers(cluster, [*(metadata.get("finalizers") or ()), FINALIZER])
            await self._offers.hold(self._path, provider, dict(offer.cluster))
            if found.access is not None:
                self._services.reach(registered.name, found.access)
                self._agents.run(registered, found.access, resources)
        if offer.cluster is not None and offer.is_allowed:
            wanted = mirror(provider, offer.cluster, is_inherited(cluster))
            if not is_like(cluster, wanted):
                await self._client.apply(f"{_CLUSTERS}/{registered.name}", wanted, manager=OFFERS)
        await self._write_status(cluster, found._replace(conditions=(*_discreet(found), standing)))
        return LOOK_AGAIN_S

    async def _offered_source(self, offer: Offer, provider: str) -> Source:
        if offer.cluster is None:
            return Source(None, "it is not offered")
        if is_pull(offer.cluster):
            return Source(None, "its agent serves the logical cluster of its owner only")
        return await self._source(dict(offer.cluster), await self._offers.of(provider))

    def _has_ended(self, registered: Registered, is_usable: bool) -> bool:
        """Whether what is not usable any more has been drained, or has had the time to be."""
        if is_usable:
            self._revoked.pop(registered.uid, None)
            return False
        now_s = asyncio.get_running_loop().time()
        since_s = self._revoked.setdefault(registered.uid, now_s)
        is_drained = not self._workloads.is_on(registered.name) and now_s - since_s > LOOK_AGAIN_S
        return is_drained or now_s - since_s > REVOKED_S

    async def _leave_offered(
        self, cluster: Object, registered: Registered, provider: str, found: Registration, resources: tuple[str, ...]
    ) -> float | None:
        """Nothing of ours is left there, and the provider's Cluster may go. One that we made ourselves goes too."""
        if FINALIZER in (cluster["metadata"].get("finalizers") or ()):
            if found.access is not None:
                try:
                    await self._agents.leave(registered, found.access, resources)
                except Failure as failure:
                    _log.info("%s cannot be left yet: %s", registered.name, failure)
                    return LEAVING_S
            await self._offers.release(self._path, provider, registered.name)
            await self._client.delete(f"{_LEASES}/{registered.name}")
            kept = [each for each in cluster["metadata"]["finalizers"] if each != FINALIZER]
            await self._set_finalizers(cluster, kept)
        self._agents.stop(registered)
        if found.is_leaving:
            self._revoked.pop(registered.uid, None)
            return None
        if is_inherited(cluster):
            await self._client.delete(f"{_CLUSTERS}/{registered.name}", registered.uid)
            return None
        await self._write_status(cluster, found._replace(conditions=(*_discreet(found), usable(Offer(None, False)))))
        return LOOK_AGAIN_S

    async def _set_finalizers(self, cluster: Object, finalizers: list[str]) -> None:
        metadata = {"finalizers": finalizers, "resourceVersion": cluster["metadata"]["resourceVersion"]}
        await self._client.merge(f"{_CLUSTERS}/{cluster['metadata']['name']}", {"metadata": metadata})

    async def _write_status(self, cluster: Object, found: Registration) -> None:
        status = cluster.get("status") or {}
        old = status.get("conditions") or []
        judged = self._workloads.condition(cluster["metadata"]["name"])
        wanted_conditions = [*found.conditions, *([judged] if judged is not None else [])]
        conditions = with_conditions(old, wanted_conditions, _now(), found.without)
        wanted: Object = {}
        if conditions != old:
            wanted["conditions"] = conditions
        if list(found.synced) != (status.get("syncedResources") or []):
            wanted["syncedResources"] = list(found.synced)
        if is_pull(cluster) and (sync := self._sync()) != (status.get("sync") or {}):
            wanted["sync"] = sync
        if wanted:
            await self._client.merge(f"{_CLUSTERS}/{cluster['metadata']['name']}/status", {"status": wanted})

    def _sync(self) -> Object:
        """What an agent must know to find us: on the network, if we are there."""
        network = [word for each in self._settings.sync for word in each.split() if not is_unix(word)]
        if network:
            return {"addresses": network, "certificateAuthority": self._settings.sync_authority}
        return {"addresses": list(self._settings.sync)} if self._settings.sync else {}

    # --- negotiation

    async def _negotiate(self, key: GroupResource) -> float | None:
        if not (self._imports.synced.is_set() and self._negotiated.synced.is_set()):
            return 1.0
        group, plural = key
        view = View(
            [each for each in self._imports.objects.values() if _group_resource(each) == key],
            [each for each in self._negotiated.objects.values() if _group_resource(each) == key],
            self._definitions.get(f"{plural}.{group or 'core'}"),
        )
        if not view.imports and not view.negotiated:
            return None
        plan = negotiate(view, self._settings.auto_publish, _now())
        if plan.must_count:
            count = await self._has_objects(view)
            plan = negotiate(view._replace(has_objects=count), self._settings.auto_publish, _now())
            await self._carry_out(plan, view)
            return 10.0 if count else None
        await self._carry_out(plan, view)
        return None

    async def _has_objects(self, view: View) -> bool:
        assert view.definition is not None
        spec = view.definition["spec"]
        for version in spec["versions"]:
            if version.get("served"):
                path = resource_path(spec.get("group") or "", version["name"], spec["names"]["plural"])
                page = await self._client.request("GET", path, query={"limit": "1"})
                return bool(page.get("items"))
        return False

    async def _carry_out(self, plan: Plan, view: View) -> None:
        known = {each["metadata"]["name"]: each for each in view.negotiated}
        for wanted in plan.negotiated:
            await self._write(_NEGOTIATED, known.get(wanted["metadata"]["name"]), wanted)
        if plan.delete_definition and view.definition is not None:
            metadata = view.definition["metadata"]
            await self._client.delete(f"{_DEFINITIONS}/{metadata['name']}", metadata["uid"])
        elif plan.definition is not None and view.definition is None:
            await self._client.create(_DEFINITIONS, plan.definition)
        elif plan.definition is not None:
            await self._client.update(f"{_DEFINITIONS}/{plan.definition['metadata']['name']}", plan.definition)
        for wanted in plan.imports:
            await self._client.update(f"{_IMPORTS}/{wanted['metadata']['name']}/status", wanted)
        for gone in plan.removed:
            await self._client.delete(f"{_NEGOTIATED}/{gone['metadata']['name']}", gone["metadata"]["uid"])

    async def _write(self, path: str, present: Object | None, wanted: Object) -> None:
        """Spec and status are written apart, as the API has it."""
        if present is None:
            stored = await self._client.create(path, {k: v for k, v in wanted.items() if k != "status"})
        elif _without_status(present) != _without_status(wanted):
            stored = await self._client.update(f"{path}/{wanted['metadata']['name']}", wanted)
        else:
            stored = present
        if wanted.get("status") and stored.get("status") != wanted["status"]:
            await self._client.update(
                f"{path}/{wanted['metadata']['name']}/status", {**stored, "status": wanted["status"]}
            )


def _discreet(found: Registration) -> tuple[Condition, ...]:
    """What is wrong with its owner's kubeconfig is its owner's business."""
    return tuple(
        each if each.reason not in ("InvalidKubeConfig", "ErrorCreatingClient")
        else each._replace(reason="NotReachable", message="it cannot be reached as its owner has registered it")
        for each in found.conditions
    )  # fmt: skip


def _group_resource(obj: Object) -> GroupResource:
    api = api_of(obj)
    return api.group, api.plural


def _is_established(definition: Mapping[str, Any]) -> bool:
    return status_of((definition.get("status") or {}).get("conditions"), "Established") == "True"


def _without_status(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key != "status"}


def _annotation(lease: Object | None, name: str) -> str:
    return ((lease or {}).get("metadata", {}).get("annotations") or {}).get(name) or ""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
