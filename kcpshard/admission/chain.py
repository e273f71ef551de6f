"""The admission policies in their order: first those that may change an object, then those that may only refuse.

A policy of ours is a function of `Attributes` that raises ApiError to refuse. All of them decide against the store's
pending state in the loop turn of the commit. Beside them stands what the logical cluster has registered itself:

    mutate    MUTATING → mutating policies → mutating webhooks; once more if something changed (reinvocation)
    then      metadata and kind prepared and allocated (ALLOCATING), the object's own validation
    validate  VALIDATING → validating policies → validating webhooks → CHARGING

What charges is last: what others refuse is not charged. A webhook makes the write wait: `webhook_calls` ends this turn,
and after the answers the verb runs anew from its beginning, against what is then pending.
"""

from collections.abc import Callable, Mapping, Sequence

from kcpshard.admission import (
    api_bindings,
    certificate_requests,
    default_classes,
    device_access,
    limit_range,
    logical_clusters,
    mutating_policies,
    namespace_lifecycle,
    node_restriction,
    pod_creation,
    pod_resizing,
    pod_security,
    resource_quota,
    service_addresses,
    topology_labels,
    validating_policies,
    workspaces,
)
from kcpshard.admission.attributes import CREATE, DELETE, NOTHING, Attributes, Notes
from kcpshard.admission.audit_annotations import note
from kcpshard.admission.registrations import KINDS, POLICY_KINDS, Registered
from kcpshard.admission.reinvocation import Reinvocation
from kcpshard.admission.subject import Subject
from kcpshard.admission.webhook_calls import Replay, replay_of
from kcpshard.admission.webhooks import Dispatch
from kcpshard.api.errors import ApiError
from kcpshard.api.objects import Object
from kcpshard.storage.contract import LogicalCluster
from kcpshard.tenancy.exports import BINDINGS
from kcpshard.tenancy.names import LOGICAL_CLUSTERS, WORKSPACES

Policy = Callable[[Attributes], None]
Adviser = Callable[[Attributes], Notes | None]  # may have something to say besides yes

MUTATING: tuple[Policy, ...] = (
    namespace_lifecycle.admit, limit_range.default, pod_creation.admit, node_restriction.admit, default_classes.admit,
    topology_labels.admit,
)  # fmt: skip
ALLOCATING: tuple[Policy, ...] = (service_addresses.admit,)
VALIDATING: tuple[Adviser, ...] = (
    limit_range.check, pod_security.admit, pod_creation.check, default_classes.check_growth, certificate_requests.admit,
    pod_resizing.admit, device_access.admit,
)  # fmt: skip
CHARGING: tuple[Policy, ...] = (resource_quota.admit,)
# Of kinds of our own: before others have their say.
OWN: Mapping[str, Policy] = {
    WORKSPACES: workspaces.admit,
    LOGICAL_CLUSTERS: logical_clusters.admit,
    BINDINGS: api_bindings.admit,
}
# Set by the server after others have had their say: of a new object; of one that is updated, unless the client sent it.
_SET_LATER = ("uid", "creationTimestamp")
_FILLED = (*_SET_LATER, "resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


def mutate(attributes: Attributes) -> Notes:
    """Before the kind's own preparation. namespace_lifecycle is here, and first, as in kube-apiserver: a missing
    namespace is reported before a fault in the object."""
    for policy in MUTATING:
        policy(attributes)
    if own := OWN.get(attributes.resource.group_resource):
        own(attributes)
    found = _registered(attributes)
    return NOTHING if found is None else _mutate(*found, attributes)


def allocate(attributes: Attributes) -> None:
    """Between preparation and validation: what comes from a pool that the logical cluster shares."""
    for policy in ALLOCATING:
        policy(attributes)


def validate(attributes: Attributes) -> Notes:
    """After the object's own validation, on its final form."""
    notes, found = NOTHING, _registered(attributes)
    for adviser in VALIDATING:
        if said := adviser(attributes):
            note(said.annotations)
            notes = said if notes is NOTHING else notes.plus(*_said(said))
    if found is not None:
        notes = _validate(*found, attributes, notes)
    for policy in CHARGING:
        policy(attributes)
    return notes


def validated(attributes: Attributes, warnings: Sequence[str]) -> Notes:
    """`validate`, with what the object's kind warns of beside a refusal."""
    try:
        return validate(attributes)
    except ApiError as error:
        error.warnings = [*warnings, *error.warnings]
        raise


def must_know_old(attributes: Attributes) -> bool:
    """Whether somebody will look at the object that a deletion removes."""
    if attributes.operation != DELETE:
        return False
    return node_restriction.must_know_old(attributes) or _registered(attributes) is not None


def _registered(attributes: Attributes) -> tuple[LogicalCluster, Registered] | None:
    """None, as good as always: nobody but us is asked."""
    cluster, registry = attributes.cluster, attributes.registry
    if cluster is None or registry is None:
        return None
    found = registry.of(cluster)
    return None if found is None else (cluster, found)


def _is_for_policies(attributes: Attributes) -> bool:
    """Not what is never stored, and not policies: whoever made a bad one must be able to mend it."""
    is_review = attributes.resource.virtual and bool(attributes.resource.group)
    return not is_review and attributes.resource.group_resource not in POLICY_KINDS


def _is_for_webhooks(attributes: Attributes) -> bool:
    return attributes.resource.group_resource not in KINDS


def _mutate(cluster: LogicalCluster, registered: Registered, attributes: Attributes) -> Notes:
    replay = replay_of(attributes.request)
    if attributes.object is not None and attributes.operation == CREATE:
        replay.pin(attributes.object["metadata"])
    if not registered.mutating_policies and not registered.mutating_webhooks:
        return NOTHING
    bare = attributes._replace(object=_bare(attributes))
    state = Reinvocation()
    notes = _round(cluster, registered, bare, replay, state)
    if state.is_wanted:
        state.is_second = True
        for policy in MUTATING:
            policy(bare)
        notes = notes.plus(*_said(_round(cluster, registered, bare, replay, state)))
    if attributes.object is not None and bare.object is not None and bare.object is not attributes.object:
        _take_over(attributes.object, bare.object)
    return notes


def _judged(subject: Subject, registered: Registered, notes: Notes) -> Notes:
    try:
        return validating_policies.validate(subject, registered.validating_policies)
    except ApiError as error:
        error.warnings = [*notes.warnings, *error.warnings]
        raise


def _said(notes: Notes) -> tuple[list[str], dict[str, str]]:
    return list(notes.warnings), dict(notes.annotations)


def _bare(attributes: Attributes) -> Object | None:
    """The object as its author may know it: what the server sets on a new one is not there yet."""
    obj = attributes.object
    if obj is None or attributes.is_other_form:
        return obj
    if attributes.operation == CREATE:
        left_out: tuple[str, ...] = (*_SET_LATER, "name") if attributes.is_generated else _SET_LATER
    else:
        given = attributes.given or {}
        left_out = tuple(member for member in _FILLED if not given.get(member))
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key not in left_out}}


def _take_over(obj: Object, changed: Object) -> None:
    """Let `obj` be what others made of it, but for what is the server's to say."""
    meta = obj["metadata"]
    new = {**(changed.get("metadata") or {}), **{k: meta[k] for k in _FILLED if k in meta}}
    new["name"] = new.get("name") or meta.get("name", "")
    if "managedFields" in meta:
        new["managedFields"] = meta["managedFields"]
    else:
        new.pop("managedFields", None)
    obj.update({**changed, "metadata": new})
    for member in [name for name in obj if name not in changed]:
        del obj[member]


def _round(
    cluster: LogicalCluster, registered: Registered, attributes: Attributes, replay: Replay, state: Reinvocation
) -> Notes:
    registry = attributes.registry
    assert registry is not None
    subject = Subject(attributes, registry, cluster)
    dispatch = Dispatch(subject, replay)
    try:
        if registered.mutating_policies and _is_for_policies(attributes):
            mutating_policies.mutate(subject, registered.mutating_policies, state)
        if registered.mutating_webhooks and _is_for_webhooks(attributes):
            dispatch.mutate(registered.mutating_webhooks, state)
    except ApiError as error:
        error.warnings = [*error.warnings, *dispatch.warnings]
        raise
    finally:
        note(dispatch.annotations)
    return NOTHING.plus(dispatch.warnings, dispatch.annotations)


def _validate(cluster: LogicalCluster, registered: Registered, attributes: Attributes, notes: Notes) -> Notes:
    """`notes` are those of our own policies, which come first."""
    registry = attributes.registry
    assert registry is not None
    # By now a generated name is known to everybody.
    subject = Subject(attributes._replace(is_generated=False), registry, cluster)
    if registered.validating_policies and _is_for_policies(attributes):
        notes = notes.plus(*_said(_judged(subject, registered, notes)))
        note(notes.annotations)
    if not registered.validating_webhooks or not _is_for_webhooks(attributes):
        return notes
    replay = replay_of(attributes.request)
    if attributes.object is not None and attributes.operation == CREATE:
        replay.pin(attributes.object["metadata"])
    dispatch = Dispatch(subject, replay)
    try:
        dispatch.validate(registered.validating_webhooks)
    except ApiError as error:
        error.warnings = [*error.warnings, *notes.warnings, *dispatch.warnings]
        raise
    finally:
        note(dispatch.annotations)
    return notes.plus(dispatch.warnings, dispatch.annotations)
