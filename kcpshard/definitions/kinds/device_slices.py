"""ResourceSlices: the devices of a pool, what they are like, and the counters that they share."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from kcpshard.api.errors import FieldError, duplicate, forbidden, invalid, required, too_long, too_many
from kcpshard.api.selectors import label_value_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.affinity_faults import node_selector_faults
from kcpshard.definitions.kinds.device_faults import TAINT_EFFECTS, attribute_name_faults, set_faults
from kcpshard.definitions.kinds.device_faults import slice_faults as items_faults
from kcpshard.definitions.kinds.volume_sources import driver_name
from kcpshard.definitions.quantities import Quantity, parse_quantity

Faults = Iterator[FieldError]
_MAX_DEVICES, _MAX_LOADED_DEVICES = 128, 64  # the fewer if any has taints or consumes counters
_MAX_ENTRIES = 32  # attributes and capacities of a device, counters of a set
_MAX_SETS, _MAX_CONSUMED_SETS, _MAX_TAINTS, _MAX_CONDITIONS, _MAX_OPTIONS = 8, 2, 16, 4, 10
_MAX_VALUE, _MAX_POOL = 64, 253  # bytes
_LISTS = frozenset(("bools", "ints", "strings", "versions"))
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_ONE_DEVICE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)
_NO_DEVICE_PLACE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_TRUE = "must be either unset or set to true"
_NUMBER = r"(0|[1-9]\d*)"
_BEFORE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = r"[0-9a-zA-Z-]+"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_BEFORE}(\.{_BEFORE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII
)


def default_slice(obj: Object) -> None:
    """A taint is there since it was first written; an amount that is not given is none."""
    spec = obj.get("spec") or {}
    devices = spec.get("devices") or ()
    counted = [*(spec.get("sharedCounters") or ()), *(c for d in devices for c in d.get("consumesCounters") or ())]
    for amounts in [*(item.get("counters") for item in counted), *(device.get("capacity") for device in devices)]:
        for amount in (amounts or {}).values():
            amount.setdefault("value", "0")
    for device in devices:
        for taint in device.get("taints") or ():
            if not taint.get("timeAdded"):
                taint["timeAdded"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def drop_disabled(new: Object, old: Object | None) -> None:
    """What stands behind gates that are off by default: shares of a node's own resources, and attributes that are
    lists. An object that has some already keeps them."""
    before = (((old or {}).get("spec") or {}).get("devices")) or ()
    has_shares = any(device.get("nodeAllocatableResourceMappings") for device in before)
    has_lists = any(_LISTS & attribute.keys() for device in before for attribute in _attributes(device))
    for device in (new.get("spec") or {}).get("devices") or ():
        if not has_shares:
            device.pop("nodeAllocatableResourceMappings", None)
        for attribute in _attributes(device) if not has_lists else ():
            for member in _LISTS & attribute.keys():
                del attribute[member]


def _attributes(device: Object) -> Sequence[Object]:
    return list((device.get("attributes") or {}).values())


def update_faults(new: Object, old: Object) -> Faults:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    pools = [(spec.get("pool") or {}).get("name", "") for spec in (after, before)]
    yield from checks.unchanged("spec.pool.name", *pools)
    yield from checks.unchanged("spec.driver", after.get("driver", ""), before.get("driver", ""))
    yield from checks.unchanged("spec.nodeName", after.get("nodeName"), before.get("nodeName"))


def slice_faults(obj: Object) -> Faults:
    spec = obj.get("spec") or {}
    yield from driver_name(spec.get("driver", ""), "spec.driver")
    yield from _pool_faults(spec.get("pool") or {})
    yield from _spec_place_faults(spec)
    counters, devices = spec.get("sharedCounters"), spec.get("devices")
    if counters is not None and devices is not None:
        yield invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    is_loaded = any(device.get("taints") or device.get("consumesCounters") for device in devices or ())
    limit = _MAX_LOADED_DEVICES if is_loaded else _MAX_DEVICES
    per_device = bool(spec.get("perDeviceNodeSelection"))
    check: Callable[[str, Object], Faults] = lambda path, device: _device_faults(path, device, per_device)  # noqa: E731
    yield from set_faults("spec.devices", devices or (), check, _name, limit)
    yield from set_faults("spec.sharedCounters", counters or (), _counter_set_faults, _name, _MAX_SETS)


def _name(item: Object) -> str:
    return str(item.get("name") or "")


def _pool_faults(pool: Object) -> Faults:
    yield from pool_name_faults("spec.pool.name", pool.get("name", ""))
    if (count := pool.get("resourceSliceCount") or 0) <= 0:
        yield invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if (generation := pool.get("generation") or 0) < 0:
        yield invalid("spec.pool.generation", generation, "must be greater than or equal to zero")


def pool_name_faults(path: str, name: str) -> Faults:
    if not name:
        yield required(path)
        return
    if len(name.encode()) > _MAX_POOL:
        yield too_long(path, _MAX_POOL)
    for part in name.split("/"):
        yield from checks.dns_subdomain(path, part)


def _spec_place_faults(spec: Object) -> Faults:
    given = [f"`{member}`" for member in _PLACES if _is_given(spec, member)]
    yield from _place_faults("spec", spec, "must be either unset or set to a non-empty string")
    if (selector := spec.get("nodeSelector")) is not None and len(selector.get("nodeSelectorTerms") or ()) != 1:
        terms = selector.get("nodeSelectorTerms")
        yield invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term")
    if spec.get("perDeviceNodeSelection") is False:
        yield invalid("spec.perDeviceNodeSelection", False, _TRUE)
    if not given:
        yield required("spec", _ONE_PLACE)
    elif len(given) > 1:
        yield invalid("spec", f"{{{', '.join(given)}}}", f"{_ONE_PLACE}, but multiple fields are set")


def _is_given(item: Object, member: str) -> bool:
    return item.get(member) is not None if member == "nodeSelector" else bool(item.get(member))


def _place_faults(path: str, item: Object, empty: str) -> Faults:
    if (name := item.get("nodeName")) is not None:
        if name:
            yield from checks.dns_subdomain(f"{path}.nodeName", name)
        else:
            yield invalid(f"{path}.nodeName", name, empty)
    if (selector := item.get("nodeSelector")) is not None:
        yield from node_selector_faults(selector, f"{path}.nodeSelector")
    if item.get("allNodes") is False:
        yield invalid(f"{path}.allNodes", False, _TRUE)


# --- devices


def _device_faults(path: str, device: Object, per_device: bool) -> Faults:
    yield from checks.dns_label(f"{path}.name", device.get("name", ""))
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if (count := len(attributes) + len(capacity)) > _MAX_ENTRIES:
        text = f"the total number of attributes and capacities must not exceed {_MAX_ENTRIES}"
        yield invalid(path, count, text)
    for name, attribute in attributes.items():
        yield from attribute_name_faults(f"{path}.attributes", name)
        yield from _attribute_faults(f"{path}.attributes[{name}]", attribute)
    for name, amount in capacity.items():
        yield from attribute_name_faults(f"{path}.capacity", name)
        if (policy := amount.get("requestPolicy")) is not None:
            here = f"{path}.capacity[{name}].requestPolicy"
            if device.get("allowMultipleAllocations"):
                yield from _policy_faults(here, policy, parse_quantity(amount["value"]))
            else:
                yield forbidden(here, "allowMultipleAllocations must be true")
    yield from items_faults(f"{path}.taints", device.get("taints") or (), _taint_faults, _MAX_TAINTS)
    yield from set_faults(
        f"{path}.consumesCounters", device.get("consumesCounters") or (), _consumption_faults,
        lambda item: item.get("counterSet", ""), _MAX_CONSUMED_SETS,
    )  # fmt: skip
    yield from _device_place_faults(path, device, per_device)
    yield from binding_faults(path, device)


def _device_place_faults(path: str, device: Object, per_device: bool) -> Faults:
    members = _PLACES[:3]
    if not per_device:
        if any(device.get(member) is not None for member in members):
            yield invalid(path, None, _NO_DEVICE_PLACE)
        return
    yield from _place_faults(path, device, "must not be empty")
    given = [f"`{member}`" for member in members if _is_given(device, member)]
    if not given:
        yield required(path, _ONE_DEVICE_PLACE)
    elif len(given) > 1:
        yield invalid(path, f"{{{', '.join(given)}}}", _ONE_DEVICE_PLACE)


def _attribute_faults(path: str, attribute: Object) -> Faults:
    if (text := attribute.get("string")) is not None and len(text.encode()) > _MAX_VALUE:
        yield too_long(f"{path}.string", _MAX_VALUE)
    if (version := attribute.get("version")) is not None:
        if not _VERSION.fullmatch(version):
            yield invalid(f"{path}.version", version, "must be a string compatible with semver.org spec 2.0.0")
        if len(version.encode()) > _MAX_VALUE:
            yield too_long(f"{path}.version", _MAX_VALUE)
    given = [member for member in attribute.values() if member is not None]
    if len(given) != 1:
        yield invalid(path, attribute if given else "", "exactly one value must be specified")


def _taint_faults(path: str, taint: Object) -> Faults:
    yield from checks.qualified_name(f"{path}.key", taint.get("key", ""))
    value = taint.get("value") or ""
    yield from (invalid(f"{path}.value", value, text) for text in label_value_faults(value))
    yield from checks.one_supported(f"{path}.effect", taint.get("effect"), TAINT_EFFECTS)


def _counter_set_faults(path: str, counters: Object) -> Faults:
    yield from _counter_faults(path, "name", counters)


def _consumption_faults(path: str, consumption: Object) -> Faults:
    yield from _counter_faults(path, "counterSet", consumption)


def _counter_faults(path: str, member: str, item: Object) -> Faults:
    if name := item.get(member):
        yield from checks.dns_label(f"{path}.{member}", name)
    else:
        yield required(f"{path}.{member}")
    counters = item.get("counters") or {}
    if not counters:
        yield required(f"{path}.counters")
    elif len(counters) > _MAX_ENTRIES:
        yield too_many(f"{path}.counters", len(counters), _MAX_ENTRIES)
    else:
        for name in counters:
            yield from checks.dns_label(f"{path}.counters", name)


def binding_faults(path: str, item: Object) -> Faults:
    """Conditions that must hold before a pod is bound, and those on which it is given up."""
    wanted, failed = item.get("bindingConditions") or (), item.get("bindingFailureConditions") or ()
    for member, names in (("bindingConditions", wanted), ("bindingFailureConditions", failed)):
        yield from items_faults(f"{path}.{member}", names, checks.qualified_name, _MAX_CONDITIONS)
        yield from (
            duplicate(f"{path}.{member}[{place}]", name) for place, name in enumerate(names) if name in names[:place]
        )
    for place, name in enumerate(failed):
        if name in wanted:
            text = "bindingFailureConditions must not overlap with bindingConditions"
            yield invalid(f"{path}.bindingFailureConditions[{place}]", name, text)
    if failed and not wanted:
        text = "bindingConditions are required to use bindingFailureConditions"
        yield invalid(f"{path}.bindingConditions", wanted, text)
    if wanted and not failed:
        text = "bindingFailureConditions are required to use bindingConditions"
        yield invalid(f"{path}.bindingFailureConditions", failed, text)


# --- how much of a capacity a request may take


def _policy_faults(path: str, policy: Object, capacity: Quantity) -> Faults:
    options, range_, default = policy.get("validValues") or (), policy.get("validRange"), policy.get("default")
    if options and range_ is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        yield forbidden(path, text)
    elif default is None and (options or range_ is not None):
        yield required(f"{path}.default", f"required when {'validValues' if options else 'validRange'} is defined")
    elif default is None:
        return
    elif options:
        yield from _option_faults(f"{path}.validValues", options, parse_quantity(default), capacity)
    elif range_ is not None:
        yield from _range_faults(f"{path}.validRange", range_, parse_quantity(default), capacity)


def _option_faults(path: str, options: Sequence[str], default: Quantity, capacity: Quantity) -> Faults:
    amounts = [parse_quantity(option) for option in options]
    for place, amount in enumerate(amounts[1:], 1):
        if amounts[place - 1].value > amount.value:
            yield invalid(f"{path}[{place}]", str(amount), "values must be sorted in ascending order")
    larger = f"option is larger than capacity value: {capacity}"
    check: Callable[[str, Quantity], Faults] = lambda here, amount: (  # noqa: E731 - typed
        invalid(here, str(amount), larger) for _ in range(amount.value > capacity.value)
    )
    yield from set_faults(path, amounts, check, lambda amount: str(-(-amount.value // 1)), _MAX_OPTIONS)
    if len(amounts) > _MAX_OPTIONS or all(amount.value != default.value for amount in amounts):
        yield invalid(path, str(default), "default value is not valid according to the requestPolicy")


def _range_faults(path: str, given: Object, default: Quantity, capacity: Quantity) -> Faults:
    least, most, step = (_amount(given, member) for member in ("min", "max", "step"))
    if least is None:
        yield required(f"{path}.min", "required when validRange is defined")
        return
    if least.value > capacity.value:
        yield invalid(f"{path}.min", str(least), f"min is larger than capacity value: {capacity}")
    if default.value < least.value:
        yield invalid(f"{path}.min", str(default), f"default is less than min: {least}")
    if most is not None:
        if least.value > most.value:
            yield invalid(f"{path}.max", str(least), f"min is larger than max: {most}")
        if most.value > capacity.value:
            yield invalid(f"{path}.max", str(most), f"max is larger than capacity value: {capacity}")
        if default.value > most.value:
            yield invalid(f"{path}.max", str(default), f"default is more than max: {most}")
    if step is not None:
        yield from _step_faults(f"{path}.step", step, least, (default, most), capacity)


def _amount(given: Object, member: str) -> Quantity | None:
    return parse_quantity(given[member]) if given.get(member) is not None else None


def _step_faults(
    path: str, step: Quantity, least: Quantity, amounts: Sequence[Quantity | None], capacity: Quantity
) -> Faults:
    if (first := least._replace(value=least.value + step.value)).value > capacity.value:
        yield invalid(path, str(step), f"one step {first} is larger than capacity value: {capacity}")
    for amount in amounts:
        width: Any = -(-step.value // 1)
        # A step of nothing cannot be counted; kube-apiserver panics over it.
        if amount is not None and (not width or (-(-amount.value // 1) - -(-least.value // 1)) % width):
            yield invalid(path, str(amount), f"value is not a multiple of a given step ({step}) from ({least})")
