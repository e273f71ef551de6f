"""Keeps the policy of each logical cluster, exact with every accepted write, and answers who may do what.

A policy is made when somebody first asks, from the pending state (what verbs decide by), and hangs on
`LogicalCluster.cached`. A write of an RBAC object marks its place; the next question reads that place anew and forgets
all decisions, so none outlives a change, durable or not. One with very many objects is read in slices before the first
answer: whoever asks meanwhile is told to ask again.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from weakref import ReferenceType, WeakSet, ref

from kcpshard.api.errors import Unauthorized
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization import inheritance
from kcpshard.authorization.attributes import Attributes, refused
from kcpshard.authorization.bootstrap import BootstrapObject, bootstrap_objects
from kcpshard.authorization.configuration import NODE, RBAC
from kcpshard.authorization.inheritance import Ancestor
from kcpshard.authorization.layer import TYPES, Layer, Place
from kcpshard.authorization.loading import Kept, Source
from kcpshard.authorization.node_access import TYPES as NODE_TYPES
from kcpshard.authorization.node_access import NodeAccess
from kcpshard.authorization.policy import ALLOWED, DENIED, MASTERS, Decision, Grants, Policy
from kcpshard.authorization.rules import Rule
from kcpshard.authorization.webhook import NoOpinion, Webhook
from kcpshard.storage.contract import LogicalCluster, NotDurable

_CACHED = "policy"  # key in LogicalCluster.cached
# Another one, for what whoever asks makes of decisions: it is dropped whenever they may become others.
GETS = "gets"
# Roles and bindings kept compiled in all logical clusters together: half a kilobyte each. Beyond that the policies made
# first are forgotten, and read anew when somebody asks.
MAX_COMPILED = 200_000
SYSTEM = "system:"
# Of the installation: whoever is in it may make top-level logical clusters, and is their administrator.
CREATORS = "system:kcp:logical-cluster-creators"


class InTree(NamedTuple):
    """`ancestors` by path, nearest first: those whose rights hold in a logical cluster too."""

    is_workspace: bool
    ancestors: Sequence[tuple[str, Ancestor]] = ()


Standing = Callable[[LogicalCluster], InTree]
_ALONE = InTree(False)


class _Entry(Kept):
    __slots__ = ("policy",)

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        super().__init__(policy.own.put)


class Authorizer:
    def __init__(self, source: Source, template: Sequence[BootstrapObject] | None = None) -> None:
        self._source = source
        self._template = Layer()
        for each in bootstrap_objects() if template is None else template:
            self._template.put(each.group_resource, each.namespace, each.name, each.document)
        # Of every path without a logical cluster: nobody is named there.
        self._unborn = Policy(Layer(), self._template, lambda _type, _place: False)
        self._changed: list[Callable[[LogicalCluster], None]] = []
        self._chain: Sequence[Webhook | str] = ()  # NODE, RBAC or a webhook; empty: those two, in this order
        self._nodes = NodeAccess(source, self._template.roles.get(_NODE_ROLE, ()))
        self._standing: Standing = lambda _cluster: _ALONE
        self._heirs: dict[str, WeakSet[LogicalCluster]] = {}  # by the path of whom they inherit from
        self._compiled = _Compiled()
        source.follow_writes(TYPES | NODE_TYPES, self._accepted, self._undone)

    def on_change(self, listener: Callable[[LogicalCluster], None]) -> None:
        """Call when rights in a logical cluster may have changed, in the turn of the write."""
        self._changed.append(listener)

    def ask_also(self, chain: Sequence[Webhook | str]) -> None:
        """Who is asked, in order: webhooks, RBAC, NODE. The first that has an opinion decides."""
        self._chain = chain

    def webhook_statistics(self) -> Mapping[str, object]:
        """By name."""
        return {step.name: step.statistics.as_figures() for step in self._chain if not isinstance(step, str)}

    def stand_in_a_tree(self, standing: "Standing") -> None:
        """`standing` tells of a logical cluster whether it is a workspace, and whose rights hold in it too."""
        self._standing = standing

    def inherited_changed(self, path: str) -> None:
        """The rights of that ancestor are others, or can no longer be relied on."""
        for heir in list(self._heirs.get(path, ())):
            entry = heir.cached.get(_CACHED)
            if type(entry) is _Entry:
                entry.policy.forget()
            self._tell(heir)

    def inherits(self, cluster: LogicalCluster) -> bool:
        """Whether rights of others are known to hold there too."""
        entry = cluster.cached.get(_CACHED)
        return type(entry) is _Entry and bool(entry.policy.ancestors)

    def conflicts(self, cluster: LogicalCluster) -> list[str]:
        """What its own rights hide of those it inherits. Raises NotDurable, ServiceUnavailable."""
        policy = self._policy(cluster)
        return inheritance.conflicts(policy.own, policy.ancestors)

    def template_role(self, place: Place) -> tuple[Rule, ...] | None:
        """One that every logical cluster begins with."""
        return self._template.roles.get(place)

    def ancestor_here(self, path: str) -> Ancestor:
        """One that this shard serves."""
        return _Here(self, path)

    @property
    def is_rbac_alone(self) -> bool:
        return not self._chain

    # --- questions

    def grants(self, cluster: LogicalCluster | None, path: str, raw: bytes) -> Grants:
        """Of an identity that addresses `path`. Raises Unauthorized to one that belongs elsewhere, and NotDurable while
        a large policy is being read."""
        if not raw:
            raise Unauthorized("Unauthorized")
        if cluster is not None and _CACHED not in cluster.cached and (master := self._master(path, raw)) is not None:
            return master
        policy = self._unborn if cluster is None else self._policy(cluster)
        found = policy.remembered(raw)
        if found is not None and path[:7] != SYSTEM:
            return found
        identity = decode_identity(raw)
        if identity.scope and (cluster is None or identity.scope != cluster.id):
            # Worth nothing here, and not to be told whether "here" exists.
            raise Unauthorized("Unauthorized")
        if path[:7] == SYSTEM and (MASTERS not in identity.groups or identity.scope):
            return self._nothing
        return found or policy.remember(raw, identity)

    def _master(self, path: str, raw: bytes) -> Grants | None:
        """An administrator of the installation may everything: a policy is not read on its account."""
        if path[:7] == SYSTEM:
            return None
        found = self._unborn.remembered(raw)
        if found is None:
            identity = decode_identity(raw)
            if MASTERS not in identity.groups or identity.scope:
                return None
            found = self._unborn.remember(raw, identity)
        return found if found.is_master else None

    def is_stranger(self, cluster: LogicalCluster, raw: bytes) -> bool:
        """Whether an identity is nobody there; also while that cannot be said yet."""
        try:
            return self.grants(cluster, cluster.path, raw).is_stranger
        except (Unauthorized, NotDurable):
            return True

    def decide(self, cluster: LogicalCluster | None, path: str, raw: bytes, wanted: Attributes) -> Decision:
        grants = self.grants(cluster, path, raw)
        if self._chain and not grants.is_master and path[:7] != SYSTEM:
            return self._by_chain(cluster, path, decode_identity(raw), grants, wanted)
        if cluster is None:
            found = grants.decide(wanted)
            return found if found.allowed else self._may_create(path, raw)
        return grants.decide(wanted) if grants.node is None else self._of_node(cluster, grants, grants.node, wanted)

    def _of_node(self, cluster: LogicalCluster, grants: Grants, node: str, wanted: Attributes) -> Decision:
        first = self._nodes.decide(cluster, node, wanted)
        if first.allowed:
            return first
        found = grants.decide(wanted)
        return found if found.allowed else _joined((first.reason, found.reason))

    def _by_chain(
        self, cluster: LogicalCluster | None, path: str, identity: Identity, grants: Grants, wanted: Attributes
    ) -> Decision:
        """Raises NotDurable until every webhook that is asked has answered."""
        reasons: list[str] = []
        for step in self._chain:
            try:
                found = (
                    self._by_step(step, cluster, path, identity, grants, wanted)
                    if isinstance(step, str)
                    else step.decide(cluster, path, identity, wanted)
                )
            except NoOpinion as none:
                reasons.append(none.reason)
                continue
            return found
        return _joined(reasons)

    def _by_step(
        self, step: str, cluster: LogicalCluster | None, path: str, identity: Identity, grants: Grants,
        wanted: Attributes,
    ) -> Decision:  # fmt: skip
        """What says no has no opinion."""
        found = DENIED
        if step == RBAC:
            found = grants.decide(wanted)
            if not found.allowed and cluster is None:
                found = self._may_create(path, identity.encode())
        elif grants.node is not None and cluster is not None:
            found = self._nodes.decide(cluster, grants.node, wanted)
        if not found.allowed:
            raise NoOpinion(found.reason)
        return found

    def check(self, cluster: LogicalCluster | None, path: str, raw: bytes, wanted: Attributes) -> Decision:
        """Raises Forbidden."""
        found = self.decide(cluster, path, raw, wanted)
        if not found.allowed:
            raise refused(decode_identity(raw).username, wanted, found.reason)
        return found

    def decide_about(self, cluster: LogicalCluster | None, identity: Identity, wanted: Attributes) -> Decision:
        """What an access review is told of `identity`, whoever it is."""
        policy = self._unborn if cluster is None else self._policy(cluster)
        grants = policy.grants_to(identity)
        if self._chain and not grants.is_master:
            path = cluster.path if cluster is not None else ""
            return self._by_chain(cluster, path, identity, grants, wanted)
        if grants.node is not None and cluster is not None:
            return self._of_node(cluster, grants, grants.node, wanted)
        return grants.decide(wanted)

    def rules(
        self, cluster: LogicalCluster | None, path: str, raw: bytes, namespace: str
    ) -> tuple[list[Rule], list[str], bool]:
        """Everything granted to an identity in a namespace, what could not be found out, and whether there may be
        more: only RBAC can tell all."""
        grants = self.grants(cluster, path, raw)
        rules: list[Rule] = []
        faults: list[str] = []
        is_all = True
        for step in self._chain or (NODE, RBAC):
            if step == RBAC:
                found, missing = grants.rules(namespace)
                rules += found
                faults += missing
            elif step != NODE or grants.node is not None:
                who = "node" if step == NODE else "webhook"
                faults.append(f"{who} authorizer does not support user rule resolution")
                is_all = False
        return rules, list(dict.fromkeys(faults)), not is_all

    def role(self, cluster: LogicalCluster | None, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """The rules of a Role or ClusterRole (`namespace` ""); None: there is none."""
        policy = self._unborn if cluster is None else self._policy(cluster)
        return policy.role(kind, (namespace, name))

    def _may_create(self, path: str, raw: bytes) -> Decision:
        identity = decode_identity(raw)
        may = CREATORS in identity.groups and not identity.scope and not path.startswith(SYSTEM)
        return ALLOWED if may else DENIED

    # --- policies

    def _policy(self, cluster: LogicalCluster) -> Policy:
        found = cluster.cached.get(_CACHED)
        entry = found if type(found) is _Entry else self._load(cluster)
        if entry.loading is not None or entry.stale:
            entry.catch_up(self._source, cluster)
            entry.policy.forget()
        return entry.policy

    def policy_at(self, path: str) -> Policy | None:
        """Raises NotDurable while it is being read."""
        cluster = self._source.pending_cluster(path)
        return None if cluster is None else self._policy(cluster)

    def _load(self, cluster: LogicalCluster) -> _Entry:
        own = Layer()
        hidden = partial(self._is_hidden, ref(cluster))  # a policy does not keep alive what keeps it
        standing = self._standing(cluster)
        ancestors = tuple(ancestor for _, ancestor in standing.ancestors)
        for path, _ in standing.ancestors:
            self._heirs.setdefault(path, WeakSet()).add(cluster)
        policy = Policy(own, self._template, hidden, ancestors, standing.is_workspace)
        entry = cluster.cached[_CACHED] = _Entry(policy)
        entry.load(self._source, cluster, TYPES, lambda: self._keep(cluster, own))
        if ancestors:
            self._tell(cluster)  # nobody has looked at them since they were forgotten
        return entry

    def _keep(self, cluster: LogicalCluster, own: Layer) -> None:
        for forgotten in self._compiled.add(cluster, len(own) + 1):
            forgotten.cached.pop(_CACHED, None)
            forgotten.cached.pop(GETS, None)

    def _is_hidden(self, place: "ReferenceType[LogicalCluster]", group_resource: str, role: Place) -> bool:
        cluster = place()
        return cluster is not None and self._source.is_removed(cluster, group_resource, *role)

    def _accepted(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> None:
        if group_resource in NODE_TYPES:
            self._nodes.written(cluster, group_resource, namespace, name)
            return
        entry = cluster.cached.get(_CACHED)
        if type(entry) is _Entry:
            entry.stale[group_resource, namespace, name] = None
        self._tell(cluster)
        if cluster.path in self._heirs:
            self.inherited_changed(cluster.path)

    def _tell(self, cluster: LogicalCluster) -> None:
        cluster.cached.pop(GETS, None)
        for listener in self._changed:
            listener(cluster)

    def _undone(self, cluster: LogicalCluster) -> None:
        """The disk has refused writes: whatever they changed is as it was."""
        cluster.cached.pop(_CACHED, None)
        self._nodes.undone(cluster)
        self._tell(cluster)
        if cluster.path in self._heirs:
            self.inherited_changed(cluster.path)

    @property
    def _nothing(self) -> Grants:
        return Grants(self._unborn, [], False, True)


class _Compiled:
    """Whose policies there are, oldest first, by weight. One that has gone with its logical cluster counts no more."""

    def __init__(self) -> None:
        self._weights: OrderedDict[ReferenceType[LogicalCluster], int] = OrderedDict()
        self._total = 0

    def add(self, cluster: LogicalCluster, weight: int) -> Sequence[LogicalCluster]:
        """Those to be forgotten for it; never itself."""
        place = ref(cluster, self._gone)
        self._gone(place)
        self._weights[place] = weight
        self._total += weight
        found = []
        while self._total > MAX_COMPILED and len(self._weights) > 1:
            oldest, freed = self._weights.popitem(last=False)
            self._total -= freed
            if (instance := oldest()) is not None:
                found.append(instance)
        return found

    def _gone(self, place: "ReferenceType[LogicalCluster]") -> None:
        self._total -= self._weights.pop(place, 0)


class _Here:
    """An ancestor on this shard: its own policy, always as it is now."""

    def __init__(self, authorizer: Authorizer, path: str) -> None:
        self._authorizer, self._path = authorizer, path

    def layer(self) -> Layer:
        policy = self._authorizer.policy_at(self._path)
        return _EMPTY if policy is None else policy.own

    def role(self, kind: str, place: Place) -> tuple[Rule, ...] | None:
        policy = self._authorizer.policy_at(self._path)
        return None if policy is None else policy.role(kind, place)


_EMPTY = Layer()
_NODE_ROLE: Place = ("", "system:node")


def _joined(reasons: Sequence[str]) -> Decision:
    return Decision(False, "\n".join(reason for reason in reasons if reason))


__all__ = ["Authorizer", "Source"]
