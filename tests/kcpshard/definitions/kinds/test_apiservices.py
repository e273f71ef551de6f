from tests.kcpshard.definitions.submission import create, resource, update

SERVICES = resource("apiservices", "apiregistration.k8s.io")
SPEC = {"group": "x.y", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}


def test_a_local_one_is_available_at_once() -> None:
    found, faults = create(SERVICES, "v1.x.y", spec=SPEC)
    assert faults == [] and found["status"]["conditions"][0]["reason"] == "Local"
    remote, faults = create(SERVICES, "v1.x.y", spec={**SPEC, "service": {"name": "a", "namespace": "b"}})
    assert faults == [] and remote["status"] == {} and remote["spec"]["service"]["port"] == 443


def test_faults() -> None:
    assert create(SERVICES, "foo", spec=SPEC)[1] == ["metadata.name"]
    assert create(SERVICES, "v1.x.y", spec={**SPEC, "caBundle": "YQ=="})[1] == ["spec.caBundle"]
    assert create(SERVICES, "v1.x.y", spec={**SPEC, "versionPriority": 1001})[1] == ["spec.versionPriority"]


def test_status_conditions() -> None:
    old, _ = create(SERVICES, "v1.x.y", spec=SPEC)
    assert update(SERVICES, old, "status", status={"conditions": [{}]})[1] == ["status.conditions[0].status"]
