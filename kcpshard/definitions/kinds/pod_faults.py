"""Validation of a pod's spec, in a Pod and in templates."""

import re
from collections.abc import Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required, too_long
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds import pod_annotations, pod_level_faults
from kcpshard.definitions.kinds.affinity_faults import affinity_faults, spread_faults, toleration_faults
from kcpshard.definitions.kinds.container_faults import (
    container_faults,
    host_port_conflicts,
    id_faults,
    lifecycle_faults,
    profile_faults,
    resource_faults,
    restart_faults,
    windows_faults,
)
from kcpshard.definitions.kinds.volume_faults import volumes_faults

Faults = Iterator[FieldError]
_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NOT_EPHEMERAL = (
    "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy", "restartPolicy",
    "restartPolicyRules",
)  # fmt: skip
_MAX_DEADLINE_S = 2**31 - 1


def template_faults(template: Object, path: str) -> Faults:
    """A PodTemplateSpec."""
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    annotations = meta.get("annotations") or {}
    yield from checks.labels(f"{path}.labels", meta.get("labels"))
    yield from checks.annotations(f"{path}.annotations", annotations)
    yield from pod_annotations.annotation_faults(annotations, spec, f"{path}.annotations")
    yield from pod_spec_faults(spec, f"{path}.spec", is_pod=False)
    yield from pod_annotations.match_faults(annotations, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def pod_spec_faults(spec: Object, path: str, *, is_pod: bool, known_volumes: Mapping[str, Object] = {}) -> Faults:
    """`known_volumes` exist besides those of the spec (a StatefulSet's claims)."""
    volumes, faults = volumes_faults(spec.get("volumes") or (), f"{path}.volumes")
    yield from faults
    yield from _claim_faults(spec, f"{path}.resourceClaims")
    yield from _containers_faults(spec, path, {**volumes, **known_volumes})
    yield from pod_level_faults.resources_faults(spec, path)
    if spec.get("hostNetwork"):
        yield from _host_port_faults(spec, path, is_pod)
    yield from checks.one_supported(f"{path}.restartPolicy", spec.get("restartPolicy"), _RESTART)
    yield from checks.one_supported(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS)
    yield from checks.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    yield from _security_faults(spec, path)
    yield from affinity_faults(spec.get("affinity") or {}, f"{path}.affinity")
    yield from _dns_faults(spec, f"{path}.dnsConfig")
    for place, gate in enumerate(spec.get("readinessGates") or ()):
        here = f"{path}.readinessGates[{place}].conditionType"
        yield from checks.qualified_name(here, gate.get("conditionType", ""))
    gates = [gate.get("name", "") for gate in spec.get("schedulingGates") or ()]
    for place, name in enumerate(gates):
        yield from checks.qualified_name(f"{path}.schedulingGates[{place}]", name)
    yield from checks.unique(f"{path}.schedulingGates", gates)
    yield from spread_faults(spec.get("topologySpreadConstraints") or (), f"{path}.topologySpreadConstraints")
    yield from pod_level_faults.host_process_faults(spec, path)
    yield from pod_level_faults.host_users_faults(spec, path)
    yield from _name_faults(spec, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_DEADLINE_S:
        yield invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MAX_DEADLINE_S}, inclusive")
    yield from toleration_faults(spec.get("tolerations") or (), f"{path}.tolerations")
    for place, alias in enumerate(spec.get("hostAliases") or ()):
        yield from checks.address(f"{path}.hostAliases[{place}].ip", alias.get("ip", ""))
        for number, name in enumerate(alias.get("hostnames") or ()):
            yield from checks.dns_subdomain(f"{path}.hostAliases[{place}].hostnames[{number}]", name)
    if spec.get("overhead") is not None:
        yield from resource_faults({"limits": spec["overhead"]}, f"{path}.overhead", frozenset())
    if (name := spec.get("hostnameOverride")) is not None:
        yield from _override_faults(spec, name, f"{path}.hostnameOverride")
    yield from _file_key_faults(spec, path)
    if (policy := spec.get("preemptionPolicy")) is not None:
        yield from checks.one_supported(f"{path}.preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    yield from pod_level_faults.system_faults(spec, path)


_MAX_HOSTNAME = 64


def _override_faults(spec: Object, name: str, path: str) -> Faults:
    if spec.get("setHostnameAsFQDN"):
        yield forbidden(path, "may not be specified when setHostnameAsFQDN is true")
    if spec.get("hostNetwork"):
        yield forbidden(path, "may not be specified when hostNetwork is true")
    if len(name) > _MAX_HOSTNAME:
        yield too_long(path, _MAX_HOSTNAME)
    yield from checks.dns_subdomain(path, name)


def _file_key_faults(spec: Object, path: str) -> Faults:
    """Files with variables are in an emptyDir of the pod's."""
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    for member in ("initContainers", "containers", "ephemeralContainers"):
        for place, container in enumerate(spec.get(member) or ()):
            for number, variable in enumerate(container.get("env") or ()):
                if (key := (variable.get("valueFrom") or {}).get("fileKeyRef")) is None:
                    continue
                here = f"{path}.{member}[{place}].env[{number}].valueFrom.fileKeyRef.volumeName"
                name = key.get("volumeName", "")
                if name not in volumes:
                    yield checks.not_found(here, name)
                elif volumes[name].get("emptyDir") is None:
                    yield invalid(here, name, "referenced volume must be of type emptyDir")


def _name_faults(spec: Object, path: str) -> Faults:
    for member in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(member):
            yield from checks.dns_subdomain(f"{path}.{member}", spec[member])
    for member in ("hostname", "subdomain"):
        if spec.get(member):
            yield from checks.dns_label(f"{path}.{member}", spec[member])
    if (name := spec.get("runtimeClassName")) is not None:
        yield from checks.dns_subdomain(f"{path}.runtimeClassName", name)


def _claim_faults(spec: Object, path: str) -> Faults:
    seen: set[str] = set()
    for place, claim in enumerate(spec.get("resourceClaims") or ()):
        here, name = f"{path}[{place}]", claim.get("name", "")
        if not name:
            yield required(f"{here}.name")
        elif name in seen:
            yield duplicate(f"{here}.name", name)
        else:
            yield from checks.dns_label(f"{here}.name", name)
        seen.add(name)
        given = [m for m in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(m) is not None]
        if len(given) == 2:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(here, claim, text)
        elif not given:
            yield invalid(here, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        for member in given:
            yield from checks.dns_subdomain(f"{here}.{member}", claim[member])


def _containers_faults(spec: Object, path: str, volumes: Mapping[str, Object]) -> Faults:
    policy, grace_s = spec.get("restartPolicy", ""), spec.get("terminationGracePeriodSeconds", 30)
    has_own_users = spec.get("hostUsers") is False
    claims = frozenset(claim.get("name", "") for claim in spec.get("resourceClaims") or ())
    regular, first = spec.get("containers") or (), spec.get("initContainers") or ()
    if not regular:
        yield required(f"{path}.containers")
    names: set[str] = set()
    for place, container in enumerate(regular):
        here = f"{path}.containers[{place}]"
        yield from container_faults(container, here, volumes, claims, policy, has_own_users)
        yield from _name_twice(container, here, names)
        yield from lifecycle_faults(container, here, grace_s)
        yield from restart_faults(container, here)
    yield from host_port_conflicts(regular, f"{path}.containers")
    for place, container in enumerate(first):
        here = f"{path}.initContainers[{place}]"
        yield from container_faults(container, here, volumes, claims, policy, has_own_users)
        yield from restart_faults(container, here)
        yield from _name_twice(container, here, names, counts_nameless=False)
        yield from host_port_conflicts([container], f"{path}.initContainers")
        if container.get("restartPolicy") == "Always":
            yield from lifecycle_faults(container, here, grace_s)
        else:
            yield from _too_long_lived(container, here)
            for number, wanted in enumerate(container.get("resizePolicy") or ()):
                if wanted.get("restartPolicy") == "RestartContainer":
                    text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                    yield invalid(f"{here}.resizePolicy[{number}].restartPolicy", "RestartContainer", text)
    yield from _ephemeral_faults(spec, path, volumes, claims, names)


def _name_twice(container: Object, path: str, names: set[str], *, counts_nameless: bool = True) -> Faults:
    name = container.get("name", "")
    if name in names:
        yield duplicate(f"{path}.name", name)
    elif name or counts_nameless:
        names.add(name)


def _too_long_lived(container: Object, path: str) -> Faults:
    for member in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(member) is not None:
            text = "may not be set for init containers without restartPolicy=Always"
            yield forbidden(f"{path}.{member}", text)


def _ephemeral_faults(
    spec: Object, path: str, volumes: Mapping[str, Object], claims: frozenset[str], names: set[str]
) -> Faults:
    others = frozenset(names)
    for place, container in enumerate(spec.get("ephemeralContainers") or ()):
        here = f"{path}.ephemeralContainers[{place}]"
        policy, has_own_users = spec.get("restartPolicy", ""), spec.get("hostUsers") is False
        yield from container_faults(container, here, volumes, claims, policy, has_own_users)
        yield from _name_twice(container, here, names)
        yield from image_faults(container, here)
        target = container.get("targetContainerName")
        if target and target not in others:
            yield checks.not_found(f"{here}.targetContainerName", target)
        unwanted = [m for m in _NOT_EPHEMERAL if container.get(m)] + ["resources"] * bool(container.get("resources"))
        yield from (forbidden(f"{here}.{m}", "cannot be set for an Ephemeral Container") for m in unwanted)
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            for member in ("subPath", "subPathExpr"):
                if mount.get(member):
                    text = "cannot be set for an Ephemeral Container"
                    yield forbidden(f"{here}.volumeMounts[{number}].{member}", text)


def image_faults(container: Object, path: str) -> Faults:
    """What is wrong with an image in a pod, though not in a template."""
    image = container.get("image", "")
    if image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def _host_port_faults(spec: Object, path: str, is_pod: bool) -> Faults:
    for place, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (is_pod or host) and host != port.get("containerPort", 0):
                text = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(f"{path}.containers[{place}].ports[{number}].hostPort", host, text)


def _security_faults(spec: Object, path: str) -> Faults:
    context, here = spec.get("securityContext") or {}, f"{path}.securityContext"
    yield from id_faults(context, here, "fsGroup", "runAsUser", "runAsGroup")
    for place, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= 2**31 - 1:
            text = f"must be between 0 and {2**31 - 1}, inclusive"
            yield invalid(f"{here}.supplementalGroups[{place}]", group, text)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        yield invalid(f"{here}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    yield from _sysctl_faults(context.get("sysctls") or (), f"{here}.sysctls")
    yield from _shared_sysctl_faults(spec, context.get("sysctls") or (), f"{here}.sysctls")
    if (policy := context.get("fsGroupChangePolicy")) is not None:
        yield from checks.supported(f"{here}.fsGroupChangePolicy", policy, ("Always", "OnRootMismatch"))
    if (policy := context.get("supplementalGroupsPolicy")) is not None:
        yield from checks.supported(f"{here}.supplementalGroupsPolicy", policy, ("Merge", "Strict"))
    if (policy := context.get("seLinuxChangePolicy")) not in (None, "Recursive"):
        yield checks.unsupported(f"{here}.seLinuxChangePolicy", policy, ("Recursive",))
    yield from profile_faults(context, here)
    yield from windows_faults(context, here)


_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def _shared_sysctl_faults(spec: Object, sysctls: Sequence[Object], path: str) -> Faults:
    """What belongs to the node where the pod shares its namespaces."""
    for place, sysctl in enumerate(sysctls):
        name = sysctl.get("name", "").replace("/", ".")
        if spec.get("hostNetwork") and name.startswith("net."):
            yield invalid(f"{path}[{place}].name", sysctl["name"], "may not be specified when 'hostNetwork' is true")
        if spec.get("hostIPC") and (name.startswith(_IPC_SYSCTLS) or name == "kernel.sem"):
            yield invalid(f"{path}[{place}].name", sysctl["name"], "may not be specified when 'hostIPC' is true")


_SYSCTL_PART = "[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"(?:{_SYSCTL_PART}[./])*{_SYSCTL_PART}")


def _sysctl_faults(sysctls: Sequence[Object], path: str) -> Faults:
    names: set[str] = set()
    for place, sysctl in enumerate(sysctls):
        name, here = sysctl.get("name", ""), f"{path}[{place}].name"
        if not name:
            yield required(here)
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            text = (
                "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*"
                "[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            )
            yield invalid(here, name, text)
        elif name in names:
            yield duplicate(here, name)
        names.add(name)


def _dns_faults(spec: Object, path: str) -> Faults:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.nameservers", text)
            return
    if config is None:
        return
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if len(servers) > 3:
        yield invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers")
    for place, server in enumerate(servers):
        yield from checks.address(f"{path}.nameservers[{place}]", server)
    if len(searches) > 32:
        yield invalid(f"{path}.searches", searches, "must not have more than 32 search paths")
    if len(" ".join(searches)) > 2048:
        text = "must not have more than 2048 characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", searches, text)
    for place, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".").replace("_", "0")
            yield from checks.dns_subdomain(f"{path}.searches[{place}]", name)
    for place, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required(f"{path}.options[{place}]", "must not be empty")
