"""Validation of what a PersistentVolumeClaim asks for: of claims, of templates in StatefulSets and pods."""

from collections.abc import Iterator

from kcpshard.api.errors import FieldError, forbidden, invalid, required
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.quantities import parse_quantity

Faults = Iterator[FieldError]
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def claim_spec_faults(spec: Object, path: str) -> Faults:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from checks.selector(f"{path}.selector", spec.get("selector"))
    yield from access_mode_faults(modes, f"{path}.accessModes")
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        yield required(f"{path}.resources[storage]")
    else:
        yield from positive_amount(f"{path}.resources[storage]", requests["storage"])
    if name := spec.get("storageClassName"):
        yield from checks.dns_subdomain(f"{path}.storageClassName", name)
    if (mode := spec.get("volumeMode")) is not None:
        yield from checks.supported(f"{path}.volumeMode", mode, VOLUME_MODES)
    for member in ("dataSource", "dataSourceRef"):
        if source := spec.get(member):
            yield from _source_faults(source, f"{path}.{member}")
    yield from _twin_faults(spec.get("dataSource"), spec.get("dataSourceRef"), path)
    if name := spec.get("volumeAttributesClassName"):
        yield from checks.dns_subdomain(f"{path}.volumeAttributesClassName", name)


def _twin_faults(source: Object | None, reference: Object | None, path: str) -> Faults:
    if source is None or reference is None:
        return
    if reference.get("namespace"):
        yield invalid(path, path, "may not be specified when dataSourceRef.namespace is specified")
    elif source.get("apiGroup") != reference.get("apiGroup") or any(
        source.get(m, "") != reference.get(m, "") for m in ("kind", "name")
    ):
        yield invalid(path, path, "must match dataSourceRef")


def _source_faults(source: Object, path: str) -> Faults:
    yield from checks.present(source, path, "name", "kind")
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        yield invalid(
            path, source.get("kind", ""), "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        )
    if group:
        yield from checks.dns_subdomain(f"{path}.apiGroup", group)
    if source.get("namespace"):
        yield from checks.dns_label(f"{path}.namespace", source["namespace"])


def access_mode_faults(modes: list[str] | tuple[str, ...], path: str) -> Faults:
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield checks.unsupported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(mode in ACCESS_MODES[:3] for mode in modes):
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def positive_amount(path: str, text: str) -> Faults:
    if parse_quantity(text).value <= 0:
        yield invalid(path, text, "must be greater than zero")
