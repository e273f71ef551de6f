"""The Pod Security Standards: what the levels baseline and restricted forbid a pod, version by version. Pure.

A check is a function of the pod's annotations and spec; it gives a Violation or None. `TABLE` says from which minor
version of Kubernetes 1 on a check stands for its id, and which check of baseline one of restricted takes the place of.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import orjson

from kcpshard.admission.pod_security_levels import BASELINE, PRIVILEGED, RESTRICTED, Standard

Spec = Mapping[str, Any]


class Violation(NamedTuple):
    """`reason` is short and always shown; `detail` names values and containers."""

    reason: str
    detail: str


Check = Callable[[Mapping[str, str], Spec], Violation | None]


class _Row(NamedTuple):
    id: str
    level: str
    versions: tuple[tuple[int, Check], ...]  # from this minor version on; ascending
    instead_of: str = ""


def violations(standard: Standard, annotations: Mapping[str, str], spec: Spec) -> list[Violation]:
    """Of a pod, or of a template, that has been validated."""
    if standard.level == PRIVILEGED:
        return []
    found = (check(annotations, spec) for check in _checks(standard.level, min(standard.minor, _NEWEST)))
    return [violation for violation in found if violation is not None]


def told(found: Iterable[Violation]) -> str:
    return ", ".join(f"{v.reason} ({v.detail})" if v.detail else v.reason for v in found)


# --- what checks look at


def _containers(spec: Spec) -> Iterator[Mapping[str, Any]]:
    for member in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(member) or ()


def _security(of: Mapping[str, Any]) -> Mapping[str, Any]:
    return of.get("securityContext") or {}


def _quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def _plural(word: str, items: Collection[str]) -> str:
    return word if len(items) == 1 else word + "s"


def _named(names: Sequence[str]) -> str:
    return f"{_plural('container', names)} {_quoted(names)}"


def _setters(is_pod: bool, names: Sequence[str]) -> str:
    return " and ".join([*(["pod"] if is_pod else ()), *([_named(names)] if names else ())])


def _is_windows(spec: Spec) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def _except_windows(check: Check) -> Check:
    """Validation refuses what the check asks for in a pod for Windows."""
    return lambda annotations, spec: None if _is_windows(spec) else check(annotations, spec)


def _except_own_users(check: Check) -> Check:
    """Root in a user namespace of the pod's is nobody outside it."""
    return lambda annotations, spec: None if spec.get("hostUsers") is False else check(annotations, spec)


# --- baseline


def _app_armor(annotations: Mapping[str, str], spec: Spec) -> Violation | None:
    def bad_type(of: Mapping[str, Any]) -> str | None:
        profile = _security(of).get("appArmorProfile")
        found = None if profile is None else profile.get("type", "")
        return None if found in ("RuntimeDefault", "Localhost") else found

    prefix = "container.apparmor.security.beta.kubernetes.io/"
    pod_type = bad_type(spec)
    bad = {c.get("name", ""): t for c in _containers(spec) if (t := bad_type(c)) is not None}
    noted = sorted(
        f"{key}={_go_quoted(value)}"
        for key, value in annotations.items()
        if key.startswith(prefix) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    values = [*sorted({*bad.values(), *([] if pod_type is None else [pod_type])}), *noted]
    setters = [text for text in (_setters(pod_type is not None, list(bad)),) if text]
    if noted:
        setters.append(_plural("annotation", noted))
    if not setters:
        return None
    text = f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(values)}"
    return Violation(_plural("forbidden AppArmor profile", values), text)


def _go_quoted(value: str) -> str:
    return orjson.dumps(value).decode()


_CAPABILITIES = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
))  # fmt: skip


def _added(container: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    added = (_security(container).get("capabilities") or {}).get("add") or ()
    return [name for name in added if name not in allowed]


def _forbidden_capabilities(spec: Spec, allowed: Collection[str]) -> str:
    names = [c.get("name", "") for c in _containers(spec) if _added(c, allowed)]
    if not names:
        return ""
    values = sorted({name for c in _containers(spec) for name in _added(c, allowed)})
    return f"{_named(names)} must not include {_quoted(values)} in securityContext.capabilities.add"


def _capabilities(_: Mapping[str, str], spec: Spec) -> Violation | None:
    text = _forbidden_capabilities(spec, _CAPABILITIES)
    return Violation("non-default capabilities", text) if text else None


def _host_namespaces(_: Mapping[str, str], spec: Spec) -> Violation | None:
    found = [f"{member}=true" for member in ("hostNetwork", "hostPID", "hostIPC") if spec.get(member)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def _host_paths(_: Mapping[str, str], spec: Spec) -> Violation | None:
    names = [v.get("name", "") for v in spec.get("volumes") or () if v.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{_plural('volume', names)} {_quoted(names)}") if names else None


def _host_ports(_: Mapping[str, str], spec: Spec) -> Violation | None:
    def used(container: Mapping[str, Any]) -> list[str]:
        return [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]

    names = [c.get("name", "") for c in _containers(spec) if used(c)]
    if not names:
        return None
    ports = sorted({port for c in _containers(spec) for port in used(c)})
    uses = "uses" if len(names) == 1 else "use"
    return Violation("hostPort", f"{_named(names)} {uses} {_plural('hostPort', ports)} {', '.join(ports)}")


def _handlers(container: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    lifecycle = container.get("lifecycle") or {}
    for member in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield container.get(member) or {}
    for member in ("postStart", "preStop"):
        yield lifecycle.get(member) or {}


def _asked_hosts(container: Mapping[str, Any]) -> list[str]:
    actions = (handler.get(kind) or {} for handler in _handlers(container) for kind in ("httpGet", "tcpSocket"))
    return [action["host"] for action in actions if action.get("host")]


def _probe_hosts(_: Mapping[str, str], spec: Spec) -> Violation | None:
    names = sorted({c.get("name", "") for c in _containers(spec) if _asked_hosts(c)})
    if not names:
        return None
    hosts = sorted({host for c in _containers(spec) for host in _asked_hosts(c)})
    uses = "uses" if len(names) == 1 else "use"
    reason = "probe or lifecycle host"
    return Violation(reason, f"{_named(names)} {uses} {_plural(reason, hosts)} {_quoted(hosts)}")


def _privileged(_: Mapping[str, str], spec: Spec) -> Violation | None:
    names = [c.get("name", "") for c in _containers(spec) if _security(c).get("privileged")]
    return Violation("privileged", f"{_named(names)} must not set securityContext.privileged=true") if names else None


def _proc_mount(_: Mapping[str, str], spec: Spec) -> Violation | None:
    mounts = [(c.get("name", ""), _security(c).get("procMount")) for c in _containers(spec)]
    bad = [(name, mount) for name, mount in mounts if mount is not None and mount != "Default"]
    if not bad:
        return None
    names, values = [name for name, _ in bad], sorted({mount for _, mount in bad})
    return Violation("procMount", f"{_named(names)} must not set securityContext.procMount to {_quoted(values)}")


def _selinux(types: Collection[str], _: Mapping[str, str], spec: Spec) -> Violation | None:
    def options(of: Mapping[str, Any]) -> Mapping[str, Any]:
        return _security(of).get("seLinuxOptions") or {}

    def is_bad(of: Mapping[str, Any]) -> bool:
        found = options(of)
        return found.get("type", "") not in types or bool(found.get("user") or found.get("role"))

    bad = [spec, *_containers(spec)]
    bad = [of for of in bad if is_bad(of)]
    if not bad:
        return None
    told_types = sorted({t for of in bad if (t := options(of).get("type", "")) not in types})
    data = [f"{_plural('type', told_types)} {_quoted(told_types)}"] if told_types else []
    data += [f"{name} may not be set" for name in ("user", "role") if any(options(of).get(name) for of in bad)]
    setters = _setters(is_bad(spec), [of.get("name", "") for of in bad if of is not spec])
    text = f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    return Violation("seLinuxOptions", text)


def _seccomp_annotations(annotations: Mapping[str, str], spec: Spec) -> Violation | None:
    prefix = "container.seccomp.security.alpha.kubernetes.io/"
    keys = {"seccomp.security.alpha.kubernetes.io/pod", *(prefix + c.get("name", "") for c in _containers(spec))}
    bad = sorted(
        f"{key}={_go_quoted(value)}"
        for key in keys
        if (value := annotations.get(key)) is not None
        and value not in ("runtime/default", "docker/default")
        and not value.startswith("localhost/")
    )
    return Violation("seccompProfile", f"forbidden {_plural('annotation', bad)} {', '.join(bad)}") if bad else None


def _seccomp_type(of: Mapping[str, Any]) -> str | None:
    profile = _security(of).get("seccompProfile")
    return None if profile is None else profile.get("type", "")


def _seccomp(_: Mapping[str, str], spec: Spec) -> Violation | None:
    good = (None, "RuntimeDefault", "Localhost")
    pod, bad = (
        _seccomp_type(spec),
        [(c.get("name", ""), t) for c in _containers(spec) if (t := _seccomp_type(c)) not in good],
    )
    if pod in good and not bad:
        return None
    values = sorted({*(t or "" for _, t in bad), *([] if pod in good else [pod or ""])})
    text = f"{_setters(pod not in good, [name for name, _ in bad])} must not set securityContext.seccompProfile.type to"
    return Violation("seccompProfile", f"{text} {_quoted(values)}")


_SYSCTLS = frozenset(
    ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
     "net.ipv4.ip_unprivileged_port_start")
)  # fmt: skip
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _sysctls(allowed: Collection[str], _: Mapping[str, str], spec: Spec) -> Violation | None:
    names = [s.get("name", "") for s in _security(spec).get("sysctls") or () if s.get("name", "") not in allowed]
    return Violation("forbidden sysctls", ", ".join(names)) if names else None


def _host_process(_: Mapping[str, str], spec: Spec) -> Violation | None:
    def is_bad(of: Mapping[str, Any]) -> bool:
        return bool((_security(of).get("windowsOptions") or {}).get("hostProcess"))

    setters = _setters(is_bad(spec), [c.get("name", "") for c in _containers(spec) if is_bad(c)])
    text = f"{setters} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", text) if setters else None


# --- restricted


def _escalation(_: Mapping[str, str], spec: Spec) -> Violation | None:
    names = [c.get("name", "") for c in _containers(spec) if _security(c).get("allowPrivilegeEscalation") is not False]
    text = f"{_named(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", text) if names else None


def _dropped_capabilities(_: Mapping[str, str], spec: Spec) -> Violation | None:
    def drops(container: Mapping[str, Any]) -> bool:
        return "ALL" in ((_security(container).get("capabilities") or {}).get("drop") or ())

    missing = [c.get("name", "") for c in _containers(spec) if not drops(c)]
    details = [f'{_named(missing)} must set securityContext.capabilities.drop=["ALL"]'] if missing else []
    if text := _forbidden_capabilities(spec, ("NET_BIND_SERVICE",)):
        details.append(text)
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


_SOURCES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)  # fmt: skip
_FORBIDDEN_SOURCES = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd",
    "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk",
    "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
)  # fmt: skip


def _volumes(_: Mapping[str, str], spec: Spec) -> Violation | None:
    def has(volume: Mapping[str, Any], source: str) -> bool:
        return volume.get(source) is not None

    bad = [v for v in spec.get("volumes") or () if not any(has(v, source) for source in _SOURCES)]
    if not bad:
        return None
    names = [v.get("name", "") for v in bad]
    types = sorted({next((s for s in _FORBIDDEN_SOURCES if has(v, s)), "unknown") for v in bad})
    uses = "uses" if len(names) == 1 else "use"
    text = f"{_plural('volume', names)} {_quoted(names)} {uses} {_plural('restricted volume type', types)}"
    return Violation("restricted volume types", f"{text} {_quoted(types)}")


def _non_root(_: Mapping[str, str], spec: Spec) -> Violation | None:
    pod, reason = _security(spec).get("runAsNonRoot"), "runAsNonRoot != true"
    wanted = [(c.get("name", ""), _security(c).get("runAsNonRoot")) for c in _containers(spec)]
    if setters := _setters(pod is False, [name for name, given in wanted if given is False]):
        return Violation(reason, f"{setters} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, given in wanted if given is None and not pod]
    return Violation(reason, f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true") if silent else None


def _user(_: Mapping[str, str], spec: Spec) -> Violation | None:
    def is_root(of: Mapping[str, Any]) -> bool:
        return _security(of).get("runAsUser") == 0

    setters = _setters(is_root(spec), [c.get("name", "") for c in _containers(spec) if is_root(c)])
    return Violation("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else None


def _required_seccomp(annotations: Mapping[str, str], spec: Spec) -> Violation | None:
    if found := _seccomp(annotations, spec):
        return found
    if _seccomp_type(spec) is not None:
        return None
    silent = [c.get("name", "") for c in _containers(spec) if _seccomp_type(c) is None]
    text = f'pod or {_named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", text) if silent else None


_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t")
_SELINUX_31 = (*_SELINUX, "container_engine_t")
TABLE = (
    _Row("appArmorProfile", BASELINE, ((0, _app_armor),)),
    _Row("capabilities_baseline", BASELINE, ((0, _capabilities),)),
    _Row("hostNamespaces", BASELINE, ((0, _host_namespaces),)),
    _Row("hostPathVolumes", BASELINE, ((0, _host_paths),)),
    _Row("hostPorts", BASELINE, ((0, _host_ports),)),
    _Row("hostProbesAndHostLifecycle", BASELINE, ((34, _probe_hosts),)),
    _Row("privileged", BASELINE, ((0, _privileged),)),
    _Row("procMount", BASELINE, ((0, _proc_mount), (35, _except_own_users(_proc_mount)))),
    _Row("seLinuxOptions", BASELINE, ((0, partial(_selinux, _SELINUX)), (31, partial(_selinux, _SELINUX_31)))),
    _Row("seccompProfile_baseline", BASELINE, ((0, _seccomp_annotations), (19, _seccomp))),
    _Row("sysctls", BASELINE, (
        (0, partial(_sysctls, _SYSCTLS)), (27, partial(_sysctls, _SYSCTLS_27)), (29, partial(_sysctls, _SYSCTLS_29)),
        (32, partial(_sysctls, _SYSCTLS_32)),
    )),
    _Row("windowsHostProcess", BASELINE, ((0, _host_process),)),
    _Row("allowPrivilegeEscalation", RESTRICTED, ((8, _escalation), (25, _except_windows(_escalation)))),
    _Row("capabilities_restricted", RESTRICTED, (
        (22, _dropped_capabilities), (25, _except_windows(_dropped_capabilities)),
    ), "capabilities_baseline"),
    _Row("procMount_restricted", RESTRICTED, ((35, _proc_mount),), "procMount"),
    _Row("restrictedVolumes", RESTRICTED, ((0, _volumes),), "hostPathVolumes"),
    _Row("runAsNonRoot", RESTRICTED, ((0, _non_root), (35, _except_own_users(_non_root)))),
    _Row("runAsUser", RESTRICTED, ((23, _user), (35, _except_own_users(_user)))),
    _Row("seccompProfile_restricted", RESTRICTED, (
        (19, _required_seccomp), (25, _except_windows(_required_seccomp)),
    ), "seccompProfile_baseline"),
)  # fmt: skip
_NEWEST = max(minor for row in TABLE for minor, _ in row.versions)


@cache  # at most two levels of every version up to the newest
def _checks(level: str, minor: int) -> tuple[Check, ...]:
    """In the order in which violations are told: baseline first, each level by id (as in TABLE)."""
    rows = [row for row in TABLE if row.versions[0][0] <= minor and level in (row.level, RESTRICTED)]
    replaced = {row.instead_of for row in rows}
    return tuple(
        next(check for since, check in reversed(row.versions) if since <= minor)
        for row in rows
        if row.id not in replaced
    )
