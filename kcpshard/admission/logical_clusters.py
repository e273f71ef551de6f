"""LogicalClusters: made and deleted by the system only, and moved on from phase to phase by whoever has done its work.

A status that names nobody to wait for any more is Ready in the same write; see `tenancy.logical_clusters`.
"""

from kcpshard.admission.attributes import CREATE, DELETE, Attributes
from kcpshard.api.errors import Forbidden
from kcpshard.api.objects import Object
from kcpshard.api.requests import decode_identity
from kcpshard.authorization.policy import MASTERS
from kcpshard.storage import envelope
from kcpshard.tenancy.logical_clusters import settle
from kcpshard.tenancy.names import (
    CORE,
    FINALIZER,
    FORK_OF,
    LOGICAL_CLUSTERS,
    NAME,
    PATH,
    READY,
    TERMINATING,
    TYPE,
    WORKSPACE_LABELS,
)

_ORDER = {"": 0, "Scheduling": 1, "Initializing": 2, "Ready": 3, "Inactive": 3, "Unavailable": 3}
_TOLD_AT_BIRTH = (PATH, TYPE, FORK_OF, WORKSPACE_LABELS)  # what others decide by
_SET_AT_BIRTH = ("owner", "createdBy", "initializers", "terminators", "inherit")


def admit(attributes: Attributes) -> None:
    identity = decode_identity(attributes.identity)
    is_privileged = MASTERS in identity.groups and not identity.scope
    if attributes.operation == CREATE:
        raise _refusal("LogicalCluster cannot be created")
    if attributes.operation == DELETE:
        if not is_privileged:
            _check_deletable(attributes)
        return
    new, old = attributes.object, attributes.old
    if new is None or old is None:
        return
    if not is_privileged:
        _check_update(new, old)
    settle(new)


def _check_deletable(attributes: Attributes) -> None:
    assert attributes.cluster is not None
    value = attributes.store.pending(attributes.cluster, LOGICAL_CLUSTERS, "", NAME)
    if value is None or b'"directlyDeletable":true' not in envelope.body(value):
        raise _refusal("LogicalCluster cannot be deleted")


def _check_update(new: Object, old: Object) -> None:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    for member in _SET_AT_BIRTH:
        if spec.get(member) != old_spec.get(member):
            raise _refusal(f"spec.{member} is immutable")
    annotations, old_annotations = (each["metadata"].get("annotations") or {} for each in (new, old))
    for key in _TOLD_AT_BIRTH:
        if annotations.get(key) != old_annotations.get(key):
            raise _refusal(f"annotation {key} can only be changed by system privileged users")
    status, old_status = new.get("status") or {}, old.get("status") or {}
    for member in ("initializers", "terminators"):
        if not set(status.get(member) or ()) <= set(old_status.get(member) or ()):
            raise _refusal(f"status.{member} must not grow")
    if status.get("terminators") != old_status.get("terminators") and not old["metadata"].get("deletionTimestamp"):
        raise _refusal(f"status.terminators is immutable before phase {TERMINATING}")
    phase, old_phase = status.get("phase") or "", old_status.get("phase") or ""
    if phase != old_phase and _ORDER.get(old_phase, 9) > _ORDER.get(phase, 9):
        raise _refusal(f'cannot transition from "{old_phase}" to "{phase}"')
    if phase == READY and old_phase != READY and status.get("initializers"):
        raise _refusal("status.initializers is not empty")
    had, has = (FINALIZER in (each["metadata"].get("finalizers") or ()) for each in (old, new))
    if had and not has:
        raise _refusal(f"finalizer {FINALIZER} can only be removed by system privileged users")


def _refusal(text: str) -> Forbidden:
    shown = f'logicalclusters.{CORE} "{NAME}" is forbidden: {text}'
    return Forbidden(shown, name=NAME, group=CORE, kind="logicalclusters")
