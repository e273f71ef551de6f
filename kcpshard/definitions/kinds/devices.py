"""Kinds of resource.k8s.io: who asks for devices, in which classes they are, and who got which."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required, too_long, too_many
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds import device_faults, device_slices
from kcpshard.definitions.kinds.affinity_faults import node_selector_faults
from kcpshard.definitions.kinds.pod_defaults import fill
from kcpshard.definitions.kinds.quotas import is_extended
from kcpshard.definitions.kinds.volume_faults import template_metadata_faults
from kcpshard.definitions.kinds.volume_sources import driver_name
from kcpshard.definitions.strategies import Rules, keep_all_but, keep_metadata

Faults = Iterator[FieldError]
GROUP = "resource.k8s.io"
_MAX_CONSUMERS = 256
_MAX_CONDITIONS, _MAX_ADDRESSES = 8, 16
_MAX_REASON, _MAX_MESSAGE = 1024, 32768
_CONDITION_STATUS = ("False", "True", "Unknown")
_REASON = re.compile("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_REASON_FORM = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    f"'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON.pattern}')"
)
_SOURCES = ("FromClaim", "FromClass")


def _default_devices(obj: Object) -> None:
    spec = obj.get("spec") or {}
    for request in ((spec.get("spec") or spec).get("devices") or {}).get("requests") or ():
        for part in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if part is not None:
                fill(part, allocationMode="ExactCount")
                if part["allocationMode"] == "ExactCount":
                    part["count"] = part.get("count") or 1


def _claim(obj: Object) -> Faults:
    yield from device_faults.device_claim_faults((obj.get("spec") or {}).get("devices") or {}, "spec.devices")


def _template(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    yield from template_metadata_faults(spec.get("metadata") or {}, "spec.metadata")
    yield from device_faults.device_claim_faults((spec.get("spec") or {}).get("devices") or {}, "spec.spec.devices")


def _claim_update(new: Object, old: Object) -> Faults:
    yield from checks.unchanged("spec", new["spec"], old["spec"])


def _class(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    yield from device_faults.slice_faults("spec.selectors", spec.get("selectors") or (), device_faults.selector_faults)
    yield from device_faults.slice_faults("spec.config", spec.get("config") or (), device_faults.configuration_faults)
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        yield invalid("spec.extendedResourceName", name, "must be a valid extended resource name")


# --- the status of a claim


def _update_status(new: Object, old: Object) -> None:
    """What is said of a device goes with its allocation."""
    keep_all_but(new, old, "status")
    keep_metadata(new, old)
    before, after = (_allocated(obj.get("status") or {}) for obj in (old, new))
    status = new.get("status") or {}
    if status.get("devices"):
        status["devices"] = [d for d in status["devices"] if _identity(d) not in before - after]
        if not status["devices"]:
            del status["devices"]


def _results(status: Object) -> list[Object]:
    return ((status.get("allocation") or {}).get("devices") or {}).get("results") or []


def _allocated(status: Object) -> set[tuple[str, ...]]:
    return {_identity(result) for result in _results(status)}


def _identity(device: Object) -> tuple[str, ...]:
    return tuple(device.get(member) or "" for member in ("driver", "pool", "device", "shareID"))


def _status(new: Object, old: Object) -> Faults:
    after, before = new.get("status") or {}, old.get("status") or {}
    consumers, allocation = after.get("reservedFor") or (), after.get("allocation")
    uid = _uid_of
    yield from device_faults.set_faults("status.reservedFor", consumers, _consumer_faults, uid, _MAX_CONSUMERS)
    allocated = _allocated(after)
    devices = after.get("devices") or ()
    for place, device in enumerate(devices):
        yield from _device_status_faults(f"status.devices[{place}]", device, allocated)
        if _identity(device) in map(_identity, devices[:place]):
            yield duplicate(f"status.devices[{place}]", "/".join(_identity(device)).rstrip("/"))
    if consumers and allocation is None:
        yield forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif consumers and new["metadata"].get("deletionTimestamp"):
        known = before.get("reservedFor") or ()
        if any(consumer not in known for consumer in consumers):
            text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            yield forbidden("status.reservedFor", text)
    if allocation is not None and before.get("allocation") is not None:
        yield from checks.unchanged("status.allocation", allocation, before["allocation"])
    elif allocation is not None:
        yield from _allocation_faults(
            allocation, device_faults.request_names((new.get("spec") or {}).get("devices") or {})
        )


def _uid_of(consumer: Object) -> str:
    return str(consumer.get("uid") or "")


def _consumer_faults(path: str, consumer: Object) -> Faults:
    yield from checks.present(consumer, path, "resource", "name", "uid")


def _device_status_faults(path: str, device: Object, allocated: set[tuple[str, ...]]) -> Faults:
    yield from driver_name(device.get("driver", ""), f"{path}.driver")
    yield from device_slices.pool_name_faults(f"{path}.pool", device.get("pool", ""))
    yield from checks.dns_label(f"{path}.device", device.get("device", ""))
    yield from _share_faults(path, device)
    if _identity(device) not in allocated:
        shown = "/".join(part for part in _identity(device) if part)
        yield invalid(path, shown, "must be an allocated device in the claim")
    if device.get("data") is not None:
        yield from device_faults.raw_faults(f"{path}.data", device["data"])
    yield from _condition_faults(f"{path}.conditions", device.get("conditions") or ())
    yield from _network_faults(f"{path}.networkData", device.get("networkData") or {})


def _condition_faults(path: str, conditions: Sequence[Object]) -> Faults:
    if len(conditions) > _MAX_CONDITIONS:
        yield too_many(path, len(conditions), _MAX_CONDITIONS)
    for place, condition in enumerate(conditions):
        here, kind = f"{path}[{place}]", condition.get("type", "")
        yield from checks.present(condition, here, "type", "lastTransitionTime", "reason")
        if kind:
            yield from checks.qualified_name(f"{here}.type", kind)
            if kind in (other.get("type") for other in conditions[:place]):
                yield duplicate(f"{here}.type", kind)
        yield from checks.supported(f"{here}.status", condition.get("status", ""), _CONDITION_STATUS)
        yield from checks.nonnegative(condition, here, "observedGeneration")
        if (reason := condition.get("reason")) and not _REASON.fullmatch(reason):
            yield invalid(f"{here}.reason", reason, _REASON_FORM)
        if len(reason or "") > _MAX_REASON:
            yield too_long(f"{here}.reason", _MAX_REASON)
        if len(condition.get("message") or "") > _MAX_MESSAGE:
            yield too_long(f"{here}.message", _MAX_MESSAGE)


def _network_faults(path: str, data: Object) -> Faults:
    for member, limit in (("interfaceName", 256), ("hardwareAddress", 128)):
        if len((data.get(member) or "").encode()) > limit:
            yield too_long(f"{path}.{member}", limit)
    addresses = data.get("ips") or ()
    yield from device_faults.set_faults(f"{path}.ips", addresses, _interface_faults, str, _MAX_ADDRESSES)


def _interface_faults(path: str, text: str) -> Faults:
    """An address with the length of its network, as every tool writes it."""
    base, _, length = text.partition("/")
    if checks.lenient_network(text) is None or (found := checks.lenient_address(base)) is None:
        form = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        yield invalid(path, text, form)
    elif text != (canonical := f"{found}/{int(length)}"):
        yield invalid(path, text, f'must be in canonical form ("{canonical}")')


def _share_faults(path: str, item: Object) -> Faults:
    if (share := item.get("shareID")) is not None:
        yield from checks.uid(f"{path}.shareID", share)


def _allocation_faults(allocation: Object, names: device_faults.RequestNames) -> Faults:
    devices, path = allocation.get("devices") or {}, "status.allocation.devices"
    yield from device_faults.slice_faults(
        f"{path}.results", devices.get("results") or (), lambda here, r: _result_faults(here, r, names)
    )
    yield from device_faults.slice_faults(
        f"{path}.config", devices.get("config") or (), lambda here, c: _allocated_config_faults(here, c, names),
        2 * device_faults.MAX_ITEMS,
    )  # fmt: skip
    if (selector := allocation.get("nodeSelector")) is not None:
        yield from node_selector_faults(selector, "status.allocation.nodeSelector")


def _result_faults(path: str, result: Object, names: device_faults.RequestNames) -> Faults:
    yield from device_faults.request_reference_faults(f"{path}.request", result.get("request", ""), names)
    yield from driver_name(result.get("driver", ""), f"{path}.driver")
    yield from device_slices.pool_name_faults(f"{path}.pool", result.get("pool", ""))
    yield from checks.dns_label(f"{path}.device", result.get("device", ""))
    yield from device_slices.binding_faults(path, result)
    yield from _share_faults(path, result)


def _allocated_config_faults(path: str, config: Object, names: device_faults.RequestNames) -> Faults:
    source: Any = config.get("source") or ""
    if not source:
        yield required(f"{path}.source")
    else:
        yield from checks.supported(f"{path}.source", source, _SOURCES)
    yield from device_faults.claim_configuration_faults(path, config, names)


ROWS = {
    (GROUP, "DeviceClass"): Rules(generation=True, validate=(_class,)),
    (GROUP, "ResourceClaim"): Rules(
        default=(_default_devices,),
        validate_create=(_claim,),
        validate_update=(_claim_update,),
        validate_subresource={"status": (_status,)},
        prepare_update={"status": _update_status},
    ),
    (GROUP, "ResourceClaimTemplate"): Rules(
        default=(_default_devices,), validate=(_template,), validate_update=(_claim_update,)
    ),
    (GROUP, "ResourceSlice"): Rules(
        generation=True,
        fields=(("spec.nodeName", ("spec", "nodeName")), ("spec.driver", ("spec", "driver"))),
        default=(device_slices.default_slice,),
        validate=(device_slices.slice_faults,),
        validate_update=(device_slices.update_faults,),
        disabled=device_slices.drop_disabled,
    ),
}
