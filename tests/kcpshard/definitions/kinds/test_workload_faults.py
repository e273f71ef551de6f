from kcpshard.definitions.kinds.workload_faults import status_faults


def test_replicas_add_up() -> None:
    status = {"replicas": 1, "readyReplicas": 2, "availableReplicas": 1}
    found = status_faults({"kind": "Deployment", "status": status}, {"status": {}})
    assert [f.field for f in found] == ["status.readyReplicas"]
