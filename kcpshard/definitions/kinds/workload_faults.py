"""Validation of the apps group."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.claim_faults import claim_spec_faults
from kcpshard.definitions.kinds.pod_faults import pod_spec_faults, template_faults

Faults = Iterator[FieldError]


def selected_template_faults(
    spec: Object, word: str, *, known_volumes: Object | None = None, running: str = ""
) -> Faults:
    """Selector and template, and that the one takes the other. `word` is how the kind calls itself; `running`, where
    the template is judged only under a good selector, also how it calls itself as what runs for ever."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        if word != "daemonset":
            yield required("spec.selector")
    else:
        yield from checks.selector("spec.selector", selector)
        if checks.is_empty_selector(selector):
            yield invalid("spec.selector", selector, f"empty selector is invalid for {word}")
    labels = (template.get("metadata") or {}).get("labels") or {}
    selected = checks.is_selected(selector, labels)
    if selected is None and word == "daemonset":
        selected = True  # what is wrong with the selector has been told
    if selected is None:
        text = "" if word == "statefulset" else "invalid label selector"
        yield FieldError(
            "spec.selector", "FieldValueInvalid", invalid("spec.selector", selector, text).detail.removesuffix(": ")
        )
        return
    if not selected and (word == "daemonset" or selector is None or not checks.is_empty_selector(selector)):
        yield invalid("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`")
    if known_volumes is None:
        yield from template_faults(template, "spec.template")
    else:
        yield from _set_template_faults(template, known_volumes)
    if running:
        yield from running_faults(spec, running)


def _set_template_faults(template: Object, known_volumes: Object) -> Faults:
    """Of a StatefulSet: its claims replace volumes of the same name; hostname and subdomain are its own."""
    spec = {key: value for key, value in (template.get("spec") or {}).items() if key not in ("hostname", "subdomain")}
    spec["volumes"] = [v for v in spec.get("volumes") or () if v.get("name") not in known_volumes]
    yield from template_faults({**template, "spec": _with_volumes(spec, known_volumes)}, "spec.template")


def _with_volumes(spec: Object, known: Object) -> Object:
    claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in known]
    return {**spec, "volumes": [*claims, *spec["volumes"]]}


def running_faults(spec: Object, kind: str) -> Faults:
    """Pods that are meant to run for ever."""
    pod = (spec.get("template") or {}).get("spec") or {}
    if pod.get("restartPolicy") != "Always":
        found = f'Unsupported value: "{pod.get("restartPolicy", "")}": supported values: "Always"'
        yield FieldError("spec.template.spec.restartPolicy", "FieldValueNotSupported", found)
    if pod.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", text)


def deployment(obj: Object) -> Faults:
    spec = obj["spec"]
    yield from checks.nonnegative(spec, "spec", "replicas")
    yield from selected_template_faults(spec, "deployment", running="ReplicaSet")
    yield from _strategy_faults(spec["strategy"], "spec.strategy")
    yield from checks.nonnegative(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _strategy_faults(strategy: Object, path: str) -> Faults:
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate":
        if rolling is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden(f"{path}.rollingUpdate", text)
    elif strategy["type"] == "RollingUpdate":
        yield from _rolling_faults(rolling or {}, f"{path}.rollingUpdate")
    else:
        yield from _unsupported(path, strategy, ("Recreate", "RollingUpdate"))


def _unsupported(path: str, shown: Any, supported: tuple[str, ...]) -> Faults:
    listed = ", ".join(f'"{word}"' for word in supported)
    yield FieldError(path, "FieldValueNotSupported", f"Unsupported value: {shown}: supported values: {listed}")


def _rolling_faults(rolling: Object, path: str) -> Faults:
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    yield from checks.int_or_percent(f"{path}.maxUnavailable", unavailable)
    yield from checks.int_or_percent(f"{path}.maxSurge", surge)
    if _is_zero(unavailable) and _is_zero(surge):
        yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from checks.at_most_everything(f"{path}.maxUnavailable", unavailable)


def _is_zero(value: int | str) -> bool:
    """As Go reads it: text that is neither a number nor a percentage is 0."""
    if isinstance(value, int):
        return value == 0
    return not checks.percent(value) and not (value.isdigit() and int(value))


def replica_set(obj: Object) -> Faults:
    spec = obj["spec"]
    yield from checks.nonnegative(spec, "spec", "replicas", "minReadySeconds")
    yield from selected_template_faults(spec, "deployment", running="ReplicaSet")


def workload_selector_update(new: Object, old: Object) -> Faults:
    yield from checks.unchanged("spec.selector", new["spec"].get("selector"), old["spec"].get("selector"))


def daemon_set(obj: Object) -> Faults:
    spec, strategy = obj["spec"], obj["spec"]["updateStrategy"]
    yield from selected_template_faults(spec, "daemonset")
    yield from running_faults(spec, "DaemonSet")
    yield from checks.nonnegative(spec, "spec", "minReadySeconds")
    path, rolling = "spec.updateStrategy", strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate":
        yield from _daemon_rolling_faults(rolling or {}, f"{path}.rollingUpdate")
    elif strategy["type"] != "OnDelete":
        yield from _unsupported(path, strategy, ("RollingUpdate", "OnDelete"))
    yield from checks.nonnegative(spec, "spec", "revisionHistoryLimit")


def _daemon_rolling_faults(rolling: Object, path: str) -> Faults:
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    for member, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        yield from checks.int_or_percent(f"{path}.{member}", value)
        yield from checks.at_most_everything(f"{path}.{member}", value)
    if not _is_zero(unavailable) and not _is_zero(surge):
        yield invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    if _is_zero(unavailable) and _is_zero(surge):
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def daemon_set_update(new: Object, old: Object) -> Faults:
    yield from workload_selector_update(new, old)


_SET_MUTABLE = frozenset(
    (
        "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    )
)  # fmt: skip


def stateful_set(obj: Object) -> Faults:
    spec = obj["spec"]
    for place, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from claim_spec_faults(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{place}].spec")
    if spec.get("serviceName"):
        yield from checks.dns_label("spec.serviceName", spec["serviceName"])
    yield from _set_faults(spec)


def _set_faults(spec: Object) -> Faults:
    policy, strategy = spec["podManagementPolicy"], spec["updateStrategy"]
    if policy not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    rolling, path = strategy.get("rollingUpdate"), "spec.updateStrategy"
    if strategy["type"] == "OnDelete":
        if rolling is not None:
            yield invalid(f"{path}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif strategy["type"] != "RollingUpdate":
        yield invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None:
        yield from checks.nonnegative(rolling, f"{path}.rollingUpdate", "partition")
        yield from _set_unavailable_faults(rolling, f"{path}.rollingUpdate.maxUnavailable")
    kept, path = spec["persistentVolumeClaimRetentionPolicy"], "spec.persistentVolumeClaimRetentionPolicy"
    for member in ("whenDeleted", "whenScaled"):
        if kept[member] not in ("Retain", "Delete"):
            yield from checks.one_supported(f"{path}.{member}", kept[member], ("Retain", "Delete"))
    yield from checks.nonnegative(spec, "spec", "replicas", "minReadySeconds")
    yield from checks.nonnegative(
        {"ordinals.start": (spec.get("ordinals") or {}).get("start")}, "spec", "ordinals.start"
    )
    claims = {(claim.get("metadata") or {}).get("name", ""): claim for claim in spec.get("volumeClaimTemplates") or ()}
    yield from selected_template_faults(spec, "statefulset", known_volumes=claims)
    yield from running_faults(spec, "StatefulSet")


def _set_unavailable_faults(rolling: Object, path: str) -> Faults:
    value = rolling.get("maxUnavailable")
    if value is not None:
        yield from checks.int_or_percent(path, value)
        if _is_zero(value):
            yield invalid(path, value, "cannot be 0")
        yield from checks.at_most_everything(path, value)


def stateful_set_update(new: Object, old: Object) -> Faults:
    if not any(True for _ in _set_faults(old["spec"])):
        yield from _set_faults(new["spec"])
    kept = [{k: _comparable(k, v) for k, v in o["spec"].items() if k not in _SET_MUTABLE} for o in (new, old)]
    if kept[0] != kept[1]:
        yield forbidden(
            "spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are forbidden",
        )  # fmt: skip


def _comparable(member: str, value: Any) -> Any:
    """Claims without the names of their type."""
    if member != "volumeClaimTemplates":
        return value
    return [{k: v for k, v in claim.items() if k not in ("apiVersion", "kind")} for claim in value or ()]


_COUNTS: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("updatedReplicas", "readyReplicas", "availableReplicas"),
    "ReplicaSet": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    "ReplicationController": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    "StatefulSet": ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
}


def status_faults(new: Object, old: Object) -> Faults:
    """Counts of replicas: none negative, none above all, available ones also ready."""
    status = new.get("status") or {}
    counted = [member for member, value in status.items() if isinstance(value, int)]
    yield from checks.nonnegative(status, "status", *counted)
    for member in _COUNTS.get(new["kind"], ()):
        if status.get(member, 0) > status.get("replicas", 0):
            yield invalid(f"status.{member}", status.get(member, 0), "cannot be greater than status.replicas")
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        ready = "status.readyReplicas" if new["kind"] == "StatefulSet" else "readyReplicas"
        yield invalid("status.availableReplicas", status["availableReplicas"], f"cannot be greater than {ready}")
    before, after = (o.get("status", {}).get("collisionCount") for o in (old, new))
    if before is not None and (after is None or after < before):
        yield invalid("status.collisionCount", after or 0, "cannot be decremented")


def _revision_faults(obj: Object) -> Faults:
    if obj.get("revision", 0) < 0:
        yield invalid("revision", obj["revision"], checks.NEGATIVE)


def controller_revision(obj: Object) -> Faults:
    yield from _revision_faults(obj)
    if obj.get("data") is None:
        yield required("data", "data is mandatory")
    elif not isinstance(obj["data"], dict):
        yield required("data", "data must be a valid JSON object")


def controller_revision_update(new: Object, old: Object) -> Faults:
    yield from _revision_faults(new)
    # As bytes: to Python true is 1.
    after, before = (orjson.dumps(o.get("data"), option=orjson.OPT_SORT_KEYS) for o in (new, old))
    if after != before:
        yield invalid("data", new.get("data"), checks.IMMUTABLE)


def pod_faults(obj: Object) -> Faults:
    """A Pod, on creation."""
    yield from pod_spec_faults(obj["spec"], "spec", is_pod=True)
