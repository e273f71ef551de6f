from typing import Any

from kcpshard.definitions.builtin import builtin_resources

Object = dict[str, Any]
FULL = {r.kind: r.strategy for r in builtin_resources("full")}
REQUEST = {"name": "r", "exactly": {"deviceClassName": "c"}}
RESULT = {"request": "r", "driver": "d", "pool": "p", "device": "x"}
ALLOCATION: Object = {"devices": {"results": [RESULT]}}


def claim(**status: object) -> Object:
    return {"metadata": {"name": "a"}, "spec": {"devices": {"requests": [REQUEST]}}, "status": status}


def status_faults(old: Object, **status: object) -> list[str]:
    found = FULL["ResourceClaim"].validate_update(claim(**status), old, "status")
    return [fault.field.removeprefix("status.") for fault in found]


def test_a_claim_asks_for_one_device_by_default_and_never_changes() -> None:
    obj: Object = {
        "metadata": {},
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}},
    }
    strategy = FULL["ResourceClaim"]
    strategy.default(obj)
    assert obj["spec"]["devices"]["requests"][0]["exactly"]["count"] == 1
    assert strategy.validate_create(obj) == []
    assert [f.field for f in strategy.validate_update({**obj, "spec": {}}, obj, "")] == ["spec"]


def test_a_template_gives_labels_and_annotations_only() -> None:
    obj: Object = {"metadata": {}, "spec": {"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"devices": {}}}}
    assert [f.field for f in FULL["ResourceClaimTemplate"].validate_create(obj)] == ["spec.metadata.name"]


def test_a_class_selects_and_configures() -> None:
    spec = {"selectors": [{}], "config": [{}], "extendedResourceName": "cpu"}
    found = FULL["DeviceClass"].validate_create({"metadata": {}, "spec": spec})
    assert [f.field for f in found] == ["spec.selectors[0].cel", "spec.config[0].opaque", "spec.extendedResourceName"]


def test_an_allocation_is_judged_when_it_comes_and_then_stays() -> None:
    assert status_faults(claim(), allocation=ALLOCATION) == []
    wrong = {"devices": {"results": [{**RESULT, "request": "q", "shareID": "x"}], "config": [{"source": "x"}]}}
    assert status_faults(claim(), allocation=wrong) == [
        f"allocation.devices.{field}"
        for field in ("results[0].request", "results[0].shareID", "config[0].source", "config[0].opaque")
    ]
    assert status_faults(claim(allocation=ALLOCATION), allocation=wrong) == ["allocation"]


def test_only_what_is_allocated_is_reserved() -> None:
    consumer = {"resource": "pods", "name": "p", "uid": "u"}
    assert status_faults(claim(), reservedFor=[consumer]) == ["reservedFor"]
    assert status_faults(claim(), allocation=ALLOCATION, reservedFor=[consumer, consumer]) == ["reservedFor[1]"]
    assert status_faults(claim(), allocation=ALLOCATION, reservedFor=[{}]) == [
        f"reservedFor[0].{member}" for member in ("resource", "name", "uid")
    ]


def test_drivers_report_on_allocated_devices() -> None:
    device = {member: RESULT[member] for member in ("driver", "pool", "device")}
    held = claim(allocation=ALLOCATION)
    assert status_faults(held, allocation=ALLOCATION, devices=[device]) == []
    assert status_faults(held, allocation=ALLOCATION, devices=[{**device, "device": "y"}]) == ["devices[0]"]
    told = {
        **device,
        "data": [],
        "conditions": [{"type": "Ready"}],
        "networkData": {"ips": ["10.0.0.1", "fd00::01/64"]},
    }
    assert status_faults(held, allocation=ALLOCATION, devices=[told]) == [
        f"devices[0].{field}"
        for field in (
            "data", "conditions[0].lastTransitionTime", "conditions[0].reason", "conditions[0].status",
            "networkData.ips[0]", "networkData.ips[1]",
        )
    ]  # fmt: skip


def test_what_was_said_of_a_device_goes_with_its_allocation() -> None:
    device = {member: RESULT[member] for member in ("driver", "pool", "device")}
    new = claim(devices=[device])
    FULL["ResourceClaim"].prepare_update(new, claim(allocation=ALLOCATION, devices=[device]), "status")
    assert new["status"] == {}
