"""What of an object goes down to a physical cluster, and what of its status comes back. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from kcpshard.api.pod_references import Reference
from kcpsyncer.namespace_mapping import Origin, downstream_namespace, origin_annotations

Object = dict[str, Any]
Raw = Mapping[str, Any]
PLACED = "kcp.dev/cluster"  # label: the Cluster that an object is to be on
OWNER = "kcp.dev/syncer"  # label downstream: the uid of the Cluster whose agent put it there
ADOPT = "kcp.dev/adopt"  # annotation: take over an object of the same name that is not ours
HASH = "kcp.dev/hash"  # annotation: of what was applied, so that a field removed upstream is noticed
GENERATION = "kcp.dev/generation"  # upstream's, which the downstream spec was made of
UPSTREAM_UID = "kcp.dev/uid"
MANAGER = "kcp-syncer"
_DROPPED_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision", ADOPT)
_NOT_SENT = ("metadata", "status", "apiVersion", "kind")


def desired(up: Raw, origin: Origin, owner: str) -> Object:
    """The object as it is applied downstream: its own fields, labels and annotations, and where it comes from.

    Owner references, finalizers and whatever else means something only where it was written stays there (D-26)."""
    metadata = up["metadata"]
    namespace = metadata["namespace"]
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _DROPPED_ANNOTATIONS}
    annotations.update(origin_annotations(origin.path, namespace))
    annotations[UPSTREAM_UID] = metadata["uid"]
    annotations[GENERATION] = str(metadata.get("generation") or 0)
    made: Object = {
        "apiVersion": up["apiVersion"],
        "kind": up["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": downstream_namespace(origin, namespace),
            "labels": {**(metadata.get("labels") or {}), OWNER: owner},
            "annotations": annotations,
        },
    }
    made.update({key: value for key, value in up.items() if key not in _NOT_SENT})
    content = orjson.dumps(made, option=orjson.OPT_SORT_KEYS)
    annotations[HASH] = hashlib.sha256(content).hexdigest()[:16]
    return made


def namespace_object(origin: Origin, namespace: str, owner: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": downstream_namespace(origin, namespace),
            "labels": {OWNER: owner},
            "annotations": origin_annotations(origin.path, namespace),
        },
    }


def beside_autoscaler(wanted: Object, live: Raw | None) -> Object:
    """Without the number of replicas, if an autoscaler of the cluster has set it: the two would go on for ever. What a
    person has scaled there is drift like any other."""
    if live is None or "replicas" not in (wanted.get("spec") or {}) or not _is_autoscaled(live):
        return wanted
    spec = {key: value for key, value in wanted["spec"].items() if key != "replicas"}
    return {**wanted, "spec": spec}


def _is_autoscaled(live: Raw) -> bool:
    for entry in live["metadata"].get("managedFields") or ():
        by_person = str(entry.get("manager") or "").startswith("kubectl")
        owns = "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        if entry.get("subresource") == "scale" and owns and not by_person:
            return True
    return False


def is_ours(down: Raw, owner: str) -> bool:
    return (down["metadata"].get("labels") or {}).get(OWNER) == owner


def is_in_place(wanted: Any, live: Any) -> bool:
    """Whether everything wanted is there; a server adds fields of its own. Lists are compared item by item."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and is_in_place(wanted[key], live[key]) for key in wanted)
    if isinstance(wanted, list):
        same_length = isinstance(live, list) and len(live) == len(wanted)
        return same_length and all(is_in_place(w, each) for w, each in zip(wanted, live, strict=True))
    return bool(wanted == live) and isinstance(wanted, bool) == isinstance(live, bool)


def status_up(up: Raw, down: Raw) -> Object | None:
    """The status that `up` should have; None: it has it, or there is none to tell.

    observedGeneration is upstream's once downstream has observed what was made of it; until then it stays."""
    status = down.get("status")
    if not status:
        return None
    made = dict(status)
    if "observedGeneration" in made:
        made["observedGeneration"] = _observed(up, down)
        if made["observedGeneration"] is None:
            del made["observedGeneration"]
    return made if made != (up.get("status") or {}) else None


def _observed(up: Raw, down: Raw) -> int | None:
    caught_up = down["status"]["observedGeneration"] >= (down["metadata"].get("generation") or 0)
    made_of = (down["metadata"].get("annotations") or {}).get(GENERATION)
    if caught_up and made_of and made_of.isdigit():
        return int(made_of)
    before: int | None = (up.get("status") or {}).get("observedGeneration")
    return before


def companion(up: Raw, reference: Reference, origin: Origin, owner: str) -> Object:
    """A referenced object as it goes along. Of a service account only the name; a token secret stays where it is."""
    full = {"apiVersion": "v1", "kind": reference.kind, **up}
    if reference.kind == "ServiceAccount":
        full = {key: full[key] for key in ("apiVersion", "kind", "metadata")}
    return desired(full, origin, owner)


def is_portable(up: Raw) -> bool:
    """Tokens of a logical cluster's service accounts mean nothing elsewhere."""
    return up.get("type") != "kubernetes.io/service-account-token"
