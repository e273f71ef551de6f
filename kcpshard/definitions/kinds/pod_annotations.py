"""Annotations of pods and of their templates that mean something: older ways to say what fields say today.

Seccomp and AppArmor profiles, tolerations, the cost of a deletion, mirror pods. A profile in a field and in an
annotation must be the same; one of AppArmor that only an annotation names is copied into the field of a new pod.
"""

import re
from collections.abc import Iterator, Mapping

import orjson

from kcpshard.api.errors import FieldError, forbidden, invalid
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.affinity_faults import toleration_faults
from kcpshard.definitions.kinds.pod_warnings import app_armor_profile
from kcpshard.definitions.kinds.volume_sources import descending_path

Faults = Iterator[FieldError]
MIRROR = "kubernetes.io/config.mirror"
_TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
_COST = "controller.kubernetes.io/pod-deletion-cost"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_RUNTIME = "runtime/default"
_LOCAL = "localhost/"
_SECCOMP = {"Unconfined": ("unconfined",), "RuntimeDefault": (_RUNTIME, "docker/default")}
_APPARMOR_NAMES = {"Unconfined": ("unconfined",), "RuntimeDefault": (_RUNTIME,)}
_INTEGER = re.compile(r"-[0-9]+|0|[1-9][0-9]*")
_LARGEST = 2**31
_MAX_PROFILE = 4096  # characters of a name: a path


def annotation_faults(annotations: Mapping[str, str], spec: Object, path: str) -> Faults:
    """What is wrong with them on their own. `path` is that of the annotations."""
    if MIRROR in annotations and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        yield invalid(f"{path}[{MIRROR}]", annotations[MIRROR], text)
    if given := annotations.get(_TOLERATIONS):
        yield from _toleration_faults(given, path)
    if (cost := annotations.get(_COST)) is not None and not _is_cost(cost):
        yield invalid(f"{path}[{_COST}]", cost, "must be a 32bit integer")
    for key, value in annotations.items():
        if key == _SECCOMP_POD or key.startswith(_SECCOMP_CONTAINER):
            yield from _seccomp_faults(value, f"{path}.{key}")
        elif key.startswith(_APPARMOR):
            yield from _apparmor_faults(key, value, spec, f"{path}[{key}]")


def _toleration_faults(text: str, path: str) -> Faults:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        yield invalid(path, _TOLERATIONS, str(error))
        return
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        yield invalid(path, _TOLERATIONS, "json: cannot unmarshal into a list of tolerations")
        return
    yield from toleration_faults(found, f"{path}.{_TOLERATIONS}")


def _is_cost(text: str) -> bool:
    return bool(_INTEGER.fullmatch(text)) and -_LARGEST <= int(text) < _LARGEST


def _seccomp_faults(value: str, path: str) -> Faults:
    if value.startswith(_LOCAL):
        yield from descending_path(path, value.removeprefix(_LOCAL))
    elif value not in (_RUNTIME, "docker/default", "unconfined"):
        yield invalid(path, value, "must be a valid seccomp profile")


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _apparmor_faults(key: str, value: str, spec: Object, path: str) -> Faults:
    name = key.removeprefix(_APPARMOR)
    if not any(container.get("name", "") == name for _, container in _containers(spec)):
        yield invalid(path, name, "container not found")
    if value not in ("", _RUNTIME, "unconfined") and not value.startswith(_LOCAL):
        yield invalid(path, value, f"invalid AppArmor profile name: {_quoted(value)}")


def _containers(spec: Object) -> Iterator[tuple[str, Object]]:
    """Each with its place below the spec."""
    for member in ("initContainers", "containers", "ephemeralContainers"):
        for place, container in enumerate(spec.get(member) or ()):
            yield f"{member}[{place}]", container


# --- annotations and fields


def match_faults(annotations: Mapping[str, str], spec: Object, path: str) -> Faults:
    """Profiles that an annotation and a field name differently. `path` is that of the spec."""
    context = spec.get("securityContext") or {}
    if (profile := context.get("seccompProfile")) is not None and _SECCOMP_POD in annotations:
        here = f"{path}.securityContext.seccompProfile"
        yield from _difference(profile, annotations[_SECCOMP_POD], here, "seccomp", _SECCOMP)
    for place, container in _containers(spec):
        own, here = container.get("securityContext") or {}, f"{path}.{place}.securityContext"
        key = _SECCOMP_CONTAINER + container.get("name", "")
        if (profile := own.get("seccompProfile")) is not None and key in annotations:
            yield from _difference(profile, annotations[key], f"{here}.seccompProfile", "seccomp", _SECCOMP)
        key, profile = (
            _APPARMOR + container.get("name", ""),
            own.get("appArmorProfile") or context.get("appArmorProfile"),
        )
        if profile is not None and key in annotations and not _is_windows(spec):
            yield from _difference(profile, annotations[key], f"{here}.appArmorProfile", "apparmor", _APPARMOR_NAMES)


def _difference(profile: Object, annotation: str, path: str, word: str, names: Mapping[str, tuple[str, ...]]) -> Faults:
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    is_local = kind == "Localhost" and annotation.startswith(_LOCAL)
    if is_local and annotation.removeprefix(_LOCAL) != local:
        yield forbidden(f"{path}.localhostProfile", f"{word} profile in annotation and field must match")
    elif not is_local and (kind == "Localhost" or annotation not in names.get(kind, (annotation,))):
        yield forbidden(f"{path}.type", f"{word} type in annotation and field must match")


def _is_windows(spec: Object) -> bool:
    return bool((spec.get("os") or {}).get("name") == "windows")


def copy_profiles(pod: Object) -> None:
    """Of a new pod: let the fields say which AppArmor profiles the annotations name."""
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    if _is_windows(spec) or not any(key.startswith(_APPARMOR) for key in annotations):
        return
    of_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    for _, container in _containers(spec):
        profile = _profile(annotations.get(_APPARMOR + container.get("name", ""), ""))
        has_own = (container.get("securityContext") or {}).get("appArmorProfile") is not None
        if profile is not None and not has_own and profile != of_pod:
            container["securityContext"] = {**(container.get("securityContext") or {}), "appArmorProfile": profile}


def _profile(annotation: str) -> Object | None:
    """What the field says for it; None if it says nothing good."""
    found = app_armor_profile(annotation)
    name = (found or {}).get("localhostProfile", "")
    return found if name.strip() == name and len(name) < _MAX_PROFILE else None


def changed_faults(new: Object, old: Object) -> Faults:
    """Annotations that an update may not touch."""
    after, before = (o["metadata"].get("annotations") or {} for o in (new, old))
    for key in {**before, **after}:
        is_profile = key.startswith(_APPARMOR)
        if after.get(key) == before.get(key) or not (is_profile or key == MIRROR):
            continue
        what = "AppArmor annotations" if is_profile else "mirror pod annotation"
        verb = "add" if key not in before else "remove or update"
        yield forbidden(f"metadata.annotations[{key}]", f"may not {verb} {what}")
