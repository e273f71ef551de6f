"""Roles and bindings that a logical cluster takes over from those above it.

What applies to the whole of an ancestor (ClusterRoles, ClusterRoleBindings) applies here as well; what lies in one of
its namespaces does not. Bindings refer to roles as their own logical cluster has them. A local object of the same name
hides an inherited one, and a nearer ancestor's hides a farther one's. Pure: sources are kept by `authorizer`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from kcpshard.authorization.layer import Binding, Layer, Place, Subject
from kcpshard.authorization.rules import Rule


class Ancestor(Protocol):
    """One ancestor's rights. Both raise NotDurable while they are being read, ServiceUnavailable where the copy of
    another shard's is too old to be relied on."""

    def layer(self) -> Layer:
        """What it holds itself."""

    def role(self, kind: str, place: Place) -> tuple[Rule, ...] | None:
        """As a binding of its own would find it."""


class InheritedGrant(NamedTuple):
    binding: Binding
    subject: Subject
    rules: tuple[Rule, ...] | None


NOTHING: Sequence[Ancestor] = ()


def names_one_of(ancestors: Sequence[Ancestor], subjects: Sequence[Subject]) -> bool:
    return any(subject in ancestor.layer().named for ancestor in ancestors for subject in subjects)


def grants(own: Layer, ancestors: Sequence[Ancestor], subjects: Sequence[Subject]) -> Iterator[InheritedGrant]:
    """Bindings of ancestors that name one of `subjects`, nearest first, each name once."""
    seen: set[Place] = set()
    for ancestor in ancestors:
        layer = ancestor.layer()
        for subject in subjects:
            for place, binding in layer.bound("", subject).items():
                if place not in seen and place not in own.bindings:
                    seen.add(place)
                    yield InheritedGrant(binding, subject, ancestor.role(binding.role_kind, binding.role))
        seen.update(place for place in layer.bindings if not place[0])


def role(ancestors: Sequence[Ancestor], place: Place) -> tuple[Rule, ...] | None:
    """A ClusterRole that a local binding names and nobody here has."""
    for ancestor in ancestors:
        found = ancestor.layer().roles.get(place)
        if found is not None:
            return found
    return None


def conflicts(own: Layer, ancestors: Sequence[Ancestor]) -> list[str]:
    """What of the ancestors' a local object of the same name hides, though it says something else; sorted."""
    found = set[str]()
    for ancestor in ancestors:
        layer = ancestor.layer()
        for place, rules in layer.roles.items():
            if not place[0] and own.roles.get(place, rules) != rules:
                found.add(f"ClusterRole {place[1]} is defined here and in an ancestor")
        for place, binding in layer.bindings.items():
            local = own.bindings.get(place)
            if not place[0] and local is not None and _grant(local) != _grant(binding):
                found.add(f"ClusterRoleBinding {place[1]} is defined here and in an ancestor")
    return sorted(found)


def _grant(binding: Binding) -> tuple[str, Place, frozenset[Subject]]:
    return binding.role_kind, binding.role, frozenset(binding.subjects)
