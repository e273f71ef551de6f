from kcpshard.definitions.conversion import convert
from tests.kcpshard.definitions.submission import resource

CORE, NEW = resource("events"), resource("events", "events.k8s.io")


def test_an_event_there_and_back() -> None:
    stored = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "involvedObject": {"name": "x"}, "reason": "r",
        "message": "m", "source": {"component": "c"}, "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": None,
        "count": 3, "eventTime": None, "reportingComponent": "rc", "reportingInstance": "",
    }  # fmt: skip
    kept = dict(stored)
    new = convert(stored, NEW)
    assert stored == kept
    assert (new["apiVersion"], new["note"], new["regarding"], new["reportingController"]) == (
        "events.k8s.io/v1", "m", {"name": "x"}, "rc",
    )  # fmt: skip
    assert new["deprecatedCount"] == 3 and new["deprecatedLastTimestamp"] is None and "reportingInstance" not in new
    assert convert(new, CORE) == stored


def test_versions_that_differ_in_name_only() -> None:
    role = resource("roles", "rbac.authorization.k8s.io")
    old = {"apiVersion": "rbac.authorization.k8s.io/v1beta1", "kind": "Role", "metadata": {}, "rules": []}
    assert convert(old, role) == old | {"apiVersion": role.api_version}
