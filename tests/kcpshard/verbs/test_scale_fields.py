from kcpshard.verbs.managed_fields import APPLY, UPDATE, Managed, Manager, Managers
from kcpshard.verbs.scale_fields import IN_SCALE, to_object, to_scale

SPEC = {"f:spec": {"f:replicas": {}, "f:paused": {}}}


def at(api_version: str) -> dict[str, dict[str, dict[str, object]]]:
    return IN_SCALE if api_version == "apps/v1" else {}  # type: ignore[return-value]


def managers() -> Managers:
    return {
        Manager("kubectl", UPDATE, "apps/v1"): Managed(SPEC, "t1", "apps/v1"),
        Manager("other", UPDATE, "apps/v1", "status"): Managed({"f:status": {}}, "t2", "apps/v1"),
    }


def test_only_owners_of_replicas_are_seen_in_the_scale() -> None:
    assert to_scale(managers(), at) == {
        Manager("kubectl", UPDATE, "autoscaling/v1"): Managed(IN_SCALE, "t1", "autoscaling/v1")
    }


def test_who_writes_the_scale_takes_the_field() -> None:
    scaled = {Manager("hpa", UPDATE, "autoscaling/v1", "scale"): Managed(IN_SCALE, "t3", "autoscaling/v1")}
    entries = {e["manager"]: e for e in to_object(managers(), scaled, at, "apps/v1")}
    assert entries["kubectl"]["fieldsV1"] == {"f:spec": {"f:paused": {}}}
    assert (entries["hpa"]["apiVersion"], entries["hpa"]["subresource"]) == ("apps/v1", "scale")
    assert "time" not in entries["hpa"]


def test_who_applied_it_before_keeps_the_entry() -> None:
    key = Manager("m", APPLY, "", "scale")
    before: Managers = {key: Managed(IN_SCALE, "t1", "apps/v1")}
    entries = to_object(before, to_scale(before, at), at, "apps/v1")
    assert [(e["manager"], e["time"]) for e in entries] == [("m", "t1")]
