"""What an API server fills in where pods are described: in a Pod, and in every template of one."""

import re
from collections.abc import Iterator
from typing import Any

from kcpshard.definitions.contract import Object

_MODE = 0o644
_HOUR_S = 3600
# Volume sources with values of their own to fill in.
_VOLUME_DEFAULTS: dict[str, dict[str, Any]] = {
    "secret": {"defaultMode": _MODE},
    "configMap": {"defaultMode": _MODE},
    "downwardAPI": {"defaultMode": _MODE},
    "projected": {"defaultMode": _MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def fill(obj: Object, **values: Any) -> None:
    """Members that are absent or empty strings get `values`."""
    for member, value in values.items():
        if obj.get(member) in (None, ""):
            obj[member] = value


def fill_absent(obj: Object, **values: Any) -> None:
    """The same for absent members alone: an empty string is a value there, if a wrong one."""
    for member, value in values.items():
        if obj.get(member) is None:
            obj[member] = value


def default_template(template: Object | None) -> None:
    if template is not None and template.get("spec") is not None:
        default_pod_spec(template["spec"])


def default_pod_spec(spec: Object) -> None:
    fill(spec, dnsPolicy="ClusterFirst", restartPolicy="Always", schedulerName="default-scheduler")
    fill(spec, terminationGracePeriodSeconds=30)
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    for container in containers(spec):
        _default_container(container)


def containers(spec: Object) -> Iterator[Object]:
    """Containers of all three sorts."""
    for member in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(member) or ()


def _default_volume(volume: Object) -> None:
    if not any(isinstance(value, dict) for value in volume.values()):
        volume["emptyDir"] = {}
    for source, values in _VOLUME_DEFAULTS.items():
        if volume.get(source) is not None:
            for member, value in values.items():
                if volume[source].get(member) is None:
                    volume[source][member] = value
    if (image := volume.get("image")) is not None:
        fill(image, pullPolicy=_pull_policy(image.get("reference", "")))
    for source in (volume.get("projected") or {}).get("sources") or ():
        if (token := source.get("serviceAccountToken")) is not None:
            fill(token, expirationSeconds=_HOUR_S)
        _default_field_references((source.get("downwardAPI") or {}).get("items") or ())
    _default_field_references((volume.get("downwardAPI") or {}).get("items") or ())
    if (claim := (volume.get("ephemeral") or {}).get("volumeClaimTemplate")) is not None:
        fill(claim.setdefault("spec", {}), volumeMode="Filesystem")


def _default_field_references(items: Any) -> None:
    for item in items:
        if (reference := item.get("fieldRef")) is not None:
            fill(reference, apiVersion="v1")
        if (reference := item.get("resourceFieldRef")) is not None:
            fill(reference, divisor="0")


_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_DOMAIN = (
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
)
_HOST = _DOMAIN + r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[\w][\w.-]{{0,127}})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)


_MAX_NAME = 255


def _full_name(image: str) -> str:
    """With the registry, and without the tag."""
    domain, slash, rest = image.partition("/")
    if not slash or not (set(".:") & set(domain) or domain == "localhost" or domain != domain.lower()):
        domain, rest = "docker.io", image if slash else f"library/{image}"
    head, slash, last = rest.rpartition("/")
    return f"{domain}/{head}{slash}{last.partition(':')[0]}"


def _pull_policy(image: str) -> str:
    """Always for a tag that moves: latest, which is also meant where neither tag nor digest is given.

    Not for what is no name of an image, as in kube-apiserver."""
    if not _IMAGE.fullmatch(image):
        return "IfNotPresent"
    name, _, digest = image.partition("@")
    if len(_full_name(name)) > _MAX_NAME:
        return "IfNotPresent"
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _default_container(container: Object) -> None:
    fill(container, imagePullPolicy=_pull_policy(container.get("image", "")))
    fill(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
    for port in container.get("ports") or ():
        fill(port, protocol="TCP")
    _default_field_references([v["valueFrom"] for v in container.get("env") or () if v.get("valueFrom")])
    for variable in container.get("env") or ():
        if (key := (variable.get("valueFrom") or {}).get("fileKeyRef")) is not None and key.get("optional") is None:
            key["optional"] = False
    for member in _PROBES:
        if (probe := container.get(member)) is not None:
            _default_probe(probe)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook)


def _default_probe(probe: Object) -> None:
    for member, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1)):
        probe[member] = probe.get(member) or value
    probe["failureThreshold"] = probe.get("failureThreshold") or 3
    _default_http(probe)
    if (call := probe.get("grpc")) is not None and call.get("service") is None:
        call["service"] = ""


def _default_http(handler: Object) -> None:
    if (call := handler.get("httpGet")) is not None:
        fill(call, path="/", scheme="HTTP")


def default_pod(obj: Object) -> None:
    """Of a Pod only: what templates leave open."""
    spec = obj["spec"]
    default_pod_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.setdefault("resources", {})
        if limits := resources.get("limits"):
            resources["requests"] = {**limits, **(resources.get("requests") or {})}
        for port in container.get("ports") or () if spec.get("hostNetwork") else ():
            port["hostPort"] = port.get("hostPort") or port.get("containerPort", 0)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    obj.setdefault("status", {})
