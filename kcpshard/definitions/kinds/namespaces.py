"""Namespace: its spec (the finalizers) changes only through /finalize, its phase only through /status."""

from collections.abc import Iterator

from kcpshard.api.errors import FieldError, invalid
from kcpshard.definitions.contract import Object
from kcpshard.definitions.naming import finalizer_name_faults
from kcpshard.definitions.strategies import Rules, keep

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


def _default(obj: Object) -> None:
    meta = obj["metadata"]
    if meta.get("name") and (meta.get("labels") or {}).get(NAME_LABEL) != meta["name"]:
        meta["labels"] = {**(meta.get("labels") or {}), NAME_LABEL: meta["name"]}
    status = obj.setdefault("status", {})
    if not status.get("phase"):
        obj["status"] = {**status, "phase": "Active"}


def _prepare_create(obj: Object) -> None:
    obj["status"] = {"phase": "Active"}
    spec = dict(obj.get("spec") or {})
    finalizers = list(spec.get("finalizers") or ())
    obj["spec"] = {**spec, "finalizers": finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER]}


def _prepare_update(new: Object, old: Object) -> None:
    keep(new, old, "spec")
    keep(new, old, "status")


def _prepare_finalize(new: Object, old: Object) -> None:
    keep(new, old, "status")


def _prepare_status(new: Object, old: Object) -> None:
    keep(new, old, "spec")


def _validate_create(obj: Object) -> Iterator[FieldError]:
    for name in obj["spec"]["finalizers"]:
        yield from finalizer_name_faults(name, "spec.finalizers")


def _validate_finalize(new: Object, old: Object) -> Iterator[FieldError]:
    for place, name in enumerate((new.get("spec") or {}).get("finalizers") or ()):
        yield from finalizer_name_faults(name, f"spec.finalizers[{place}]")


def _validate_status(new: Object, old: Object) -> Iterator[FieldError]:
    phase = (new.get("status") or {}).get("phase", "")
    if not new["metadata"].get("deletionTimestamp"):
        if phase != "Active":
            yield invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
    elif phase != "Terminating":
        yield invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")


ROWS = {
    ("", "Namespace"): Rules(
        default=(_default,),
        prepare_create=(_prepare_create,),
        prepare_update={"": _prepare_update, "finalize": _prepare_finalize, "status": _prepare_status},
        validate_create=(_validate_create,),
        validate_subresource={"finalize": (_validate_finalize,), "status": (_validate_status,)},
        fields=(("status.phase", ("status", "phase")),),
    ),
}
