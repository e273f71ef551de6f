"""Printers of nodes, of what decides about pods and requests, and of devices."""

from collections.abc import Mapping
from typing import Any

from kcpfront.printers.cells import NONE, UNSET, named, printer, spec_of, status_of
from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age_of, name_of

_ROLE, _OLD_ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


@printer(
    NAME,
    Column("Status", description="Whether the node takes pods."),
    Column("Roles", description="What it is for."),
    AGE,
    Column("Version", description="Of its kubelet."),
    Column("Internal-IP", description="Its address in the cluster.", priority=1),
    Column("External-IP", description="Its address outside.", priority=1),
    Column("OS-Image", description="Its operating system.", priority=1),
    Column("Kernel-Version", description="Its kernel.", priority=1),
    Column("Container-Runtime", description="What runs containers.", priority=1),
)
def _node(obj: Object, now: float) -> list[Any]:
    status = status_of(obj)
    info = status.get("nodeInfo") or {}
    kernel = info.get("kernelVersion") or "<unknown>"
    if info.get("architecture"):
        kernel += f" ({info['architecture']})"
    return [
        name_of(obj), _node_state(obj), _roles(obj), age_of(obj, now), info.get("kubeletVersion", ""),
        _address(status, "InternalIP"), _address(status, "ExternalIP"), info.get("osImage") or "<unknown>", kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]  # fmt: skip


def _node_state(obj: Object) -> str:
    ready = [c for c in status_of(obj).get("conditions") or () if c.get("type") == "Ready"]
    shown = ("Ready" if ready[-1].get("status") == "True" else "NotReady") if ready else "Unknown"
    return shown + ",SchedulingDisabled" if spec_of(obj).get("unschedulable") else shown


def _roles(obj: Object) -> str:
    labels = obj["metadata"].get("labels") or {}
    found = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)} | {labels.get(_OLD_ROLE, "")}
    return ",".join(sorted(found - {""})) or NONE


def _address(status: Object, kind: str) -> str:
    found = [a.get("address", "") for a in status.get("addresses") or () if a.get("type") == kind]
    return found[0] if found else NONE


@printer(
    NAME,
    Column("Value", "integer", description="The priority."),
    Column("Global-Default", "boolean", description="Whether it is that of pods that name none."),
    AGE,
    Column("PreemptionPolicy", description="Whether others go for its pods."),
)
def _priority_class(obj: Object, now: float) -> list[Any]:
    default, policy = bool(obj.get("globalDefault")), obj.get("preemptionPolicy", "")
    return [name_of(obj), obj.get("value", 0), default, age_of(obj, now), policy]


@named(Column("Handler", description="What runs containers of the class."))
def _runtime_class(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), obj.get("handler", ""), age_of(obj, now)]


@printer(
    NAME,
    Column("PriorityLevel", description="The level of its requests."),
    Column("MatchingPrecedence", description="Smaller ones are tried first."),
    Column("DistinguisherMethod", description="How its requests are told apart."),
    AGE,
    Column("MissingPL", description="Whether its level is missing."),
)
def _flow_schema(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    method = (spec.get("distinguisherMethod") or {}).get("type", NONE)
    dangling = [c.get("status", "") for c in status_of(obj).get("conditions") or () if c.get("type") == "Dangling"]
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    missing = dangling[0] if dangling else "?"
    return [name_of(obj), level, spec.get("matchingPrecedence", 0), method, age_of(obj, now), missing]


@named(
    Column("Type", description="Whether it is limited."),
    Column("NominalConcurrencyShares", description="Its share of all seats."),
    Column("Queues", description="Its queues."),
    Column("HandSize", description="Of these, one flow's."),
    Column("QueueLengthLimit", description="Requests in a queue."),
)
def _priority_level(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    limited = spec.get("limited") or {}
    shares = limited.get("nominalConcurrencyShares", 0) if limited else NONE
    queuing = (limited.get("limitResponse") or {}).get("queuing")
    queues = [NONE if queuing is None else queuing.get(m, 0) for m in ("queues", "handSize", "queueLengthLimit")]
    return [name_of(obj), spec.get("type", ""), shares, *queues, age_of(obj, now)]


# --- admission


@named(Column("Webhooks", "integer", description="Webhooks in it."))
def _webhooks(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


def _policy(member: str, title: str) -> Printer:
    @named(
        Column(title, "integer", description=f"{title} in it."),
        Column("ParamKind", description="Of what kind its parameters are."),
    )
    def cells(obj: Object, now: float) -> list[Any]:
        spec = spec_of(obj)
        kind = spec.get("paramKind")
        shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [name_of(obj), len(spec.get(member) or ()), shown, age_of(obj, now)]

    return cells


@named(
    Column("PolicyName", description="The policy that is bound."),
    Column("ParamRef", description="Its parameters."),
)
def _policy_binding(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    given, shown = spec.get("paramRef") or {}, UNSET
    if given.get("name"):
        shown = f"{given.get('namespace') or '*'}/{given['name']}"
    elif given.get("selector"):
        shown = str(given["selector"])
    return [name_of(obj), spec.get("policyName", ""), shown, age_of(obj, now)]


# --- devices


@named()
def _plain(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), age_of(obj, now)]


@named(Column("State", description="What has become of it."))
def _claim(obj: Object, now: float) -> list[Any]:
    status, gone = status_of(obj), obj["metadata"].get("deletionTimestamp")
    states = ["deleted"] if gone else []
    if status.get("allocation"):
        states += ["allocated"] + (["reserved"] if status.get("reservedFor") else [])
    elif not gone:
        states.append("pending")
    return [name_of(obj), ",".join(states), age_of(obj, now)]


@named(
    Column("Node", description="Where the devices are."),
    Column("Driver", description="Whose they are."),
    Column("Pool", description="To which pool they belong."),
)
def _slice(obj: Object, now: float) -> list[Any]:
    spec = spec_of(obj)
    pool = (spec.get("pool") or {}).get("name", "")
    return [name_of(obj), spec.get("nodeName") or "", spec.get("driver", ""), pool, age_of(obj, now)]


@printer(
    NAME,
    Column("Status", description="Whether it is well."),
    Column("Message", description="What it says."),
    Column("Error", description="What went wrong."),
)
def _component(obj: Object, now: float) -> list[Any]:
    healthy = [c for c in obj.get("conditions") or () if c.get("type") == "Healthy"] or [{}]
    well = {"True": "Healthy", "False": "Unhealthy"}.get(healthy[0].get("status", ""), "Unknown")
    return [name_of(obj), well, healthy[0].get("message", ""), healthy[0].get("error", "")]


_ADMISSION = "admissionregistration.k8s.io"
PRINTERS: Mapping[tuple[str, str], Printer] = {
    ("", "componentstatuses"): _component,
    ("", "nodes"): _node,
    (_ADMISSION, "mutatingadmissionpolicies"): _policy("mutations", "Mutations"),
    (_ADMISSION, "mutatingadmissionpolicybindings"): _policy_binding,
    (_ADMISSION, "mutatingwebhookconfigurations"): _webhooks,
    (_ADMISSION, "validatingadmissionpolicies"): _policy("validations", "Validations"),
    (_ADMISSION, "validatingadmissionpolicybindings"): _policy_binding,
    (_ADMISSION, "validatingwebhookconfigurations"): _webhooks,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): _flow_schema,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): _priority_level,
    ("node.k8s.io", "runtimeclasses"): _runtime_class,
    ("resource.k8s.io", "deviceclasses"): _plain,
    ("resource.k8s.io", "resourceclaims"): _claim,
    ("resource.k8s.io", "resourceclaimtemplates"): _plain,
    ("resource.k8s.io", "resourceslices"): _slice,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
}
