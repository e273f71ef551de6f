"""Printers of the built-in kinds that have one, with kube-apiserver 1.36's columns and cells."""

from collections.abc import Callable, Mapping
from typing import Any

from kcpfront.printers import cluster, networking, storage, workloads
from kcpfront.printers.columns import AGE, NAME, Column, Object, Printer, age, age_of, human_duration, name_of

_Cells = Callable[[Object, float], list[Any]]


def _printer(*columns: Column) -> Callable[[_Cells], Printer]:
    return lambda cells: Printer(columns, cells)


@_printer(NAME, Column("Data", description="Number of entries."), AGE)
def _config_map(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age_of(obj, now)]


@_printer(
    NAME, Column("Type", description="Type of the secret."), Column("Data", description="Number of entries."), AGE
)
def _secret(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now)]


@_printer(NAME, Column("Status", description="The status of the namespace"), AGE)
def _namespace(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), (obj.get("status") or {}).get("phase", ""), age_of(obj, now)]


@_printer(NAME, AGE)
def _service_account(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), age_of(obj, now)]


@_printer(NAME, Column("Holder", description="Identity of the holder of the lease."), AGE)
def _lease(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), (obj.get("spec") or {}).get("holderIdentity") or "", age_of(obj, now)]


@_printer(
    NAME,
    Column("Request", description="Requests used and allowed."),
    Column("Limit", description="Limits used and allowed."),
    AGE,
)
def _resource_quota(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    used = status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for resource, hard in sorted((status.get("hard") or {}).items()):
        text = f"{resource}: {used.get(resource, '0')}/{hard}"
        (limits if "limits." in resource else requests).append(text)
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


_SUBJECTS = (
    Column("Users", description="Users the role is given to.", priority=1),
    Column("Groups", description="Groups the role is given to.", priority=1),
    Column("ServiceAccounts", description="Service accounts the role is given to.", priority=1),
)


@_printer(NAME, Column("Role", description="The role that is given."), AGE, *_SUBJECTS)
def _role_binding(obj: Object, now: float) -> list[Any]:
    role = obj.get("roleRef") or {}
    names: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = subject.get("name", "")
        shown = f"{subject.get('namespace', '')}/{name}" if subject.get("kind") == "ServiceAccount" else name
        names.setdefault(subject.get("kind", ""), []).append(shown)
    subjects = [", ".join(names[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name_of(obj), f"{role.get('kind', '')}/{role.get('name', '')}", age_of(obj, now), *subjects]


@_printer(
    NAME,
    Column("Service", description="The service that serves this API."),
    Column("Available", description="Whether this service is available."),
    AGE,
)
def _api_service(obj: Object, now: float) -> list[Any]:
    service = (obj.get("spec") or {}).get("service")
    url = (obj["metadata"].get("annotations") or {}).get("apiregistration.kcp.io/url")
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else url or "Local"
    available = "Unknown"
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available":
            available = condition.get("status", "")
            if available != "True":
                available = f"{available} ({condition.get('reason', '')})"
    return [name_of(obj), shown, available, age_of(obj, now)]


@_printer(
    NAME,
    AGE,
    Column("SignerName", description="The signer asked for."),
    Column("Requestor", description="Who asked."),
    Column("RequestedDuration", description="The validity asked for."),
    Column("Condition", description="Approval, denial, failure and issue."),
)
def _certificate_signing_request(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    duration = "<none>" if seconds is None else human_duration(seconds)
    signer = spec.get("signerName") or "<none>"
    return [name_of(obj), age_of(obj, now), signer, spec.get("username", ""), duration, _request_state(status)]


def _request_state(status: Object) -> str:
    types = {condition.get("type") for condition in status.get("conditions") or ()}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    if "Failed" in types:
        state += ",Failed"
    return state + ",Issued" if status.get("certificate") else state


@_printer(
    Column("Last Seen", description="When the event was last seen."),
    Column("Type", description="Normal, Warning, or a type to come."),
    Column("Reason", description="Why, as one word for machines."),
    Column("Object", description="What the event is about."),
    Column("Subobject", description="The part of the object that the event is about.", priority=1),
    Column("Source", description="Who reports it.", priority=1),
    Column("Message", description="What happened, for humans."),
    Column("First Seen", description="When the event was first seen.", priority=1),
    Column("Count", description="How often it was seen.", priority=1),
    NAME._replace(priority=1),
)
def _event(obj: Object, now: float) -> list[Any]:
    first = age(obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime"), now)
    last_at = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    last = age(last_at, now) if last_at else first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if series := obj.get("series"):
        last, count = age(series.get("lastObservedTime"), now), series.get("count", 0)
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    target = about.get("kind", "").lower()
    if about.get("name"):
        target += "/" + about["name"]
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    message = (obj.get("message") or obj.get("note") or "").strip()
    return [
        last, obj.get("type", ""), obj.get("reason", ""), target, about.get("fieldPath", ""),
        f"{component}, {instance}" if instance else component, message, first, count, name_of(obj),
    ]  # fmt: skip


PRINTERS: Mapping[tuple[str, str], Printer] = {
    **cluster.PRINTERS,
    **networking.PRINTERS,
    **storage.PRINTERS,
    **workloads.PRINTERS,
    ("", "configmaps"): _config_map,
    ("", "events"): _event,
    ("", "namespaces"): _namespace,
    ("", "resourcequotas"): _resource_quota,
    ("", "secrets"): _secret,
    ("", "serviceaccounts"): _service_account,
    ("apiregistration.k8s.io", "apiservices"): _api_service,
    ("certificates.k8s.io", "certificatesigningrequests"): _certificate_signing_request,
    ("coordination.k8s.io", "leases"): _lease,
    ("events.k8s.io", "events"): _event,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _role_binding,
    ("rbac.authorization.k8s.io", "rolebindings"): _role_binding,
}
