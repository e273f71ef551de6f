"""The admission policies in their order: first those that may change an object, then those that may only refuse.

A policy of ours is a function of `Attributes` that raises ApiError to refuse. All of them decide against the store's
pending state in the loop turn of the commit. Beside them stands what the logical cluster has registered itself:

    mutate    MUTATING → mutating policies → mutating webhooks; once more if something changed (reinvocation)
    then      metadata and kind prepared and allocated (ALLOCATING), the object's own validation
    validate  VALIDATING → validating policies → validating webhooks → CHARGING

What charges is last: what others refuse is not charged. A webhook makes the write wait: `webhook_calls` ends this turn,
and after the answers the verb runs anew from its beginning, against what is then pending.
"""

from collections.abc import Callable

from kcpshard.admission import (
    limit_range,
    namespace_lifecycle,
    pod_creation,
    resource_quota,
    service_addresses,
    validating_policies,
)
from kcpshard.admission.attributes import DELETE, NOTHING, Attributes, Notes
from kcpshard.admission.registrations import KINDS, Registered
from kcpshard.admission.subject import Subject
from kcpshard.storage.contract import LogicalCluster

Policy = Callable[[Attributes], None]

MUTATING: tuple[Policy, ...] = (namespace_lifecycle.admit, limit_range.default, pod_creation.admit)
ALLOCATING: tuple[Policy, ...] = (service_addresses.admit,)
VALIDATING: tuple[Policy, ...] = (limit_range.check,)
CHARGING: tuple[Policy, ...] = (resource_quota.admit,)


def mutate(attributes: Attributes) -> Notes:
    """Before the kind's own preparation. namespace_lifecycle is here, and first, as in kube-apiserver: a missing
    namespace is reported before a fault in the object."""
    for policy in MUTATING:
        policy(attributes)
    return NOTHING


def allocate(attributes: Attributes) -> None:
    """Between preparation and validation: what comes from a pool that the logical cluster shares."""
    for policy in ALLOCATING:
        policy(attributes)


def validate(attributes: Attributes) -> Notes:
    """After the object's own validation, on its final form."""
    for policy in VALIDATING:
        policy(attributes)
    notes = NOTHING
    if (found := _registered(attributes)) is not None:
        notes = _validate(*found, attributes)
    for policy in CHARGING:
        policy(attributes)
    return notes


def _registered(attributes: Attributes) -> tuple[LogicalCluster, Registered] | None:
    """None, as good as always: nobody but us is asked. Registrations themselves are nobody else's to judge."""
    cluster, registry = attributes.cluster, attributes.registry
    if cluster is None or registry is None:
        return None
    found = registry.of(cluster)
    if found is None or attributes.resource.group_resource in KINDS:
        return None
    return cluster, found


def _validate(cluster: LogicalCluster, registered: Registered, attributes: Attributes) -> Notes:
    registry = attributes.registry
    assert registry is not None
    # By now a generated name is known to everybody.
    subject = Subject(attributes._replace(is_generated=False), registry, cluster)
    if registered.validating_policies and not attributes.resource.virtual:
        return validating_policies.validate(subject, registered.validating_policies)
    return NOTHING


def must_know_old(attributes: Attributes) -> bool:
    """Whether somebody will look at the object that a deletion removes."""
    return attributes.operation == DELETE and _registered(attributes) is not None
