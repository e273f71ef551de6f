"""Printers of what runs pods: controllers, jobs, autoscalers, disruption budgets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from kcpfront.printers.cells import (
    CONTAINERS,
    NONE,
    SELECTOR,
    UNSET,
    containers_of,
    first_few,
    has_condition,
    labels,
    named,
    printer,
    selector,
    spec_of,
    status_of,
    template_spec,
)
from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age, age_of, human_duration, name_of
from kcpfront.printers.pods import POD
from kcpshard.api.label_selectors import InvalidSelector, selector_text


def _count(name: str) -> Column:
    return Column(name, "integer", description=f"{name} pods.")


_DESIRED, _CURRENT, _READY = _count("Desired"), _count("Current"), _count("Ready")
_OF_ALL = Column("Ready", description="Pods that are ready, of those wanted.")
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_JOB_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


@printer(
    NAME,
    _OF_ALL,
    Column("Up-to-date", description="Pods of the newest template."),
    Column("Available", description="Pods that have been ready for long enough."),
    AGE,
    *CONTAINERS,
    SELECTOR,
)
def _deployment(obj: Object, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    try:
        chosen = selector_text(spec.get("selector"))
    except InvalidSelector:
        chosen = "<invalid>"
    return [name_of(obj), ready, *counts, age_of(obj, now), *containers_of(template_spec(obj)), chosen]


@printer(NAME, _DESIRED, _CURRENT, _READY, AGE, *CONTAINERS, SELECTOR)
def _replica_set(obj: Object, now: float) -> list[Any]:
    return [*_replicas(obj, now), selector(spec_of(obj).get("selector"))]


@printer(NAME, _DESIRED, _CURRENT, _READY, AGE, *CONTAINERS, SELECTOR)
def _replication_controller(obj: Object, now: float) -> list[Any]:
    return [*_replicas(obj, now), labels(spec_of(obj).get("selector"))]


def _replicas(obj: Object, now: float) -> list[Any]:
    status = status_of(obj)
    counts = [spec_of(obj).get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name_of(obj), *counts, age_of(obj, now), *containers_of(template_spec(obj))]


@printer(NAME, _OF_ALL, AGE, *CONTAINERS)
def _stateful_set(obj: Object, now: float) -> list[Any]:
    ready = f"{status_of(obj).get('readyReplicas', 0)}/{spec_of(obj).get('replicas', 0)}"
    return [name_of(obj), ready, age_of(obj, now), *containers_of(template_spec(obj))]


@printer(
    NAME,
    _DESIRED,
    _CURRENT,
    _READY,
    _count("Up-to-date"),
    _count("Available"),
    Column("Node Selector", description="Labels of the nodes it runs on."),
    AGE,
    *CONTAINERS,
    SELECTOR,
)
def _daemon_set(obj: Object, now: float) -> list[Any]:
    status, pods = status_of(obj), template_spec(obj)
    members = (
        "desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable",
    )  # fmt: skip
    counts = [status.get(member, 0) for member in members]
    nodes, chosen = labels(pods.get("nodeSelector")), selector(spec_of(obj).get("selector"))
    return [name_of(obj), *counts, nodes, age_of(obj, now), *containers_of(pods), chosen]


@printer(
    NAME,
    Column("Status", description="How far the job is."),
    Column("Completions", description="Pods that succeeded, of those wanted."),
    Column("Duration", description="How long the job has run."),
    AGE,
    *CONTAINERS,
    SELECTOR,
)
def _job(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    return [
        name_of(obj), _job_state(obj), _completions(obj), _job_duration(status_of(obj), now), age_of(obj, now),
        *containers_of(template_spec(obj)), selector(spec.get("selector")),
    ]  # fmt: skip


def _job_state(obj: Object) -> str:
    for condition, shown in _JOB_STATES:
        if has_condition(obj, condition) if condition else obj["metadata"].get("deletionTimestamp"):
            return shown
    return "Running"


def _completions(obj: Object) -> str:
    spec, succeeded = spec_of(obj), status_of(obj).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(status: Object, now: float) -> str:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    ended = datetime.fromisoformat(end).timestamp() if end else now
    return human_duration(ended - datetime.fromisoformat(start).timestamp())


@printer(
    NAME,
    Column("Schedule", description="When jobs are made."),
    Column("Timezone", description="Of the schedule."),
    Column("Suspend", "boolean", description="Whether no more jobs are made."),
    Column("Active", "integer", description="Jobs that run."),
    Column("Last Schedule", description="Since a job was made."),
    AGE,
    *CONTAINERS,
    SELECTOR,
)
def _cron_job(obj: Object, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    suspend = {None: UNSET, True: "True", False: "False"}[spec.get("suspend")]
    last = age(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    pods = (template.get("template") or {}).get("spec")
    return [
        name_of(obj), spec.get("schedule", ""), spec.get("timeZone") or NONE, suspend, len(status.get("active") or ()),
        last, age_of(obj, now), *containers_of(pods), selector(template.get("selector")),
    ]  # fmt: skip


@printer(
    NAME,
    Column("Containers", description="Names of the containers."),
    Column("Images", description="Images of the containers."),
    Column("Pod Labels", description="Labels of the pods."),
)
def _pod_template(obj: Object, now: float) -> list[Any]:
    template = obj.get("template") or {}
    shown = labels((template.get("metadata") or {}).get("labels"))
    return [name_of(obj), *containers_of(template.get("spec")), shown]


@named(
    Column("Controller", description="Whose revision this is."),
    Column("Revision", description="Its number; a later one is greater."),
)
def _controller_revision(obj: Object, now: float) -> list[Any]:
    owners = [o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")]
    shown = NONE
    if owners:
        group = owners[0].get("apiVersion", "").rpartition("/")[0]
        kind = owners[0].get("kind", "").lower()
        shown = f"{kind}.{group}/{owners[0].get('name', '')}" if group else f"{kind}/{owners[0].get('name', '')}"
    return [name_of(obj), shown, obj.get("revision", 0), age_of(obj, now)]


@named(
    Column("Min Available", description="Pods that must stay."),
    Column("Max Unavailable", description="Pods that may go."),
    Column("Allowed Disruptions", "integer", description="Pods that may go now."),
)
def _disruption_budget(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    bounds = ["N/A" if spec.get(m) is None else str(spec[m]) for m in ("minAvailable", "maxUnavailable")]
    return [name_of(obj), *bounds, status_of(obj).get("disruptionsAllowed", 0), age_of(obj, now)]


@named(
    Column("Reference", description="What is scaled."),
    Column("Targets", description="Metrics as they are and as they should be."),
    Column("MinPods", description="The fewest pods."),
    Column("MaxPods", description="The most pods."),
    Column("Replicas", description="Pods now."),
)
def _autoscaler(obj: Object, now: float) -> list[Any]:
    spec, status = spec_of(obj), status_of(obj)
    target, least = spec.get("scaleTargetRef") or {}, spec.get("minReplicas")
    if obj.get("apiVersion") == "autoscaling/v1":
        shown = _targets_of_v1(obj)
    else:
        current = status.get("currentMetrics") or []
        pairs = [(m, current[n] if n < len(current) else {}) for n, m in enumerate(spec.get("metrics") or ())]
        shown = [_target(metric, state) for metric, state in pairs]
    return [
        name_of(obj), f"{target.get('kind', '')}/{target.get('name', '')}", first_few(shown, 2, ", ") or NONE,
        UNSET if least is None else str(least), spec.get("maxReplicas", 0), status.get("currentReplicas", 0),
        age_of(obj, now),
    ]  # fmt: skip


_SOURCES = {
    "ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
    "Resource": "resource",
}  # fmt: skip


def _target(metric: Object, state: Object) -> str:
    member = _SOURCES.get(metric.get("type", ""))
    if member is None:
        return "<unknown type>"
    source, current = metric.get(member) or {}, (state.get(member) or {}).get("current") or {}
    target, unknown = source.get("target") or {}, "<unknown>"
    if member in ("resource", "containerResource"):
        if target.get("averageValue") is not None:
            shown = f"{current.get('averageValue', unknown)}/{target['averageValue']}"
        else:
            shown = f"{_percent(current, unknown)}/{_percent(target, '<auto>')}"
        return f"{source.get('name', '')}: {shown}"
    if member == "pods":
        return f"{current.get('averageValue', unknown)}/{target.get('averageValue', '0')}"
    if target.get("averageValue") is not None:
        return f"{current.get('averageValue', unknown)}/{target['averageValue']} (avg)"
    return f"{current.get('value', unknown)}/{target.get('value', '0')}"


def _percent(values: Object, otherwise: str) -> str:
    found = values.get("averageUtilization")
    return otherwise if found is None else f"{found}%"


def _targets_of_v1(obj: Object) -> list[str]:
    """v1 has fields for one target; others are told in an annotation."""
    spec, status = spec_of(obj), status_of(obj)
    try:
        others = orjson.loads((obj["metadata"].get("annotations") or {}).get(_METRICS) or "[]")
    except orjson.JSONDecodeError:
        others = []
    shown = [_target_of_v1(metric) for metric in others if isinstance(metric, dict)]
    if (wanted := spec.get("targetCPUUtilizationPercentage")) is not None:
        used = status.get("currentCPUUtilizationPercentage")
        shown.append(f"cpu: {'<unknown>' if used is None else f'{used}%'}/{wanted}%")
    return shown


def _target_of_v1(metric: Object) -> str:
    member = _SOURCES.get(metric.get("type", ""), "")
    source = metric.get(member) or {}
    average = source.get("targetAverageValue", source.get("averageValue"))
    if member in ("resource", "containerResource"):
        percent = source.get("targetAverageUtilization")
        return f"{source.get('name', '')}: <unknown>/{average if percent is None else f'{percent}%'}"
    if average is not None:
        return f"<unknown>/{average}" + ("" if member == "pods" else " (avg)")
    return f"<unknown>/{source.get('targetValue', '0')}"


PRINTERS: Mapping[tuple[str, str], Printer] = {
    ("", "pods"): POD,
    ("", "podtemplates"): _pod_template,
    ("", "replicationcontrollers"): _replication_controller,
    ("apps", "controllerrevisions"): _controller_revision,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("batch", "cronjobs"): _cron_job,
    ("batch", "jobs"): _job,
    ("policy", "poddisruptionbudgets"): _disruption_budget,
}
