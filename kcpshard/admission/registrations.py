"""What a logical cluster has registered for admission: policies with their bindings, and webhooks.

Kept on `LogicalCluster.cached`: for a logical cluster without registrations a write costs one dict lookup. Made of the
durable state when somebody first writes, and made anew after a commit that changes one of the six kinds; what has not
changed stays compiled. Decides nothing about a write: that is `matching` and the policies' and webhooks' own modules.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from kcpshard.admission.policy_definitions import MutatingPolicy, Policy, ValidatingPolicy
from kcpshard.admission.webhook_definitions import Webhook, webhooks_of
from kcpshard.api.errors import ApiError
from kcpshard.api.events import Commit
from kcpshard.api.requests import Identity
from kcpshard.authorization import attributes as authorization
from kcpshard.authorization.authorizer import Authorizer
from kcpshard.cel.authorization import Decision, Question
from kcpshard.definitions.contract import Catalog, Resource
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore
from kcpshard.tenancy.directory import Directory

GROUP = "admissionregistration.k8s.io"
VALIDATING_POLICIES = f"validatingadmissionpolicies.{GROUP}"
VALIDATING_BINDINGS = f"validatingadmissionpolicybindings.{GROUP}"
MUTATING_POLICIES = f"mutatingadmissionpolicies.{GROUP}"
MUTATING_BINDINGS = f"mutatingadmissionpolicybindings.{GROUP}"
VALIDATING_WEBHOOKS = f"validatingwebhookconfigurations.{GROUP}"
MUTATING_WEBHOOKS = f"mutatingwebhookconfigurations.{GROUP}"
KINDS = frozenset(
    (VALIDATING_POLICIES, VALIDATING_BINDINGS, MUTATING_POLICIES, MUTATING_BINDINGS, VALIDATING_WEBHOOKS,
     MUTATING_WEBHOOKS)
)  # fmt: skip
# By webhooks none of them is judged, by policies not the policies.
POLICY_KINDS = KINDS - {VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS}
_CACHED = "admission"  # key in LogicalCluster.cached
_SCANNED = 256


class Registered:
    """The registrations of one logical cluster, each kind in the order of its names."""

    __slots__ = ("is_stale", "made", "mutating_policies", "mutating_webhooks", "validating_policies",
                 "validating_webhooks")  # fmt: skip

    def __init__(self) -> None:
        self.validating_policies: list[Policy] = []
        self.mutating_policies: list[Policy] = []
        self.validating_webhooks: list[Webhook] = []
        self.mutating_webhooks: list[Webhook] = []
        self.made: dict[tuple[str, str, int], Any] = {}  # by kind, name and revision: what need not be compiled again
        self.is_stale = False

    def __bool__(self) -> bool:
        return bool(
            self.validating_policies or self.mutating_policies or self.validating_webhooks or self.mutating_webhooks
        )


_EMPTY = Registered()


class Registry:
    """One shard's registrations. Listens to the store."""

    def __init__(self, store: ObjectStore, catalog: Catalog, authorizer: Authorizer) -> None:
        self.store, self.catalog, self._authorizer = store, catalog, authorizer
        self.directory: Directory | None = None  # of workspace types
        store.on_commit(self._see)

    def of(self, cluster: LogicalCluster | None) -> Registered | None:
        """None if the logical cluster has registered nothing, by far the most common case."""
        if cluster is None:
            return None
        found = cluster.cached.get(_CACHED)
        if found is _EMPTY:
            return None
        if type(found) is not Registered or found.is_stale:
            found = self._build(cluster, found if type(found) is Registered else _EMPTY)
        return found or None

    def decide(self, cluster: LogicalCluster) -> Callable[[Question], Decision]:
        """The authoriser of one request: what was asked once is not asked again."""
        known: dict[Any, Decision] = {}

        def decide(question: Question) -> Decision:
            key = (question.identity.username, question.identity.groups, question[1:])
            if key not in known:
                known[key] = self._answer(cluster, question)
            return known[key]

        return decide

    def _answer(self, cluster: LogicalCluster, question: Question) -> Decision:
        asked = question
        if asked.path:
            wanted = authorization.Attributes(asked.verb, path=asked.path)
        else:
            wanted = authorization.Attributes(
                asked.verb, asked.group, "*", asked.resource, asked.subresource, asked.namespace, asked.name
            ).narrowed(asked.field_selector, asked.label_selector)
        try:
            found = self._authorizer.decide_about(cluster, asked.identity, wanted)
        except ApiError as error:
            return Decision(False, "", str(error))
        return Decision(found.allowed, found.reason)

    def equivalents(self, cluster: LogicalCluster | None, resource: Resource) -> Sequence[Resource]:
        """The same objects under other versions, the resource itself left out."""
        kept = resource.group_resource
        return [r for r in self.catalog.resources(cluster) if r.group_resource == kept and r is not resource]

    def _build(self, cluster: LogicalCluster, before: Registered) -> Registered:
        if not any(self.store.count(cluster, kind) for kind in KINDS):
            cluster.cached[_CACHED] = _EMPTY
            return _EMPTY
        found = Registered()
        found.validating_policies = self._policies(
            cluster, before, found, VALIDATING_POLICIES, VALIDATING_BINDINGS, ValidatingPolicy
        )
        found.mutating_policies = self._policies(
            cluster, before, found, MUTATING_POLICIES, MUTATING_BINDINGS, MutatingPolicy
        )
        found.validating_webhooks = self._webhooks(cluster, before, found, VALIDATING_WEBHOOKS)
        found.mutating_webhooks = self._webhooks(cluster, before, found, MUTATING_WEBHOOKS)
        cluster.cached[_CACHED] = found
        return found

    def _policies(
        self, cluster: LogicalCluster, before: Registered, found: Registered, kind: str, bindings: str,
        made: Callable[[dict[str, Any]], Policy],
    ) -> list[Policy]:  # fmt: skip
        policies = {name: policy for name, policy in self._all(cluster, before, found, kind, made)}
        bound: dict[str, list[Any]] = {}
        for _, binding in self._all(cluster, before, found, bindings, lambda obj: obj):
            bound.setdefault((binding.get("spec") or {}).get("policyName", ""), []).append(binding)
        # A policy without a binding says nothing.
        return [policy.bound_by(bound[name]) for name, policy in policies.items() if name in bound]

    def _webhooks(self, cluster: LogicalCluster, before: Registered, found: Registered, kind: str) -> list[Webhook]:
        configurations = self._all(cluster, before, found, kind, webhooks_of)
        return [hook for _, hooks in configurations for hook in hooks]

    def _all(
        self, cluster: LogicalCluster, before: Registered, found: Registered, kind: str,
        made: Callable[[dict[str, Any]], Any],
    ) -> Iterator[tuple[str, Any]]:  # fmt: skip
        after = None
        while True:
            items = self.store.scan(cluster, kind, "", self.store.durable_revision, after, _SCANNED)
            for item in items:
                key = (kind, item.name, envelope.revision(item.value))
                value = before.made.get(key)
                if value is None:
                    value = made(orjson.loads(envelope.body(item.value)))
                found.made[key] = value
                yield item.name, value
            if len(items) < _SCANNED:
                return
            after = (items[-1].namespace, items[-1].name)

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for change in commit.changes:
                if change.group_resource in KINDS:
                    self._forget(commit.cluster_id)

    def _forget(self, cluster_id: int) -> None:
        cluster = self.store.cluster_by_id(cluster_id)
        found = cluster.cached.get(_CACHED) if cluster is not None else None
        if cluster is None or type(found) is not Registered:
            return
        if found is _EMPTY:
            del cluster.cached[_CACHED]
        else:
            found.is_stale = True


__all__ = ["GROUP", "KINDS", "POLICY_KINDS", "Identity", "Registered", "Registry"]
