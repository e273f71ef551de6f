"""What identities may do in one logical cluster: its own roles and bindings over the shared template.

Decides exactly as Kubernetes' RBAC authoriser does, and remembers per identity what it decided; whoever changes a layer
calls `forget`. A decision depends on a name only where rules carry names, so names of objects are not remembered.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kcpshard.api.requests import Identity
from kcpshard.authorization import inheritance
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.inheritance import Ancestor
from kcpshard.authorization.layer import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    ROLE_BINDINGS,
    ROLES,
    Binding,
    Layer,
    Place,
    Subject,
)
from kcpshard.authorization.node_identity import node_of
from kcpshard.authorization.rules import EVERYTHING, Rule

MASTERS = "system:masters"
ACCESS = Attributes("access", path="/")  # whether one may enter a workspace
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_MAX_IDENTITIES = 1024  # of one logical cluster, remembered; when full all are forgotten (about 20 µs to make one)
_MAX_DECISIONS = 2048  # of one identity; likewise

Hidden = Callable[[str, Place], bool]


class Decision(NamedTuple):
    """`reason` as audit records and access reviews show it."""

    allowed: bool
    reason: str = ""


ALLOWED = Decision(True)
DENIED = Decision(False)


class _Names(NamedTuple):
    """Where the object's name decides."""

    allowed: dict[str, Decision]
    otherwise: Decision


class _Grant(NamedTuple):
    binding: Binding
    subject: Subject
    rules: tuple[Rule, ...] | None  # None: the role is missing


class Grants:
    """What one identity may do; made by a Policy."""

    __slots__ = ("_decisions", "_policy", "_subjects", "is_master", "is_stranger", "node")

    def __init__(
        self, policy: "Policy", subjects: list[Subject], is_master: bool, is_stranger: bool, node: str | None = None
    ) -> None:
        """`node`: which one it is, if it is one; see `node_identity`."""
        self._policy, self._subjects, self.node = policy, subjects, node
        self.is_master, self.is_stranger = is_master, is_stranger
        self._decisions: dict[tuple[str, str, str, str, str], Decision | _Names] = {}

    def decide(self, wanted: Attributes) -> Decision:
        if self.is_master:
            return ALLOWED
        if wanted.path is not None:
            return self._decide_path(wanted.verb, wanted.path)
        return self.decide_object(
            wanted.verb, wanted.group, wanted.resource, wanted.subresource, wanted.namespace, wanted.name
        )

    def decide_object(
        self, verb: str, group: str, resource: str, subresource: str, namespace: str, name: str
    ) -> Decision:
        key = (verb, group, resource, subresource, namespace)
        found = self._decisions.get(key)
        if found is None:
            found = self._remember(key)
        if type(found) is Decision:
            return found
        assert type(found) is _Names
        return found.allowed.get(name, found.otherwise)

    def decide_any_name(
        self, verb: str, group: str, resource: str, subresource: str, namespace: str
    ) -> Decision | None:
        """The decision about every object there; None if it depends on the name."""
        if self.is_master:
            return ALLOWED
        key = (verb, group, resource, subresource, namespace)
        found = self._decisions.get(key) or self._remember(key)
        return found if type(found) is Decision else None

    def _remember(self, key: tuple[str, str, str, str, str]) -> "Decision | _Names":
        if len(self._decisions) >= _MAX_DECISIONS:
            self._decisions.clear()
        verb, group, resource, subresource, namespace = key
        wanted = Attributes(verb, group, "", resource, subresource, namespace)
        if self.is_master:
            return ALLOWED
        found = self._decisions[key] = self._evaluate(wanted)
        return found

    def _evaluate(self, wanted: Attributes) -> "Decision | _Names":
        named: dict[str, Decision] = {}
        otherwise: Decision | None = None
        faults: list[str] = []
        for binding, subject, rules in self._grants(wanted.namespace):
            if rules is None:
                faults.append(_missing(binding))
                continue
            for rule in rules:
                if not rule.allows_type(wanted):
                    continue
                decision = Decision(True, f"RBAC: allowed by {binding.describe(subject)}")
                if not rule.names:
                    otherwise = decision
                    break
                for name in rule.names:
                    named.setdefault(name, decision)
            if otherwise is not None:
                break
        otherwise = otherwise or _denied(faults)
        return _Names(named, otherwise) if named else otherwise

    def _decide_path(self, verb: str, path: str) -> Decision:
        faults: list[str] = []
        for binding, subject, rules in self._grants(""):
            if rules is None:
                faults.append(_missing(binding))
            elif any(rule.allows_path(verb, path) for rule in rules):
                return Decision(True, f"RBAC: allowed by {binding.describe(subject)}")
        return _denied(faults)

    def rules(self, namespace: str) -> tuple[list[Rule], list[str]]:
        """Everything that is granted in a namespace ("": in all of them), and which roles are missing."""
        found: list[Rule] = []
        faults: list[str] = []
        for binding, _, rules in self._grants(namespace):
            if rules is None:
                faults.append(_missing(binding))
            else:
                found.extend(rules)
        return found, list(dict.fromkeys(faults))

    def _grants(self, namespace: str) -> Iterator[_Grant]:
        """What ancestors grant comes last: without them the rest is decided all the same."""
        policy = self._policy
        yield from policy.grants("", self._subjects)
        if namespace:
            yield from policy.grants(namespace, self._subjects)
        if policy.ancestors:
            for found in inheritance.grants(policy.own, policy.ancestors, self._subjects):
                yield _Grant(*found)


class Policy:
    """One logical cluster's. `hidden(type, place)`: what of the template it has removed. `id` 0: not born."""

    __slots__ = ("_hidden", "_identities", "_template", "ancestors", "is_gated", "own")

    def __init__(
        self,
        own: Layer,
        template: Layer,
        hidden: Hidden,
        ancestors: Sequence[Ancestor] = inheritance.NOTHING,
        is_gated: bool = False,
    ) -> None:
        """`ancestors`: whose rights hold here too, nearest first. Gated: whoever is not of this logical cluster needs
        the verb `access` on `/` to be anybody here, as in kcp."""
        self.own, self._template, self._hidden = own, template, hidden
        self.ancestors, self.is_gated = ancestors, is_gated
        self._identities: dict[bytes, Grants] = {}

    def forget(self) -> None:
        """Something has changed: every decision is made anew."""
        self._identities.clear()

    def remembered(self, raw: bytes) -> Grants | None:
        return self._identities.get(raw)

    def remember(self, raw: bytes, identity: Identity) -> Grants:
        """`raw`: the identity as bytes."""
        if len(self._identities) >= _MAX_IDENTITIES:
            self._identities.clear()
        found = self._identities[raw] = self.grants_of(identity)
        return found

    def grants_of(self, identity: Identity) -> Grants:
        """Of somebody who addresses the logical cluster. An identity of the installation that no binding here names is
        a stranger: it is told what anybody is told."""
        groups = identity.groups
        subjects: list[Subject] = [("User", identity.username), *(("Group", group) for group in groups)]
        is_stranger = not identity.scope and MASTERS not in groups and not self._may_enter(subjects)
        if is_stranger:
            kept = [] if self.is_gated else subjects
            subjects = [subject for subject in kept if subject != ("Group", AUTHENTICATED)]
            subjects.append(("Group", UNAUTHENTICATED))
        # A node of the installation is one only where it is somebody: anybody's pods may say that they run on it.
        return Grants(self, subjects, MASTERS in groups, is_stranger, None if is_stranger else node_of(identity))

    def grants_to(self, identity: Identity) -> Grants:
        """Of somebody asked about, exactly as Kubernetes would say."""
        subjects: list[Subject] = [("User", identity.username), *(("Group", group) for group in identity.groups)]
        return Grants(self, subjects, MASTERS in identity.groups, False, node_of(identity))

    def _may_enter(self, subjects: list[Subject]) -> bool:
        named = self.own.named
        if not any(subject in named for subject in subjects) and not inheritance.names_one_of(self.ancestors, subjects):
            return False
        return not self.is_gated or Grants(self, subjects, False, False).decide(ACCESS).allowed

    def role(self, kind: str, place: Place) -> tuple[Rule, ...] | None:
        found = self.own.roles.get(place)
        if found is None and (found := self._template.roles.get(place)) is not None:
            return None if self._hidden(ROLES if kind == "Role" else CLUSTER_ROLES, place) else found
        if found is None and self.ancestors and kind == "ClusterRole":
            found = inheritance.role(self.ancestors, place)
        return found

    def grants(self, namespace: str, subjects: list[Subject]) -> Iterator[_Grant]:
        """The bindings of a namespace that name one of `subjects`, each once, with the rules of their roles."""
        seen: set[Place] = set()
        for subject in subjects:
            for binding in self._bindings(namespace, subject):
                place = (binding.namespace, binding.name)
                if place not in seen:
                    seen.add(place)
                    first = next(each for each in binding.subjects if each in subjects)
                    yield _Grant(binding, first, self.role(binding.role_kind, binding.role))

    def _bindings(self, namespace: str, subject: Subject) -> Iterator[Binding]:
        yield from self.own.bound(namespace, subject).values()
        kind = ROLE_BINDINGS if namespace else CLUSTER_ROLE_BINDINGS
        for place, binding in self._template.bound(namespace, subject).items():
            if place not in self.own.bindings and not self._hidden(kind, place):
                yield binding


def _denied(faults: list[str]) -> Decision:
    if not faults:
        return DENIED
    distinct = list(dict.fromkeys(faults))
    return Decision(False, "RBAC: " + (distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"))


def _missing(binding: Binding) -> str:
    return missing_role(binding.role_kind, binding.role_name)


def missing_role(kind: str, name: str) -> str:
    return f'{kind.lower()}.{GROUP} "{name}" not found'


__all__ = ["ALLOWED", "EVERYTHING", "Decision", "Grants", "Policy"]
