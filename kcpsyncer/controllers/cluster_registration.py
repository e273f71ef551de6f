"""What a Cluster's conditions say, and what is to be done about it. Pure; the clock and the heartbeat are handed in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kcpsyncer.conditions import Condition, status_of
from kcpsyncer.imported_apis import api_of
from kcpsyncer.kubeconfig import Access, Unusable, parse

Object = dict[str, Any]
Raw = Mapping[str, Any]
FINALIZER = "cluster.example.dev/syncer"
ABANDON = "cluster.example.dev/abandon"  # annotation: let go of a cluster that cannot be reached, and of what is there
SILENT_S = 15.0  # without a heartbeat for so long an agent counts as away


class Heartbeat(NamedTuple):
    """Of the agent, as this process has observed it: `age_s` since it last changed; None: never seen."""

    age_s: float | None = None
    fault: str = ""  # what keeps the agent from the cluster, in its own words
    left: str = ""  # uid of the Cluster from which the agent has removed everything


class Source(NamedTuple):
    """Where the kubeconfig comes from. `missing`: why there is none."""

    text: str | None
    missing: str = ""
    field: str = "spec.kubeconfig"


class Registration(NamedTuple):
    """`access`: run an agent with it; None: run none. `release`: the finalizer may go."""

    access: Access | None
    conditions: tuple[Condition, ...]
    without: tuple[str, ...]
    synced: tuple[str, ...]
    is_leaving: bool
    release: bool


def is_pull(cluster: Raw) -> bool:
    """The agent runs in the physical cluster and calls us."""
    spec = cluster.get("spec") or {}
    return not (spec.get("kubeconfig") or spec.get("kubeconfigSecretRef") or spec.get("offeredBy"))


def synced_resources(imports: Iterable[Raw], location: str) -> tuple[str, ...]:
    """Sorted group resources of the imports that are compatible and available."""
    found = set()
    for each in imports:
        conditions = (each.get("status") or {}).get("conditions")
        good = all(status_of(conditions, kind) == "True" for kind in ("Compatible", "Available"))
        if each["spec"].get("location") == location and good:
            found.add(api_of(each).group_resource)
    return tuple(sorted(found))


def _fine(_access: Access) -> str:
    return ""


def register(
    cluster: Raw, source: Source, imports: Sequence[Raw], heartbeat: Heartbeat, check: Callable[[Access], str] = _fine
) -> Registration:
    """`check` says what is wrong with certificates and keys; "" nothing."""
    leaving = bool(cluster["metadata"].get("deletionTimestamp"))
    synced = synced_resources(imports, cluster["metadata"]["name"])
    access, fault = (None, None) if is_pull(cluster) else _access(source)
    reason = "InvalidKubeConfig"
    if access is not None and (unfit := check(access)):
        access, fault, reason = None, f"{source.field}: {unfit}", "ErrorCreatingClient"
    abandoned = ABANDON in (cluster["metadata"].get("annotations") or {})
    # Where nothing can be reached there is nothing that we could clean up.
    never_reached = fault is not None and not (cluster.get("status") or {}).get("syncedResources")
    has_left = is_pull(cluster) and heartbeat.left == cluster["metadata"].get("uid")
    never_called = is_pull(cluster) and heartbeat.age_s is None and not (cluster.get("status") or {}).get("version")
    release = leaving and (abandoned or never_reached or has_left or never_called)
    if fault is not None:
        return Registration(None, (_ready("False", reason, fault),), (), synced, leaving, release)
    ready, without = _readiness(cluster, synced, heartbeat)
    return Registration(access, ready, without, synced, leaving, release)


def _access(source: Source) -> tuple[Access | None, str | None]:
    if source.text is None:
        return None, f"{source.field}: {source.missing}"
    try:
        return parse(source.text), None
    except Unusable as unusable:
        return None, f"{source.field}: {unusable}"


def _readiness(
    cluster: Raw, synced: Sequence[str], heartbeat: Heartbeat
) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """Without an API to synchronise nothing is said of readiness, unless something is wrong."""
    if heartbeat.age_s is None:
        installing = "no agent has reported yet"
        return ((_ready("Unknown", "SyncerInstalling", installing),), ()) if synced or is_pull(cluster) else ((), ())
    if heartbeat.fault:
        reason = "SyncerNotReady" if synced else "ErrorStartingAPIImporter"
        return (_ready("False", reason, heartbeat.fault),), ()
    if heartbeat.age_s > SILENT_S:
        return (_ready("False", "SyncerNotReady", f"no heartbeat for {SILENT_S:g} s"),), ()
    if synced:
        return (_ready("True", "SyncerReady", ""),), ()
    return (), ("Ready",)


def _ready(status: str, reason: str, message: str) -> Condition:
    return Condition("Ready", status, reason, message)
