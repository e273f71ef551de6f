from tests.kcpshard.definitions.submission import create, resource, update

QUOTAS, LIMITS = resource("resourcequotas"), resource("limitranges")


def test_quota_amounts() -> None:
    assert create(QUOTAS, spec={"hard": {"cpu": "1.5", "count/foos.x.io": "1"}})[1] == []
    assert create(QUOTAS, spec={"hard": {"pods": "-1.5"}})[1] == ["spec.hard[pods]", "spec.hard[pods]"]
    old, _ = create(QUOTAS, spec={"scopes": ["BestEffort"], "hard": {"pods": "1"}})
    assert update(QUOTAS, old, spec={"scopes": ["NotBestEffort"]})[1] == ["spec.scopes"]
    assert update(QUOTAS, old, "status", status={"used": {"nope": "1"}})[1] == ["status.used[nope]"] * 2


def test_requests_above_limits_are_warned_of() -> None:
    found, _ = create(QUOTAS, spec={"hard": {"cpu": "2", "limits.cpu": "1", "memory": "1", "limits.memory": "1"}})
    assert QUOTAS.strategy.warnings(found) == ["ResourceQuota cpu (2) should be less than limits.cpu (1)"]


def test_container_defaults_follow_the_bounds() -> None:
    found, faults = create(
        LIMITS, spec={"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Gi"}}]}
    )
    assert faults == []
    limit = found["spec"]["limits"][0]
    assert limit["default"] == {"cpu": "2"} and limit["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}


def test_bounds_in_order() -> None:
    item = {"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}
    assert create(LIMITS, spec={"limits": [item]})[1] == ["spec.limits[0].min[cpu]"]
    assert create(LIMITS, spec={"limits": [{**item, "min": {"cpu": "1"}}]})[1] == []
