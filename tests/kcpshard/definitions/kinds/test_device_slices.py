from typing import Any

from kcpshard.definitions.kinds.device_slices import default_slice, drop_disabled, slice_faults, update_faults

Object = dict[str, Any]
POOL = {"driver": "d", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}


def fields(**members: object) -> set[str]:
    spec = {**POOL, "nodeName": "n", **members}
    return {fault.field.removeprefix("spec.") for fault in slice_faults({"spec": spec})}


def device(**members: object) -> set[str]:
    found = fields(devices=[{"name": "x", **members}])
    return {field.removeprefix("devices[0].") for field in found}


def test_a_slice_is_in_one_place() -> None:
    assert fields() == set()
    assert fields(nodeName=None) == fields(allNodes=True) == {"spec"}
    assert fields(nodeName="") == {"nodeName", "spec"}
    assert fields(allNodes=False) == {"allNodes"}
    assert fields(pool={"name": "A"}) == {"pool.name", "pool.resourceSliceCount"}
    assert fields(devices=[], sharedCounters=[]) == {"spec"}


def test_devices_are_in_places_of_their_own_where_the_slice_says_so() -> None:
    assert device(nodeName="n") == {"devices[0]"}
    each = {"nodeName": None, "perDeviceNodeSelection": True}
    assert fields(**each, devices=[{"name": "x", "nodeName": "n"}]) == set()
    assert fields(**each, devices=[{"name": "x"}]) == {"devices[0]"}


def test_an_attribute_has_one_value() -> None:
    assert device(attributes={"a": {"string": "x"}, "d/b": {"version": "1.2.3-a+b"}}) == set()
    assert device(attributes={"a": {}}) == device(attributes={"a": {"int": 1, "bool": True}}) == {"attributes[a]"}
    assert device(attributes={"a": {"version": "1.2"}}) == {"attributes[a].version"}
    assert device(attributes={"a-b": {"int": 1}}) == {"attributes"}


def test_many_may_share_a_capacity_in_steps() -> None:
    def policy(value: object, shared: bool = True) -> set[str]:
        found = device(allowMultipleAllocations=shared, capacity={"m": {"value": "4Gi", "requestPolicy": value}})
        return {field.removeprefix("capacity[m].requestPolicy").removeprefix(".") for field in found}

    good = {"default": "1Gi", "validRange": {"min": "1Gi", "max": "4Gi", "step": "1Gi"}}
    assert policy(good) == set()
    assert policy(good, False) == {""}
    assert policy({"validRange": {}}) == {"default"}
    assert policy({"default": "1Gi", "validRange": {}}) == {"validRange.min"}
    assert policy({"default": "1Gi", "validRange": {"min": "1Gi", "step": "2Gi", "max": "4Gi"}}) == {"validRange.step"}
    assert policy({"default": "1Gi", "validValues": ["2Gi", "1Gi"]}) == {"validValues[1]"}
    assert policy({"default": "3Gi", "validValues": ["1Gi"]}) == {"validValues"}


def test_counters_taints_and_conditions() -> None:
    assert device(taints=[{"key": "k", "effect": "x"}]) == {"taints[0].effect"}
    assert device(consumesCounters=[{}]) == {"consumesCounters[0].counterSet", "consumesCounters[0].counters"}
    assert device(bindingConditions=["a", "a"]) == {"bindingConditions[1]", "bindingFailureConditions"}
    assert fields(sharedCounters=[{"name": "s", "counters": {"A": {"value": "1"}}}]) == {"sharedCounters[0].counters"}


def test_fewer_devices_fit_where_any_is_tainted() -> None:
    many = [{"name": f"x{n}"} for n in range(65)]
    assert fields(devices=many) == set()
    assert fields(devices=[*many, {"name": "y", "taints": [{"key": "k", "effect": "None"}]}]) == {"devices"}


def test_pool_driver_and_node_stay() -> None:
    old: Object = {"spec": {**POOL, "nodeName": "n"}}
    changed = {"spec": {"driver": "e", "pool": {"name": "q"}, "allNodes": True}}
    assert [f.field for f in update_faults(changed, old)] == ["spec.pool.name", "spec.driver", "spec.nodeName"]
    assert not list(update_faults(old, old))


def test_what_is_off_is_dropped_and_taints_get_their_time() -> None:
    taint: Object = {"key": "k", "effect": "None"}
    inner: Object = {
        "attributes": {"a": {"ints": [1]}},
        "nodeAllocatableResourceMappings": {"cpu": {}},
        "taints": [taint],
    }
    default_slice({"spec": {"devices": [inner]}})
    assert taint["timeAdded"].endswith("Z")
    counted: Object = {"name": "s", "counters": {"c": {}}}
    default_slice({"spec": {"sharedCounters": [counted], "devices": [{"capacity": {"m": {"value": "1"}}}]}})
    assert counted["counters"] == {"c": {"value": "0"}}
    old = {"spec": {"devices": [{"attributes": {"b": {"bools": [True]}}}]}}
    drop_disabled({"spec": {"devices": [inner]}}, old)
    assert inner["attributes"] == {"a": {"ints": [1]}}
    drop_disabled({"spec": {"devices": [inner]}}, None)
    assert (inner["attributes"], "nodeAllocatableResourceMappings" in inner) == ({"a": {}}, False)
