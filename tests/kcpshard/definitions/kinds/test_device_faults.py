from typing import Any

import pytest

from kcpshard.api import loop_time
from kcpshard.definitions.kinds.device_faults import attribute_name_faults, device_claim_faults


@pytest.fixture(autouse=True)
def without_a_loop() -> None:
    """Whoever has run a shard in this process has bounded what may be done at once."""
    loop_time.bound(1 << 62, 1 << 62)


Object = dict[str, Any]
GOOD: Object = {
    "requests": [
        {"name": "a", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 2}},
        {"name": "b", "firstAvailable": [{"name": "x", "deviceClassName": "c", "allocationMode": "All"}]},
    ],
    "constraints": [{"requests": ["a", "b/x"], "matchAttribute": "d/x"}, {"distinctAttribute": "d/y"}],
    "config": [{"requests": ["b"], "opaque": {"driver": "d", "parameters": {"a": 1}}}],
}


def fields(devices: Object) -> set[str]:
    return {fault.field.removeprefix("spec.") for fault in device_claim_faults(devices, "spec")}


def asked(**members: object) -> set[str]:
    exactly = {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1, **members}
    found = fields({"requests": [{"name": "a", "exactly": exactly}]})
    return {field.removeprefix("requests[0].exactly.") for field in found}


def test_a_good_claim_has_no_faults() -> None:
    assert fields(GOOD) == set()


def test_a_request_takes_one_form() -> None:
    assert fields({"requests": [{"name": "a"}]}) == {"requests[0]"}
    both = {**GOOD["requests"][0], "firstAvailable": GOOD["requests"][1]["firstAvailable"]}
    assert fields({"requests": [both]}) == {"requests[0]"}
    assert fields({"requests": [GOOD["requests"][0]] * 2}) == {"requests[1]"}
    assert fields({"requests": [GOOD["requests"][0]] * 33}) == {"requests"}


def test_what_is_asked_for_is_judged() -> None:
    assert asked(deviceClassName="A") == {"deviceClassName"}
    assert asked(deviceClassName="") == {"deviceClassName"}
    assert asked(allocationMode="All") == asked(count=-1) == {"count"}
    assert asked(allocationMode="Some") == {"allocationMode"}
    wrong = {"key": "-", "operator": "Exists", "value": "x", "effect": "Never"}
    assert asked(tolerations=[wrong]) == {f"tolerations[0].{m}" for m in ("key", "value", "effect")}


def test_selectors_are_compiled_and_priced() -> None:
    assert asked(selectors=[{}]) == {"selectors[0].cel"}
    assert asked(selectors=[{"cel": {"expression": "device.driver == 'd'"}}]) == set()
    for text in ("device.driver", "1 +", "x" * 10241):
        assert asked(selectors=[{"cel": {"expression": text}}]) == {"selectors[0].cel.expression"}


def test_constraints_and_configuration_name_requests_that_are_there() -> None:
    for name in ("c", "a/x", "b/x/y", "B"):
        assert fields({**GOOD, "constraints": [{"requests": [name], "matchAttribute": "d/x"}]}) == {
            "constraints[0].requests[0]"
        }
    assert fields({**GOOD, "constraints": [{}]}) == {"constraints[0]"}
    assert fields({**GOOD, "constraints": [{"matchAttribute": "x"}]}) == {"constraints[0].matchAttribute"}
    twice = {"requests": ["a", "a"], "opaque": {"driver": "d", "parameters": {}}}
    assert fields({**GOOD, "config": [twice]}) == {"config[0].requests[1]"}


def test_a_driver_gets_an_object() -> None:
    assert fields({"config": [{}]}) == {"config[0].opaque"}
    for parameters in (None, [], {"a": "x" * 10240}):
        config = {"opaque": {"driver": "d", "parameters": parameters}}
        assert fields({"config": [config]}) == {"config[0].opaque.parameters"}


def test_an_attribute_is_an_identifier_with_a_domain_or_without() -> None:
    assert not [*attribute_name_faults("p", "a_b"), *attribute_name_faults("p", "a.b/C1")]
    for name in ("1a", "a-b", "/a", "a/", "é", "a" * 33):
        assert list(attribute_name_faults("p", name)), name
