"""Lease. The fields of coordinated leader election are dropped, as kube-apiserver does while that feature is off."""

from collections.abc import Iterator

from kcpshard.api.errors import FieldError, invalid
from kcpshard.definitions.contract import Object
from kcpshard.definitions.strategies import Rules


def _drop_disabled(obj: Object) -> None:
    spec = obj.get("spec")
    if spec:
        spec.pop("strategy", None)
        spec.pop("preferredHolder", None)


def _validate(obj: Object) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        yield invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


ROWS = {("coordination.k8s.io", "Lease"): Rules(default=(_drop_disabled,), validate=(_validate,))}
