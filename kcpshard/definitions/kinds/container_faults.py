"""Validation of containers: names, images, ports, environment, mounts, probes, resources, security."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required, too_long, too_many
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.api.selectors import qualified_name_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.volume_sources import descending_path, no_backsteps
from kcpshard.definitions.naming import config_key_faults
from kcpshard.definitions.quantities import InvalidQuantity, parse_quantity

Faults = Iterator[FieldError]
Volumes = Mapping[str, Object]
NameCheck = Callable[[str, str], Faults]  # of a path and a name

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_RESOURCE_FIELDS = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_NATIVE = ("cpu", "memory", "ephemeral-storage")
_STANDARD = (
    *_NATIVE, "requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
    "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
    "persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers", "storage",
    "requests.storage", "swap",
)  # fmt: skip
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_FIELD_KEY = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")
_MAX_ID = 2**31 - 1


def container_faults(
    container: Object, path: str, volumes: Volumes, claims: frozenset[str], policy: str, has_own_users: bool
) -> Faults:
    """What containers of every sort have in common. `policy` is the pod's restartPolicy; `has_own_users` is whether its
    users are not the host's."""
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    else:
        yield from checks.dns_label(f"{path}.name", name)
    if not container.get("image"):
        yield required(f"{path}.image")
    policies = ("File", "FallbackToLogsOnError")
    yield from checks.one_supported(
        f"{path}.terminationMessagePolicy", container.get("terminationMessagePolicy"), policies
    )
    yield from _port_faults(container.get("ports") or (), f"{path}.ports")
    for place, variable in enumerate(container.get("env") or ()):
        yield from _variable_faults(variable, f"{path}.env[{place}]")
    for place, source in enumerate(container.get("envFrom") or ()):
        yield from _source_faults(source, f"{path}.envFrom[{place}]", f"{path}.envFrom")
    yield from _mount_faults(container, path, volumes)
    yield from _device_faults(container, path, volumes)
    yield from checks.one_supported(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    yield from resource_faults(container.get("resources") or {}, f"{path}.resources", claims)
    yield from _resize_faults(container.get("resizePolicy") or (), f"{path}.resizePolicy", policy)
    yield from _security_faults(container.get("securityContext") or {}, f"{path}.securityContext", has_own_users)


def _port_faults(ports: Sequence[Object], path: str) -> Faults:
    names: set[str] = set()
    for place, port in enumerate(ports):
        here, name = f"{path}[{place}]", port.get("name", "")
        if name:
            faults = checks.port_name_faults(name)
            yield from (invalid(f"{here}.name", name, text) for text in faults)
            if not faults and name in names:
                yield duplicate(f"{here}.name", name)
            elif not faults:
                names.add(name)
        if not port.get("containerPort"):
            yield required(f"{here}.containerPort")
        else:
            yield from checks.port_number(f"{here}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from checks.port_number(f"{here}.hostPort", port["hostPort"])
        yield from checks.one_supported(f"{here}.protocol", port.get("protocol"), _PROTOCOLS)


def host_port_conflicts(containers: Sequence[Object], path: str) -> Faults:
    taken: set[str] = set()
    for place, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if key in taken:
                    yield duplicate(f"{path}[{place}].ports[{number}].hostPort", key)
                taken.add(key)


def _is_env_name(name: str) -> bool:
    return all(" " <= character <= "~" and character != "=" for character in name)


_ENV_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def _variable_faults(variable: Object, path: str) -> Faults:
    name = variable.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif not _is_env_name(name):
        yield invalid(f"{path}.name", name, _ENV_TEXT)
    source = variable.get("valueFrom")
    if source is None:
        return
    here = f"{path}.valueFrom"
    given = [
        m for m in ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef") if m in source
    ]
    if (reference := source.get("fieldRef")) is not None:
        yield from field_reference_faults(reference, f"{here}.fieldRef", _ENV_FIELDS)
    if (reference := source.get("resourceFieldRef")) is not None:
        yield from resource_reference_faults(reference, f"{here}.resourceFieldRef", volume=False)
    for member in ("configMapKeyRef", "secretKeyRef"):
        if (reference := source.get(member)) is not None:
            yield from _key_reference_faults(reference, f"{here}.{member}")
    if (reference := source.get("fileKeyRef")) is not None:
        yield from _file_reference_faults(reference, f"{here}.fileKeyRef")
    if not given:
        yield invalid(
            here, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
            "`fileKeyRef`",
        )  # fmt: skip
    elif variable.get("value"):
        yield invalid(here, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid(here, "", "may not have more than one field specified at a time")


def _key_reference_faults(reference: Object, path: str) -> Faults:
    yield from checks.dns_subdomain(f"{path}.name", reference.get("name", ""))
    if not reference.get("key"):
        yield required(f"{path}.key")
    else:
        yield from (invalid(f"{path}.key", reference["key"], t) for t in config_key_faults(reference["key"]))


def _file_reference_faults(reference: Object, path: str) -> Faults:
    yield from checks.present(reference, path, "key", "volumeName", "path")
    if (key := reference.get("key")) and not _is_env_name(key):
        yield invalid(f"{path}.key", key, _ENV_TEXT)
    if name := reference.get("volumeName"):
        yield from checks.dns_label(f"{path}.volumeName", name)
    yield from no_backsteps(f"{path}.path", reference.get("path", ""))


def field_reference_faults(reference: Object, path: str, fields: Sequence[str]) -> Faults:
    field, version = reference.get("fieldPath", ""), reference.get("apiVersion", "")
    if not version:
        yield required(f"{path}.apiVersion")
    elif not field:
        yield required(f"{path}.fieldPath")
    elif version != "v1":
        yield invalid(f"{path}.fieldPath", field, f"error converting fieldPath: unsupported pod version: {version}")
    elif found := _FIELD_KEY.fullmatch(field):
        key = found[2].lower() if found[1] == "metadata.annotations" else found[2]
        yield from (invalid(path, found[2], text) for text in qualified_name_faults(key))
    elif field not in fields:
        if field in (*_ENV_FIELDS, "metadata.labels", "metadata.annotations", "spec.restartPolicy", "status.phase"):
            yield from checks.one_supported(f"{path}.fieldPath", field, fields)
        else:
            yield invalid(f"{path}.fieldPath", field, f"error converting fieldPath: field label not supported: {field}")


_SIZED = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}


def resource_reference_faults(reference: Object, path: str, *, volume: bool) -> Faults:
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        yield required(f"{path}.containerName")
    elif not resource:
        yield required(f"{path}.resource")
    elif resource not in _RESOURCE_FIELDS and not resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        yield from checks.one_supported(f"{path}.resource", resource, _RESOURCE_FIELDS)
    divisor = str(reference.get("divisor") or "0")
    if resource.endswith(".cpu") and divisor not in ("0", "1m", "1"):
        yield invalid(f"{path}.divisor", resource, "only divisor's values 1m and 1 are supported with the cpu resource")
    sizes = ("0", "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
    if (resource.endswith((".memory", ".ephemeral-storage")) or ".hugepages-" in resource) and divisor not in sizes:
        word = _SIZED.get(resource.partition(".")[2], "hugepages")
        text = f"only divisor's values {', '.join(sizes[1:])} are supported with the {word} resource"
        yield invalid(f"{path}.divisor", resource, text)


def _prefix(name: str) -> str:
    """As kube-apiserver judges a name that something may follow: a dash at the end is none."""
    return f"{name[:-2]}a" if len(name) > 1 and name.endswith("-") else name


def _source_faults(source: Object, path: str, all_sources: str) -> Faults:
    prefix = source.get("prefix", "")
    if prefix and not _is_env_name(prefix):
        yield invalid(f"{path}.prefix", prefix, _ENV_TEXT)
    given = [member for member in ("configMapRef", "secretRef") if source.get(member) is not None]
    for member in given:
        yield from checks.present(source[member], f"{path}.{member}", "name")
        if name := source[member].get("name"):
            yield from (invalid(f"{path}.{member}.name", name, text) for text in dns_subdomain_faults(_prefix(name)))
    if not given:
        yield invalid(all_sources, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield invalid(all_sources, "", "may not have more than one field specified at a time")


def _mount_faults(container: Object, path: str, volumes: Volumes) -> Faults:
    devices = {device.get("name"): device.get("devicePath") for device in container.get("volumeDevices") or ()}
    points: set[str] = set()
    for place, mount in enumerate(container.get("volumeMounts") or ()):
        here, name, point = f"{path}.volumeMounts[{place}]", mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required(f"{here}.name")
        if name not in volumes:
            yield checks.not_found(f"{here}.name", name)
        if not point:
            yield required(f"{here}.mountPath")
        if point in points:
            yield invalid(f"{here}.mountPath", point, "must be unique")
        points.add(point)
        if name in devices:
            yield invalid(f"{here}.name", name, "must not already exist in volumeDevices")
        if point in devices.values():
            yield invalid(f"{here}.mountPath", point, "must not already exist as a path in volumeDevices")
        for member in ("subPath", "subPathExpr"):
            if mount.get(member):
                if member == "subPathExpr" and mount.get("subPath"):
                    text = "subPathExpr and subPath are mutually exclusive"
                    yield invalid(f"{here}.subPathExpr", mount[member], text)
                yield from descending_path(f"{path}.volumeMounts.{member}", mount[member])
        if (propagation := mount.get("mountPropagation")) is not None:
            supported = ("Bidirectional", "HostToContainer", "None")
            yield from checks.supported(f"{path}.volumeMounts.mountPropagation", propagation, supported)
            if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
                text = "Bidirectional mount propagation is available only to privileged containers"
                yield forbidden(f"{path}.volumeMounts.mountPropagation", text)
        if (wanted := mount.get("recursiveReadOnly")) is not None:
            yield from _recursive_faults(mount, wanted, f"{path}.volumeMounts.recursiveReadOnly")


def _recursive_faults(mount: Object, wanted: str, path: str) -> Faults:
    if wanted not in ("Disabled", "IfPossible", "Enabled"):
        yield checks.unsupported(path, wanted, ("Disabled", "Enabled", "IfPossible"))
    elif wanted != "Disabled":
        if not mount.get("readOnly"):
            yield forbidden(path, "may only be specified when readOnly is true")
        if mount.get("mountPropagation") not in (None, "None"):
            yield forbidden(path, "may only be specified when mountPropagation is None or not specified")


def _device_faults(container: Object, path: str, volumes: Volumes) -> Faults:
    mounts = {mount.get("name"): mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
    seen: set[str] = set()
    points: set[str] = set()
    for place, device in enumerate(container.get("volumeDevices") or ()):
        here, name, point = f"{path}.volumeDevices[{place}]", device.get("name", ""), device.get("devicePath", "")
        if not name:
            yield required(f"{here}.name")
        if name in seen:
            yield invalid(f"{here}.name", name, "must be unique")
        source = volumes.get(name)
        if source is None:
            yield checks.not_found(f"{here}.name", name)
        elif source.get("persistentVolumeClaim") is None and source.get("ephemeral") is None:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(f"{here}.name", name, text)
        if not point:
            yield required(f"{here}.devicePath")
        if point in points:
            yield invalid(f"{here}.devicePath", point, "must be unique")
        if ".." in point.split("/"):
            yield invalid(f"{here}.devicePath", point, "can not contain backsteps ('..')")
        else:
            points.add(point)
        if name in mounts:
            yield invalid(f"{here}.name", name, "must not already exist in volumeMounts")
        if point in mounts.values():
            yield invalid(f"{here}.devicePath", point, "must not already exist as a path in volumeMounts")
        if name:
            seen.add(name)


# --- resources


def resource_faults(resources: Object, path: str, claims: frozenset[str], named: NameCheck | None = None) -> Faults:
    """`named` judges the names, those of containers' resources otherwise."""
    named = named or container_resource_faults
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for member, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            here = f"{path}.{member}[{name}]"
            yield from named(here, name)
            yield from amount_faults(here, name, text)
            if member == "requests":
                yield from _limit_faults(path, name, text, limits.get(name))
            if _is_huge(name) and not _is_page_multiple(name, text):
                yield invalid(here, text, f"{text} is not positive integer multiple of {name}")
    names = {*limits, *requests}
    if any(map(_is_huge, names)) and not names & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")
    yield from _claim_faults(resources.get("claims") or (), f"{path}.claims", claims)


def _claim_faults(given: Iterable[Object], path: str, claims: frozenset[str]) -> Faults:
    """References to claims of the pod, or to single requests of them; none twice."""
    seen: set[str] = set()
    for place, claim in enumerate(given):
        here, name, request = f"{path}[{place}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            yield required(here)
            continue
        key = f"{name}/{request}" if request else name
        if name in seen:
            yield duplicate(here, name)
        else:
            if request:
                yield from checks.dns_label(f"{here}.request", request)
            if key in seen or (not request and any(k.startswith(f"{name}/") for k in seen)):
                yield duplicate(here, key)
            seen.add(key)
        if name not in claims:
            yield checks.not_found(here, name)


def _is_huge(name: str) -> bool:
    return name.startswith("hugepages-")


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def resource_name_faults(path: str, name: str) -> Faults:
    """A name that a resource may have anywhere."""
    faults = qualified_name_faults(name)
    yield from (invalid(path, name, text) for text in faults)
    if not faults and "/" not in name and name not in _STANDARD and not _is_huge(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def container_resource_faults(path: str, name: str) -> Faults:
    yield from resource_name_faults(path, name)
    if "/" not in name:
        if name not in _NATIVE and not _is_huge(name):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not _is_native(name) and (name.startswith("requests.") or qualified_name_faults(f"requests.{name}")):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def _is_page_multiple(name: str, text: str) -> bool:
    try:
        page = parse_quantity(name.removeprefix("hugepages-")).value
    except InvalidQuantity:
        return False
    return page > 0 and parse_quantity(text).value % page == 0


def amount_faults(path: str, name: str, text: str) -> Faults:
    value = parse_quantity(text).value
    if value < 0:
        yield invalid(path, text, checks.NEGATIVE)
    integer = name in ("pods", "services", "secrets", "configmaps") or not _is_native(name)
    if integer and value.denominator != 1:
        yield invalid(path, text, "must be an integer")


def _limit_faults(path: str, name: str, text: str, limit: str | None) -> Faults:
    divisible = _is_native(name) and not _is_huge(name)
    if limit is None:
        if not divisible:
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    wanted, most = parse_quantity(text).value, parse_quantity(limit).value
    if wanted != most and not divisible:
        yield invalid(f"{path}.requests", text, f"must be equal to {name} limit of {limit}")
    elif wanted > most:
        yield invalid(f"{path}.requests", text, f"must be less than or equal to {name} limit of {limit}")


def _resize_faults(policies: Sequence[Object], path: str, restart_policy: str) -> Faults:
    seen: set[str] = set()
    for place, policy in enumerate(policies):
        name, wanted, here = policy.get("resourceName", ""), policy.get("restartPolicy", ""), f"{path}[{place}]"
        if name in seen:
            yield duplicate(here, name)
        seen.add(name)
        yield from checks.one_supported(path, name, ("cpu", "memory"))
        yield from checks.one_supported(path, wanted, ("NotRequired", "RestartContainer"))
        if restart_policy == "Never" and wanted != "NotRequired":
            yield invalid(path, wanted, "must be 'NotRequired' when pod `restartPolicy` is 'Never'")


# --- security


def _security_faults(context: Object, path: str, has_own_users: bool) -> Faults:
    yield from id_faults(context, path, "runAsUser", "runAsGroup")
    if (mount := context.get("procMount")) is not None:
        yield from checks.supported(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if mount == "Unmasked" and not has_own_users:
            yield invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    yield from profile_faults(context, path)
    yield from windows_faults(context, path)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            yield invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        for capability in (context.get("capabilities") or {}).get("add") or ():
            if capability == "CAP_SYS_ADMIN":
                text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
                yield invalid(path, context, text)


def id_faults(context: Object, path: str, *members: str) -> Faults:
    for member in members:
        value = context.get(member)
        if value is not None and not 0 <= value <= _MAX_ID:
            yield invalid(f"{path}.{member}", value, f"must be between 0 and {_MAX_ID}, inclusive")


_CONTROL = re.compile("[\x00-\x1f\x7f]")
_MAX_USER, _MAX_DOMAIN = 104, 255
_MAX_SPEC = 64 * 1024
_NETBIOS = re.compile(r"[^\\/:*?\"<>|.][^\\/:*?\"<>|]{0,14}")
_DOMAIN_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*")


def windows_faults(context: Object, path: str) -> Faults:
    options, here = context.get("windowsOptions") or {}, f"{path}.windowsOptions"
    if (name := options.get("gmsaCredentialSpecName")) is not None:
        yield from checks.dns_subdomain(f"{here}.gmsaCredentialSpecName", name)
    if (text := options.get("gmsaCredentialSpec")) is not None and not 0 < len(text) <= _MAX_SPEC:
        fault = (
            "gmsaCredentialSpec cannot be an empty string"
            if not text
            else "gmsaCredentialSpec size must be under 64 KiB"
        )
        yield invalid(f"{here}.gmsaCredentialSpec", text, fault)
    if (name := options.get("runAsUserName")) is not None:
        yield from _user_name_faults(name, f"{here}.runAsUserName")


def _user_name_faults(name: str, path: str) -> Faults:
    parts = name.split("\\")
    if not name:
        yield invalid(path, name, "runAsUserName cannot be an empty string")
    elif _CONTROL.search(name):
        yield invalid(path, name, "runAsUserName cannot contain control characters")
    elif len(parts) > 2:
        yield invalid(path, name, "runAsUserName cannot contain more than one backslash")
    else:
        user = parts[-1]
        yield from _domain_faults(name, parts[:-1], path)
        if not user:
            yield invalid(path, name, "runAsUserName's User cannot be empty")
        elif len(user) > _MAX_USER:
            text = f"runAsUserName's User length must not be longer than {_MAX_USER} characters"
            yield invalid(path, name, text)
        if user and not user.strip(". "):
            yield invalid(path, name, "runAsUserName's User cannot contain only periods or spaces")
        if any(letter in user for letter in '/:;|=,+*?<>@[]"'):
            text = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"
            yield invalid(path, name, text)


def _domain_faults(name: str, given: Sequence[str], path: str) -> Faults:
    for domain in given:
        if len(domain) > _MAX_DOMAIN:
            yield invalid(path, name, "runAsUserName's Domain length must be under 256 characters")
        if not _NETBIOS.fullmatch(domain) and not _DOMAIN.fullmatch(domain):
            yield invalid(path, name, "runAsUserName's Domain doesn't match the NetBios nor the DNS format")


def profile_faults(context: Object, path: str) -> Faults:
    """seccompProfile and appArmorProfile."""
    for member, word in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        profile = context.get(member)
        if profile is None:
            continue
        here, type_, local = f"{path}.{member}", profile.get("type", ""), profile.get("localhostProfile")
        if not type_:
            yield required(f"{here}.type", f"type is required when {member} is set")
        yield from checks.one_supported(
            f"{here}.type", type_ or None, ("Localhost", "RuntimeDefault", "Unconfined"), optional=True
        )
        if type_ == "Localhost":
            yield from _local_profile_faults(local, f"{here}.localhostProfile", word)
        elif local is not None and (member == "seccompProfile" or type_ in ("RuntimeDefault", "Unconfined")):
            yield invalid(f"{here}.localhostProfile", profile, f"can only be set when {word} type is Localhost")


_MAX_PROFILE = 4095


def _local_profile_faults(name: str | None, path: str, word: str) -> Faults:
    text = f"must be set when {word} type is Localhost"
    if name is None or (word == "AppArmor" and not name):
        yield required(path, text)
    elif word == "seccomp":
        yield from descending_path(path, name)
    else:
        if name.strip() != name:
            yield invalid(path, name, "must not be padded with whitespace")
        if len(name.encode()) > _MAX_PROFILE:
            yield too_long(path, _MAX_PROFILE)


# --- probes and hooks


def lifecycle_faults(container: Object, path: str, grace_s: int) -> Faults:
    """Hooks and probes of a container that runs as long as its pod."""
    for member in ("postStart", "preStop"):
        if (hook := (container.get("lifecycle") or {}).get(member)) is not None:
            yield from _handler_faults(hook, f"{path}.lifecycle.{member}", grace_s)
    for member in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(member)) is not None:
            yield from _probe_faults(probe, f"{path}.{member}", member, grace_s)


def _probe_faults(probe: Object, path: str, member: str, grace_s: int) -> Faults:
    yield from _handler_faults(probe, path, grace_s)
    counted = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    yield from checks.nonnegative(probe, path, *counted)
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        yield invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0")
    if member != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    if member == "readinessProbe" and seconds is not None:
        yield invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes")


def _handler_faults(handler: Object, path: str, grace_s: int) -> Faults:
    given = [member for member in _HANDLERS if handler.get(member) is not None]
    if not given:
        yield required(path, "must specify a handler type")
        return
    yield from (forbidden(f"{path}.{m}", "may not specify more than 1 handler type") for m in given[1:])
    call, here = handler[given[0]], f"{path}.{given[0]}"
    match given[0]:
        case "exec":
            yield from checks.present(call, here, "command")
        case "httpGet":
            yield from _http_faults(call, here)
        case "tcpSocket" | "grpc":
            yield from checks.port_or_name(f"{here}.port", call.get("port", 0))
        case "sleep" if not 0 <= call.get("seconds", 0) <= grace_s:
            text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
            yield invalid(here, call.get("seconds", 0), text)


def _http_faults(call: Object, path: str) -> Faults:
    yield from checks.present(call, path, "path")
    yield from checks.port_or_name(f"{path}.port", call.get("port", 0))
    yield from checks.supported(f"{path}.scheme", call.get("scheme", ""), ("HTTP", "HTTPS"))
    for header in call.get("httpHeaders") or ():
        name = header.get("name", "")
        if not _HEADER.fullmatch(name):
            text = (
                "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used "
                "for validation is '[-A-Za-z0-9]+')"
            )
            yield invalid(f"{path}.httpHeaders", name, text)


def restart_faults(container: Object, path: str) -> Faults:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if rules:
            yield required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    else:
        yield from checks.supported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))
    if len(rules) > 20:
        yield too_many(f"{path}.restartPolicyRules", len(rules), 20)
    for place, rule in enumerate(rules):
        here = f"{path}.restartPolicyRules[{place}]"
        yield from checks.supported(f"{here}.action", rule.get("action", ""), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            yield required(f"{here}.exitCodes", "must be specified")
        else:
            yield from checks.supported(f"{here}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn"))
            if len(codes.get("values") or ()) > 255:
                yield too_many(f"{here}.exitCodes.values", len(codes["values"]), 255)
