from kcpshard.definitions.builtin import builtin_resources
from kcpshard.definitions.kinds import RULES
from kcpshard.definitions.kinds.pods import graceful_s, qos_class

FULL = {(r.group, r.version, r.plural): r for r in builtin_resources("full")}


def test_generation_and_fields() -> None:
    assert FULL["apps", "v1", "deployments"].strategy.has_generation()
    assert not FULL["", "v1", "endpoints"].strategy.has_generation()
    pods = FULL["", "v1", "pods"]
    fields = pods.strategy.selectable_fields({"spec": {"nodeName": "n"}, "status": {"phase": "Running"}})
    assert (fields["spec.nodeName"], fields["status.phase"], fields["spec.hostNetwork"]) == ("n", "Running", "false")


def test_every_row_belongs_to_a_kind() -> None:
    assert set(RULES) <= {(r.group, r.kind) for r in FULL.values()}


def test_quality_of_service() -> None:
    both = {"cpu": "1", "memory": "1Gi"}
    assert qos_class({"containers": [{}]}) == "BestEffort"
    assert qos_class({"containers": [{"resources": {"requests": {"cpu": "1"}}}]}) == "Burstable"
    assert qos_class({"containers": [{"resources": {"requests": both, "limits": both}}]}) == "Guaranteed"


def test_a_pod_that_runs_nowhere_goes_at_once() -> None:
    spec = {"terminationGracePeriodSeconds": 30, "nodeName": "n"}
    assert graceful_s({"spec": spec}, None) == 30
    assert graceful_s({"spec": spec}, 5) == 5
    assert graceful_s({"spec": {**spec, "nodeName": ""}}, None) == 0
    assert graceful_s({"spec": spec, "status": {"phase": "Failed"}}, None) == 0
