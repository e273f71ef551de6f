"""Validation of what a pod says for all its containers: resources, operating system, whose users and processes.

Resources of a pod are judged against the sum of what its containers ask for, as the scheduler counts them.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.container_faults import resource_faults, resource_name_faults
from kcpshard.definitions.quantities import Format, Quantity, parse_quantity

Faults = Iterator[FieldError]
_HUGE = "hugepages-"
_NOT_ON_WINDOWS = "cannot be set for a windows pod"
# (where the API has it, where kube-apiserver keeps it): the one is not there, the other is named.
_POD_LINUX = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
_CONTEXT_LINUX = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser",
    "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_CONTAINER_LINUX = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip


def containers(spec: Object) -> Iterator[tuple[str, Object]]:
    """Each with its place below the spec."""
    for member in ("initContainers", "containers", "ephemeralContainers"):
        for place, container in enumerate(spec.get(member) or ()):
            yield f"{member}[{place}]", container


# --- operating system


def system_faults(spec: Object, path: str) -> Faults:
    system = spec.get("os")
    if system is None:
        return
    name = system.get("name", "")
    if not name:
        yield required(f"{path}.os.name")
    elif name == "linux":
        yield from _windows_faults(spec, path)
    elif name == "windows":
        yield from _linux_faults(spec, path)
    else:
        yield checks.unsupported(f"{path}.os", name, ("linux", "windows"))


def _windows_faults(spec: Object, path: str) -> Faults:
    """What only a pod for Windows may say."""
    for place, context in _contexts(spec):
        if context.get("windowsOptions") is not None:
            yield forbidden(f"{path}.{place}.windowsOptions", "windows options cannot be set for a linux pod")


def _contexts(spec: Object) -> Iterator[tuple[str, Object]]:
    yield "securityContext", spec.get("securityContext") or {}
    for place, container in containers(spec):
        yield f"{place}.securityContext", container.get("securityContext") or {}


def _linux_faults(spec: Object, path: str) -> Faults:
    for member in _POD_LINUX:
        if spec.get(member) if member in ("hostPID", "hostIPC") else spec.get(member) is not None:
            yield forbidden(f"{path}.{member}", _NOT_ON_WINDOWS)
    for place, context in _contexts(spec):
        members = _CONTEXT_LINUX if place == "securityContext" else _CONTAINER_LINUX
        given = (member for member in members if context.get(member) is not None)
        yield from (forbidden(f"{path}.{place}.{member}", _NOT_ON_WINDOWS) for member in given)


def host_process_faults(spec: Object, path: str) -> Faults:
    """On Windows: either all containers are processes of the host, or none."""
    of_pod = _host_process(spec)
    found = []
    for place, container in containers(spec):
        own = _host_process(container)
        if of_pod is not None and own is not None and own != of_pod:
            text = f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}"
            yield invalid(f"{path}.{place}.securityContext.windowsOptions.hostProcess", own, text)
        found.append(bool(of_pod if own is None else own))
    if not any(found):
        return
    if not all(found):
        text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        yield invalid(path, "", text)
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        yield invalid(f"{path}.hostNetwork", False, text)


def _host_process(holder: Object) -> bool | None:
    found: bool | None = ((holder.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    return found


def host_users_faults(spec: Object, path: str) -> Faults:
    """Whoever has users of its own cannot have what is the host's."""
    if spec.get("hostUsers") is not False:
        return
    for member, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(member):
            yield forbidden(f"{path}.{shown}", "when `hostUsers` is false")


# --- resources


def _pod_resource_faults(path: str, name: str) -> Faults:
    faults = list(resource_name_faults(path, name))
    yield from faults
    if not faults and name not in ("cpu", "memory") and not name.startswith(_HUGE):
        yield checks.unsupported(path, name, ("cpu", "hugepages-", "memory"))


def resources_faults(spec: Object, path: str) -> Faults:
    resources = spec.get("resources")
    if resources is None:
        return
    here = f"{path}.resources"
    if (spec.get("os") or {}).get("name") == "windows":
        yield forbidden(here, "may not be set for a windows pod")
        return
    if resources.get("claims"):
        yield forbidden(f"{here}.claims", "claims may not be set for Resources at pod-level")
    claims = frozenset(claim.get("name", "") for claim in spec.get("resourceClaims") or () if claim.get("name"))
    yield from resource_faults(resources, here, claims, _pod_resource_faults)
    yield from _sum_faults(spec, resources, here)


def _sum_faults(spec: Object, resources: Object, path: str) -> Faults:
    for name, amount in _summed(spec, "requests").items():
        own = (resources.get("requests") or {}).get(name)
        if own is not None and amount > parse_quantity(own).value:
            text = f"must be greater than or equal to aggregate container requests of {_shown(amount)}"
            yield invalid(f"{path}.requests[{name}]", own, text)
    limits = resources.get("limits") or {}
    for name, amount in _summed(spec, "limits").items():
        if name.startswith(_HUGE) and name in limits and amount > parse_quantity(limits[name]).value:
            text = f"must be greater than or equal to aggregate container limits of {_shown(amount)}"
            yield invalid(f"{path}.limits[{name}]", limits[name], text)
    for place, container in enumerate(spec.get("containers") or ()):
        for name, limit in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and parse_quantity(limit).value > parse_quantity(limits[name]).value:
                text = f"must be less than or equal to pod limits of {limits[name]}"
                yield invalid(f"{path}.containers[{place}][{name}].limits", limit, text)


def _shown(amount: Fraction) -> str:
    return str(Quantity(amount, Format.DECIMAL_SI))


def _summed(spec: Object, member: str) -> Mapping[str, Fraction]:
    """What containers take together: those that run for ever at once, those that only begin one after the other."""
    total: dict[str, Fraction] = {}
    for container in spec.get("containers") or ():
        _add(total, container, member)
    sidecars: dict[str, Fraction] = {}
    peak: dict[str, Fraction] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            _add(total, container, member)
            _add(sidecars, container, member)
            needed: Mapping[str, Fraction] = sidecars
        else:
            with_own = dict(sidecars)
            _add(with_own, container, member)
            needed = with_own
        for name, amount in needed.items():
            peak[name] = max(amount, peak.get(name, amount))
    return {name: max(total.get(name, Fraction(0)), peak.get(name, Fraction(0))) for name in {**total, **peak}}


def _add(total: dict[str, Fraction], container: Any, member: str) -> None:
    for name, text in ((container.get("resources") or {}).get(member) or {}).items():
        total[name] = total.get(name, Fraction(0)) + parse_quantity(text).value
