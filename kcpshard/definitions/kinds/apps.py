"""Deployment, ReplicaSet, StatefulSet, DaemonSet and ControllerRevision."""

import re

from kcpshard.api.errors import BadRequest
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.disabled_fields import in_template
from kcpshard.definitions.kinds.pod_defaults import default_template, fill
from kcpshard.definitions.kinds.pod_warnings import made_warnings, name_warnings
from kcpshard.definitions.kinds.workload_faults import (
    controller_revision,
    controller_revision_update,
    daemon_set,
    daemon_set_update,
    deployment,
    replica_set,
    stateful_set,
    stateful_set_update,
    status_faults,
    workload_selector_update,
)
from kcpshard.definitions.strategies import Rules, keep, keep_all_but


def _default_deployment(obj: Object) -> None:
    spec = obj["spec"]
    default_template(spec.get("template"))
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {
            "maxUnavailable": "25%",
            "maxSurge": "25%",
            **(strategy.get("rollingUpdate") or {}),
        }


def _default_daemon_set(obj: Object) -> None:
    _check_template_generation(obj)
    spec = obj["spec"]
    default_template(spec.get("template"))
    fill(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": 1, "maxSurge": 0, **(strategy.get("rollingUpdate") or {})}
    elif (rolling := strategy.get("rollingUpdate")) is not None:
        strategy["rollingUpdate"] = {"maxUnavailable": 0, "maxSurge": 0, **rolling}  # kept as numbers, not as absent


_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_INTEGER = re.compile(r"[+-]?[0-9]+")


def _check_template_generation(obj: Object) -> None:
    """The annotation stands for a number of the older API; what is none cannot be read. Raises BadRequest."""
    text = ((obj.get("metadata") or {}).get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
    fault = "" if _INTEGER.fullmatch(text) else "invalid syntax"
    if not fault and not -(2**63) <= int(text) < 2**63:
        fault = "value out of range"
    if fault:
        start = 'DaemonSet in version "v1" cannot be handled as a DaemonSet: strconv.ParseInt: parsing'
        raise BadRequest(f'{start} "{text}": {fault}')


def _first_template(obj: Object) -> None:
    annotations = dict(obj["metadata"].get("annotations") or {})
    obj["metadata"]["annotations"] = {**annotations, _TEMPLATE_GENERATION: annotations.get(_TEMPLATE_GENERATION, "1")}


def _next_template(new: Object, old: Object) -> None:
    """An older API counted changes of the template; its count lives on in an annotation."""
    keep(new, old, "status")
    count = int((old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "1"))
    changed = new["spec"].get("template") != old["spec"].get("template")
    annotations = new["metadata"].get("annotations") or {}
    new["metadata"]["annotations"] = {**annotations, _TEMPLATE_GENERATION: str(count + changed)}


def _default_stateful_set(obj: Object) -> None:
    spec = obj["spec"]
    default_template(spec.get("template"))
    fill(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        if strategy.get("rollingUpdate") is None:
            strategy["rollingUpdate"] = {}
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate" and rolling is not None:
        strategy["rollingUpdate"] = {"partition": 0, **rolling}
    kept = spec.get("persistentVolumeClaimRetentionPolicy")
    if kept is None:
        kept = spec["persistentVolumeClaimRetentionPolicy"] = {}
    fill(kept, whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        fill(claim["spec"], volumeMode="Filesystem")
        fill(claim["status"], phase="Pending")


def _create_stateful_set(obj: Object) -> None:
    _drop_unavailable(obj, {})


def _update_stateful_set(new: Object, old: Object) -> None:
    keep(new, old, "status")
    _drop_unavailable(new, old)


def _drop_unavailable(new: Object, old: Object) -> None:
    """A field behind a gate that is closed by default: kept only where it is in use."""
    before = ((old.get("spec") or {}).get("updateStrategy") or {}).get("rollingUpdate") or {}
    rolling = new["spec"]["updateStrategy"].get("rollingUpdate")
    if rolling and before.get("maxUnavailable") is None:
        rolling.pop("maxUnavailable", None)


def _endless_history(obj: Object) -> list[str]:
    if obj["spec"].get("revisionHistoryLimit", 0) >= 0:
        return []
    text = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    return [text]


def _default_replica_set(obj: Object) -> None:
    default_template(obj["spec"].get("template"))
    fill(obj["spec"], replicas=1)


def _prepare_deployment_status(new: Object, old: Object) -> None:
    keep_all_but(new, old, "status")
    keep(new["metadata"], old["metadata"], "labels")


ROWS = {
    ("apps", "Deployment"): Rules(
        default=(_default_deployment,),
        create_warnings=name_warnings,
        spec_warnings=made_warnings,
        validate=(deployment,),
        validate_update=(workload_selector_update,),
        prepare_update={"status": _prepare_deployment_status},
        validate_subresource={"status": (status_faults,)},
        generation=True,
        disabled=in_template("spec", "template"),
    ),
    ("apps", "DaemonSet"): Rules(
        default=(_default_daemon_set,),
        spec_warnings=made_warnings,
        prepare_create=(_first_template,),
        prepare_update={"": _next_template},
        validate=(daemon_set,),
        validate_update=(daemon_set_update,),
        validate_subresource={"status": (status_faults,)},
        generation=True,
        disabled=in_template("spec", "template"),
    ),
    ("apps", "StatefulSet"): Rules(
        default=(_default_stateful_set,),
        spec_warnings=made_warnings,
        prepare_create=(_create_stateful_set,),
        prepare_update={"": _update_stateful_set},
        validate_create=(stateful_set,),
        validate_update=(stateful_set_update,),
        validate_subresource={"status": (status_faults,)},
        warnings=_endless_history,
        generation=True,
        disabled=in_template("spec", "template"),
    ),
    ("apps", "ReplicaSet"): Rules(
        default=(_default_replica_set,),
        create_warnings=name_warnings,
        spec_warnings=made_warnings,
        validate=(replica_set,),
        validate_update=(workload_selector_update,),
        validate_subresource={"status": (status_faults,)},
        fields=(("status.replicas", ("status", "replicas")),),
        generation=True,
        disabled=in_template("spec", "template"),
    ),
    ("apps", "ControllerRevision"): Rules(
        validate_create=(controller_revision,), validate_update=(controller_revision_update,)
    ),
}
