"""What of a pod that runs may still change, each through a subresource of its own: ephemeral containers are added,
the cpu and memory of containers are resized.
"""

from collections.abc import Callable, Iterator
from typing import Any

from kcpshard.api.errors import FieldError, forbidden, invalid
from kcpshard.definitions.contract import Object
from kcpshard.definitions.strategies import keep_all_but, keep_metadata

Faults = Iterator[FieldError]
_MIRROR = "kubernetes.io/config.mirror"
_RESIZABLE = ("cpu", "memory")
_MEMBERS = ("containers", "initContainers")


def prepare_ephemeral(new: Object, old: Object) -> None:
    """Of the spec, only the ephemeral containers."""
    added = (new.get("spec") or {}).get("ephemeralContainers")
    keep_all_but(new, old, "")
    keep_metadata(new, old)
    new["spec"] = {key: value for key, value in old["spec"].items() if key != "ephemeralContainers"}
    if added:
        new["spec"]["ephemeralContainers"] = added


def ephemeral_faults(new: Object, old: Object) -> Faults:
    if _is_static(old):
        yield forbidden("", "static pods do not support ephemeral containers")
        return
    after = {c["name"]: c for c in new["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name, found = container["name"], after.get(container["name"])
        if found is None:
            text = f'existing ephemeral containers "{name}" may not be removed\n'
            yield forbidden("spec.ephemeralContainers", text)
        elif found != container:
            text = f'existing ephemeral containers "{name}" may not be changed\n'
            yield forbidden("spec.ephemeralContainers", text)


def prepare_resize(new: Object, old: Object) -> None:
    """Of the spec, only resources. Where containers were added, removed or renamed everything is left for validation
    to refuse."""
    spec, before = new.get("spec") or {}, old["spec"]
    if any(len(spec.get(member) or ()) != len(before.get(member) or ()) for member in _MEMBERS):
        return
    resized = {member: _resized(spec.get(member) or [], before.get(member) or []) for member in _MEMBERS}
    resources = spec.get("resources")
    keep_all_but(new, old, "")
    keep_metadata(new, old)
    spec = new["spec"] = {key: value for key, value in before.items() if key not in (*_MEMBERS, "resources")}
    spec.update({member: containers for member, containers in resized.items() if containers})
    if resources is not None:
        spec["resources"] = resources


def _resized(new: list[Object], old: list[Object]) -> list[Object]:
    if any(one.get("name") != other.get("name") for one, other in zip(new, old, strict=True)):
        return new
    found = []
    for container, before in zip(new, old, strict=True):
        kept = {key: value for key, value in before.items() if key not in ("resources", "resizePolicy")}
        found.append(kept | {key: container[key] for key in ("resources", "resizePolicy") if key in container})
    return found


def resize_faults(new: Object, old: Object, qos_class: Callable[[Object], str]) -> Faults:
    if _is_static(old):
        yield forbidden("", "static pods cannot be resized")
        return
    if (old["spec"].get("os") or {}).get("name") == "windows":
        yield forbidden("", "windows pods cannot be resized")
        return
    found = [*_pod_faults(new, old, qos_class), *_order_faults(new["spec"], old["spec"])]
    if not any(fault.field.startswith(("spec.containers", "spec.initContainers")) for fault in found):
        found += _container_faults(new["spec"], old["spec"])
    if not found and _without_amounts(new["spec"], old["spec"]) != _without_amounts(old["spec"], old["spec"]):
        found.append(forbidden("spec", "only cpu and memory resources are mutable"))
    yield from found


def _is_static(pod: Object) -> bool:
    return _MIRROR in (pod["metadata"].get("annotations") or {})


def _pod_faults(new: Object, old: Object, qos_class: Callable[[Object], str]) -> Faults:
    status = old.get("status") or {}
    if qos_class(new["spec"]) != status.get("qosClass"):
        yield invalid("spec", status.get("qosClass", ""), "Pod QOS Class may not change as a result of resizing")
    running = [c for c in status.get("containerStatuses") or () if (c.get("state") or {}).get("running")]
    if running and not running[0].get("resources"):
        yield forbidden("spec", "Pod running on node without support for resize")
    if status.get("nodeAllocatableResourceClaimStatuses"):
        yield forbidden("spec", "pods with node allocatable resource claims cannot be resized")
    after, before = new["spec"].get("resources"), old["spec"].get("resources")
    if before and not after:
        yield forbidden("spec.resources", "pod-level resources cannot be removed")
    elif before:
        yield from _removed_faults(after, before, "spec.resources", "pod-level resource ")


def _order_faults(spec: Object, before: Object) -> Faults:
    for member in _MEMBERS:
        new, old = spec.get(member) or [], before.get(member) or []
        if len(new) != len(old):
            yield forbidden(f"spec.{member}", f"{member} may not be added or removed on resize")
            continue
        for place, (container, last) in enumerate(zip(new, old, strict=True)):
            if container.get("name") != last.get("name"):
                yield forbidden(f"spec.{member}[{place}].name", f"{member} may not be renamed or reordered on resize")


def _container_faults(spec: Object, before: Object) -> list[FieldError]:
    found: list[FieldError] = []
    for member in ("initContainers", "containers"):
        for place, (container, last) in enumerate(zip(spec.get(member) or (), before.get(member) or (), strict=True)):
            path = f"spec.{member}[{place}]"
            resources, known = container.get("resources") or {}, last.get("resources") or {}
            found += _removed_faults(resources, known, f"{path}.resources", "resource ")
            where = "spec" if member == "containers" else path
            found += _fixed_faults(container, last, where, member)
    return found


def _removed_faults(new: Object, old: Object, path: str, word: str) -> Faults:
    for member in ("requests", "limits"):
        if set(old.get(member) or ()) - set(new.get(member) or ()):
            yield forbidden(f"{path}.{member}", f"{word}{member} cannot be removed")


def _fixed_faults(container: Object, last: Object, path: str, member: str) -> Faults:
    if _fixed(container, last) != _fixed(last, last):
        word = "" if member == "containers" else " for init or sidecar containers"
        yield forbidden(path, f"only cpu and memory resources{word} are mutable")
    if member == "containers" or container == last or container.get("restartPolicy") == "Always":
        return
    if any(policy.get("restartPolicy") == "RestartContainer" for policy in container.get("resizePolicy") or ()):
        text = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
        yield forbidden(path, text)


def _fixed(container: Object, last: Object) -> Object:
    """What a resize may not change: all but cpu and memory, for which those of `last` stand."""
    return {**container, "resources": _without_resizable(container.get("resources"), last.get("resources"))}


def _without_resizable(resources: Any, last: Any) -> Object:
    found: Object = {}
    for member in ("limits", "requests"):
        old = (last or {}).get(member) or {}
        kept = {key: value for key, value in ((resources or {}).get(member) or {}).items() if key not in _RESIZABLE}
        kept |= {key: old[key] for key in _RESIZABLE if key in old}
        if kept:
            found[member] = kept
    return found


def _without_amounts(spec: Object, before: Object) -> Object:
    kept = {key: value for key, value in spec.items() if key not in (*_MEMBERS, "resources")}
    kept["resources"] = _without_resizable(spec.get("resources"), before.get("resources"))
    return kept
