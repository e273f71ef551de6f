"""The LogicalCluster object of a logical cluster: what it is born as, and how its phases follow from each other.

    born ──▶ Initializing ──last initializer gone──▶ Ready
               │ deletion                              │ deletion
               ▼                                       ▼
             Terminating ──last terminator gone──▶ Deleting ──nothing left──▶ (gone)

Pure. A logical cluster without initializers is born Ready; one without terminators goes on to Deleting at once.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from kcpshard.api.objects import Object
from kcpshard.tenancy.builtin_types import top_level_type
from kcpshard.tenancy.names import (
    CORE,
    DELETING,
    FINALIZER,
    FORK_OF,
    INITIALIZING,
    LOGICAL_CLUSTERS,
    NAME,
    PATH,
    READY,
    TENANCY,
    TERMINATING,
    TYPE,
    VERSION,
    WORKSPACE_LABELS,
    TypeReference,
    parse_reference,
)

_PATH_WORD, _TYPE_WORD, _URL_WORD = "path.to.be.filled.in", "type.to.be.filled.in", "url.to.be.filled.in"
_INITIALIZER, _TERMINATOR = "initializer.internal.kcp.io/", "terminator.internal.kcp.io/"


class Birth(NamedTuple):
    """What a workspace's logical cluster is born with, worked out by the shard that holds the Workspace."""

    path: str
    url: str
    type: TypeReference
    workspace: Mapping[str, Any]  # the Workspace
    parent: str
    created_by: Mapping[str, Any] | None  # authentication.k8s.io UserInfo
    initializers: Sequence[str] = ()
    terminators: Sequence[str] = ()
    inherit: Sequence[str] = ()


def document(birth: Birth) -> Object:
    """Without uid and times, which are set where it is stored."""
    meta = birth.workspace["metadata"]
    spec: dict[str, Any] = {
        "owner": {
            "apiVersion": f"{TENANCY}/{VERSION}",
            "resource": "workspaces",
            "name": meta["name"],
            "cluster": birth.parent,
            "uid": meta["uid"],
        }
    }
    if birth.created_by:
        spec["createdBy"] = birth.created_by
    for member in ("initializers", "terminators", "inherit"):
        if found := getattr(birth, member):
            spec[member] = list(found)
    return {
        "apiVersion": f"{CORE}/{VERSION}",
        "kind": "LogicalCluster",
        "metadata": {
            "name": NAME,
            "annotations": {PATH: birth.path, TYPE: str(birth.type)} | _fork_of(meta) | labels_annotation(meta),
            "finalizers": [FINALIZER],
        },
        "spec": spec,
        "status": born_status(spec, birth.path, birth.url),
    }


def uid_of(workspace_uid: str) -> str:
    """Of the LogicalCluster that belongs to a Workspace: who deletes that one knows it without asking."""
    digest = hashlib.blake2b(workspace_uid.encode(), digest_size=16, person=b"logicalcluster").digest()
    return str(uuid.UUID(bytes=digest, version=4))


def _fork_of(meta: Mapping[str, Any]) -> dict[str, str]:
    origin = (meta.get("annotations") or {}).get(FORK_OF)
    return {FORK_OF: origin} if origin else {}


def labels_annotation(workspace_meta: Mapping[str, Any]) -> dict[str, str]:
    """What a LogicalCluster says of its Workspace's labels: who reads many logical clusters chooses by them."""
    labels = workspace_meta.get("labels")
    return {WORKSPACE_LABELS: orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()} if labels else {}


def workspace_labels(obj: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Those of the Workspace to which a LogicalCluster belongs; one without a Workspace has none."""
    text = ((obj or {}).get("metadata") or {}).get("annotations", {}).get(WORKSPACE_LABELS)
    found: Mapping[str, str] = orjson.loads(text) if text else {}
    return found


def born_status(spec: Mapping[str, Any], path: str, url: str) -> Object:
    found: Object = {"URL": url, "phase": INITIALIZING if spec.get("initializers") else READY}
    for member in ("initializers", "terminators"):
        if spec.get(member):
            found[member] = list(spec[member])
    if spec.get("inherit"):
        above = path.split(":")[:-1]
        chain = [":".join(above[:n]) for n in range(len(above), 0, -1)]
        found["inherited"] = [{"what": what, "from": chain} for what in spec["inherit"]]
    return found


def settle(obj: Object) -> None:
    """Bring phase and labels in line with who is still waited for, whatever wrote them."""
    status = obj.setdefault("status", {})
    status["phase"] = phase_of(obj)
    labels = {
        key: value
        for key, value in (obj["metadata"].get("labels") or {}).items()
        if not key.startswith((_INITIALIZER, _TERMINATOR))
    }
    if status["phase"] == INITIALIZING:
        labels |= {initializer_label(each): "" for each in status.get("initializers") or ()}
    if status["phase"] == TERMINATING:
        labels |= {terminator_label(each): "" for each in status.get("terminators") or ()}
    if labels:
        obj["metadata"]["labels"] = labels
    else:
        obj["metadata"].pop("labels", None)


def phase_of(obj: Mapping[str, Any]) -> str:
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return TERMINATING if status.get("terminators") else DELETING
    if status.get("initializers"):
        return INITIALIZING
    found = str(status.get("phase") or READY)
    return READY if found in ("Scheduling", INITIALIZING) else found


def initializer_label(name: str) -> str:
    return _INITIALIZER + _digest(name)


def terminator_label(name: str) -> str:
    return _TERMINATOR + _digest(name)


def _digest(name: str) -> str:
    return hashlib.sha224(name.encode()).hexdigest()[:50]


def mirrored(obj: Mapping[str, Any]) -> Object:
    """Of the LogicalCluster's status what its Workspace shows."""
    status = obj.get("status") or {}
    return {m: status[m] for m in ("phase", "initializers", "terminators") if status.get(m)}


def type_of(obj: Mapping[str, Any] | None, path: str) -> TypeReference:
    text = ((obj or {}).get("metadata") or {}).get("annotations", {}).get(TYPE)
    return parse_reference(text) if text else top_level_type(path)


class TopLevel(NamedTuple):
    """For the store's template: what a logical cluster without a parent says of itself."""

    group_resource: str
    namespace: str
    name: str
    document: Mapping[str, Any]


def top_level_object(url: Callable[[], str]) -> tuple[TopLevel, Callable[[str], Mapping[str, str] | None]]:
    """`url` is that of the installation, when it is asked for."""
    shown = {
        "apiVersion": f"{CORE}/{VERSION}",
        "kind": "LogicalCluster",
        "metadata": {"name": NAME, "annotations": {PATH: _PATH_WORD, TYPE: _TYPE_WORD}, "generation": 1},
        "spec": {},
        "status": {"URL": f"{_URL_WORD}/clusters/{_PATH_WORD}", "phase": READY},
    }

    def texts(path: str) -> Mapping[str, str] | None:
        if ":" in path:
            return None
        return {_PATH_WORD: path, _TYPE_WORD: str(top_level_type(path)), _URL_WORD: url()}

    return TopLevel(LOGICAL_CLUSTERS, "", NAME, shown), texts
