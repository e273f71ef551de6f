"""Fields behind feature gates that Kubernetes 1.36 leaves off: what nobody uses yet is dropped from what comes in.

As kube-apiserver's `DropDisabled…`: a field that the old object has may stay and change.
"""

from collections.abc import Callable, Iterator

from kcpshard.definitions.contract import Object

Drop = Callable[[Object, Object | None], None]
_PROJECTIONS = ("clusterTrustBundle", "podCertificate")


def in_template(*path: str) -> Drop:
    """For a kind whose template of pods lies at `path`."""

    def drop(new: Object, old: Object | None) -> None:
        spec = _at(new, path)
        if spec:
            drop_from_pod(spec, _at(old or {}, path))

    return drop


def in_pod(new: Object, old: Object | None) -> None:
    drop_from_pod(new["spec"], (old or {}).get("spec") or {})


def _at(obj: Object, path: tuple[str, ...]) -> Object:
    found: Object | None = obj
    for step in (*path, "spec"):
        found = (found or {}).get(step)
    return found or {}


def drop_from_pod(spec: Object, old: Object) -> None:
    if old.get("schedulingGroup") is None:
        spec.pop("schedulingGroup", None)
    for container in () if _has_stop_signals(old) else _containers(spec):
        lifecycle = container.get("lifecycle")
        if lifecycle is not None and lifecycle.pop("stopSignal", None) is not None and not lifecycle:
            del container["lifecycle"]
    for member in _PROJECTIONS:
        if not any(member in source for source in _projections(old)):
            for source in _projections(spec):
                source.pop(member, None)


def _has_stop_signals(spec: Object) -> bool:
    return any("stopSignal" in (container.get("lifecycle") or {}) for container in _containers(spec))


def _containers(spec: Object) -> Iterator[Object]:
    for member in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(member) or ()


def _projections(spec: Object) -> Iterator[Object]:
    for volume in spec.get("volumes") or ():
        yield from (volume.get("projected") or {}).get("sources") or ()
