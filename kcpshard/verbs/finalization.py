"""How an object ends: finalizers, deletionTimestamp, and what a deletion's propagation policy adds and removes.

Decides (k8s.io/apiserver `rest.BeforeDelete` and the generic registry's delete): whether a deletion removes the object
or marks it, and whether an update has removed the last finalizer. Namespaces also wait for `spec.finalizers`.
"""

from typing import NamedTuple

from kcpshard.api.objects import Object, timestamp
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.definitions.crd_naming import terminating
from kcpshard.verbs.metadata import FOREGROUND, ORPHAN

NAMESPACE = "namespaces"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"  # on a definition until its objects are gone


# As kube-apiserver has it, for clients from before garbage collection.
ORPHANING = frozenset({"replicationcontrollers", "jobs.batch"})


class DeleteOptions(NamedTuple):
    """`policy` is Orphan, Background, Foreground or "" for the object's own wish (its finalizers)."""

    policy: str = ""
    grace_period_s: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


def is_finished(group_resource: str, obj: Object) -> bool:
    """Whether an object that is being deleted may go now: nobody's finalizer is left, nothing runs on."""
    meta = obj["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (group_resource == NAMESPACE and (obj.get("spec") or {}).get("finalizers"))


def default_policy(group_resource: str, finalizers: list[str]) -> str:
    """What is meant where a client names no policy and the object itself does not say it either."""
    is_said = ORPHAN in finalizers or FOREGROUND in finalizers
    return "Orphan" if group_resource in ORPHANING and not is_said else ""


def wanted_finalizers(finalizers: list[str], policy: str) -> list[str]:
    """The object's finalizers after a deletion with that policy: garbage collection's two come and go with it."""
    match policy:
        case "Orphan":
            orphan, foreground = True, False
        case "Foreground":
            orphan, foreground = False, True
        case "Background":
            orphan = foreground = False
        case _:
            orphan, foreground = ORPHAN in finalizers, FOREGROUND in finalizers
    kept = [f for f in finalizers if (f != ORPHAN or orphan) and (f != FOREGROUND or foreground)]
    if orphan and ORPHAN not in kept:
        kept.append(ORPHAN)
    if foreground and FOREGROUND not in kept:
        kept.append(FOREGROUND)
    return kept


def marked(group_resource: str, obj: Object, options: DeleteOptions, grace_period_s: int, now_us: int) -> Object | None:
    """The object as a deletion leaves it; None if the deletion removes it. An equal object: nothing changes."""
    if group_resource == CRDS:
        return _marked_definition(obj, now_us)
    meta = dict(obj["metadata"])
    is_namespace = group_resource == NAMESPACE
    first = "deletionTimestamp" not in meta
    if first or not is_namespace:
        finalizers = meta.get("finalizers") or []
        policy = options.policy or default_policy(group_resource, finalizers)
        _set_finalizers(meta, wanted_finalizers(finalizers, policy))
    new = {**obj, "metadata": meta}
    if is_namespace:
        if (obj.get("spec") or {}).get("finalizers") or meta.get("finalizers"):
            meta.setdefault("deletionTimestamp", timestamp(now_us))
            new["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
            return new
        return None
    if first and (meta.get("finalizers") or grace_period_s):
        meta["deletionTimestamp"] = timestamp(now_us + grace_period_s * 1_000_000)
        meta["deletionGracePeriodSeconds"] = grace_period_s
        if meta.get("generation"):
            meta["generation"] += 1
        return new
    if not first and meta.get("deletionGracePeriodSeconds", 0) > grace_period_s:
        # A shorter grace period than the one it was given shortens it.
        meta["deletionGracePeriodSeconds"] = grace_period_s
        meta["deletionTimestamp"] = timestamp(now_us + grace_period_s * 1_000_000)
    return new if meta.get("finalizers") or meta.get("deletionGracePeriodSeconds") else None


def _marked_definition(obj: Object, now_us: int) -> Object | None:
    """A definition stays until its objects are gone, and says so at once: from now on none is created."""
    meta = obj["metadata"]
    if "deletionTimestamp" in meta:
        return obj if meta.get("finalizers") else None
    now = timestamp(now_us)
    finalizers = meta.get("finalizers") or []
    new = {**meta, "deletionTimestamp": now, "finalizers": [*(f for f in finalizers if f != CLEANUP), CLEANUP]}
    text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    return {**obj, "metadata": new, "status": terminating(obj, "True", "InstanceDeletionPending", text, now)}


def _set_finalizers(meta: Object, finalizers: list[str]) -> None:
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
