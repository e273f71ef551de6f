from kcpshard.definitions.kinds.container_faults import host_port_conflicts, resource_faults


def test_requests_stay_below_limits() -> None:
    found = list(resource_faults({"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}, "r", frozenset()))
    assert [f.field for f in found] == ["r.requests"]


def test_a_host_port_is_taken_once_per_protocol() -> None:
    ports = [{"hostPort": 1, "protocol": "TCP"}, {"hostPort": 1, "protocol": "UDP"}, {"hostPort": 1, "protocol": "TCP"}]
    assert [f.field for f in host_port_conflicts([{"ports": ports}], "c")] == ["c[0].ports[2].hostPort"]
