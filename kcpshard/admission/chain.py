"""The admission policies in their order: first those that may change an object, then those that may only refuse.

A policy is a function of `Attributes` that raises ApiError to refuse. All of them decide against the store's pending
state in the loop turn of the commit.

Where those that wait will stand, in kube-apiserver's order (none of them exists yet):

    MUTATING    policies of ours → CEL mutating policies → mutating webhooks, then MUTATING once more (reinvocation)
    the object's own validation
    VALIDATING  policies of ours but the last → CEL validating policies → validating webhooks → resource_quota

After anything that waited the verb looks at the pending state again; what charges runs in the turn of the commit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from kcpshard.admission import limit_range, namespace_lifecycle, pod_creation, resource_quota, service_addresses
from kcpshard.definitions.contract import Resource
from kcpshard.storage.contract import LogicalCluster, ObjectStore, Put

_NONE: list[Put] = []  # never added to: a deletion writes nothing beside it


class Attributes(NamedTuple):
    """One write, as policies see it. `object` is None for a deletion, `old` for a creation."""

    operation: str  # CREATE, UPDATE, DELETE
    store: ObjectStore
    cluster: LogicalCluster | None  # None: not born yet
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: dict[str, Any] | None
    old: dict[str, Any] | None
    identity: bytes
    dry_run: bool
    # What is written in the same commit, if it comes to that: policies may add to it on CREATE and UPDATE.
    companions: list[Put] = _NONE


Policy = Callable[[Attributes], None]

MUTATING: tuple[Policy, ...] = (
    namespace_lifecycle.admit,
    limit_range.default,
    pod_creation.admit,
    service_addresses.admit,
)
# resource_quota is last: what others refuse is not charged.
VALIDATING: tuple[Policy, ...] = (limit_range.check, resource_quota.admit)


def mutate(attributes: Attributes) -> None:
    """Before the object's own validation. namespace_lifecycle is here, and first, as in kube-apiserver: a missing
    namespace is reported before a fault in the object."""
    for policy in MUTATING:
        policy(attributes)


def validate(attributes: Attributes) -> None:
    """After the object's own validation, on its final form."""
    for policy in VALIDATING:
        policy(attributes)
