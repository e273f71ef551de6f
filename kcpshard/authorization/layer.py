"""The RBAC objects of one source, compiled: a logical cluster's own, or the template that all of them share.

Pure; `policy` puts layers over each other, `authorizer` keeps them exact. A source of inherited roles and bindings (an
ancestor) is one more layer.
"""

from collections.abc import Iterator, Mapping
from sys import intern
from typing import Any, NamedTuple

from kcpshard.authorization.attributes import quoted
from kcpshard.authorization.rules import Rule, read_rule

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
TYPES = frozenset((ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS))

Place = tuple[str, str]  # namespace ("": none) and name
Subject = tuple[str, str]  # "User" and a user's name (a service account's too), or "Group" and its name
_NO_BINDINGS: Mapping[Place, "Binding"] = {}
_ACCOUNT = "system:serviceaccount:"


class Binding(NamedTuple):
    """`accounts`: those of `subjects` that were named as service accounts. There are very many of these: no dicts."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...]
    accounts: tuple[Subject, ...] = ()

    @property
    def role(self) -> Place:
        return (self.namespace if self.role_kind == "Role" else "", self.role_name)

    def describe(self, subject: Subject) -> str:
        """`RBAC: allowed by …`, without that."""
        if self.namespace:
            kind, shown = "RoleBinding", f"{self.name}/{self.namespace}"
        else:
            kind, shown = "ClusterRoleBinding", self.name
        return f"{kind} {quoted(shown)} of {self.role_kind} {quoted(self.role_name)} to {self._describe(subject)}"

    def _describe(self, subject: Subject) -> str:
        kind, name = subject
        if subject not in self.accounts:
            return f"{kind} {quoted(name)}"
        home, _, account = name.removeprefix(_ACCOUNT).partition(":")
        return f"ServiceAccount {quoted(f'{account}/{home}')}"


class Layer:
    """Roles and bindings by place; bindings by whom they name, too. Cluster roles lie in no namespace."""

    __slots__ = ("_by_subject", "bindings", "named", "roles")

    def __init__(self) -> None:
        self.roles: dict[Place, tuple[Rule, ...]] = {}
        self.bindings: dict[Place, Binding] = {}
        # One binding names most subjects: a dict where there are more.
        self._by_subject: dict[tuple[str, Subject], Binding | dict[Place, Binding]] = {}
        self.named: dict[Subject, int] = {}  # how many bindings name each

    def put(self, group_resource: str, namespace: str, name: str, obj: Mapping[str, Any] | None) -> None:
        """An object as it is now; None: gone."""
        place = (intern(namespace), name)
        if group_resource in (ROLES, CLUSTER_ROLES):
            if obj is None:
                self.roles.pop(place, None)
            else:
                self.roles[place] = tuple(read_rule(rule) for rule in obj.get("rules") or ())
            return
        self._forget(self.bindings.pop(place, None))
        if obj is not None:
            self._bind(_read_binding(namespace, name, obj))

    def bound(self, namespace: str, subject: Subject) -> Mapping[Place, Binding]:
        """The bindings in a namespace ("": of the whole logical cluster) that name `subject`."""
        found = self._by_subject.get((namespace, subject), _NO_BINDINGS)
        return {(found.namespace, found.name): found} if type(found) is Binding else found  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.roles) + len(self.bindings)

    def has(self, group_resource: str, place: Place) -> bool:
        return place in (self.roles if group_resource in (ROLES, CLUSTER_ROLES) else self.bindings)

    def _bind(self, binding: Binding) -> None:
        place = (binding.namespace, binding.name)
        self.bindings[place] = binding
        for subject in binding.subjects:
            key = (binding.namespace, subject)
            found = self._by_subject.get(key)
            if found is None:
                self._by_subject[key] = binding
            elif type(found) is Binding:
                self._by_subject[key] = {(found.namespace, found.name): found, place: binding}
            else:
                found[place] = binding  # type: ignore[index]
            self.named[subject] = self.named.get(subject, 0) + 1

    def _forget(self, binding: Binding | None) -> None:
        if binding is None:
            return
        for subject in binding.subjects:
            key = (binding.namespace, subject)
            found = self._by_subject[key]
            if type(found) is dict and len(found) > 1:
                del found[binding.namespace, binding.name]
            else:
                del self._by_subject[key]
            self.named[subject] -= 1
            if not self.named[subject]:
                del self.named[subject]


def _read_binding(namespace: str, name: str, obj: Mapping[str, Any]) -> Binding:
    role = obj.get("roleRef") or {}
    subjects: dict[Subject, bool] = {}
    for raw in obj.get("subjects") or ():
        for subject, is_account in _subjects(raw, namespace):
            subjects.setdefault(subject, is_account)
    accounts = tuple(subject for subject, is_account in subjects.items() if is_account)
    kind, role_name = intern(role.get("kind", "")), intern(role.get("name", ""))
    return Binding(intern(namespace), name, kind, role_name, tuple(subjects), accounts)


def _subjects(raw: Mapping[str, Any], namespace: str) -> Iterator[tuple[Subject, bool]]:
    """Nobody, or the one that is meant. A service account is the user of its name."""
    kind, name = raw.get("kind", ""), raw.get("name", "")
    if kind in ("User", "Group"):
        yield (intern(kind), intern(name)), False
    elif kind == "ServiceAccount" and (home := raw.get("namespace") or namespace):
        yield ("User", intern(f"{_ACCOUNT}{home}:{name}")), True
