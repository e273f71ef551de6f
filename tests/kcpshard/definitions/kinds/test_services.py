from kcpshard.definitions.builtin import builtin_resources

SERVICE = next(r for r in builtin_resources("full") if r.kind == "Service")


def test_an_address_that_is_not_sent_stays() -> None:
    old = {"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}}
    new = {"spec": {"type": "ClusterIP"}}
    SERVICE.strategy.prepare_update(new, old, "")
    assert new["spec"] == old["spec"]


def test_an_address_may_not_change() -> None:
    new, old = (
        {"spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip]}} for ip in ("10.96.0.8", "10.96.0.9")
    )
    for obj in (new, old):
        obj["spec"] |= {"sessionAffinity": "None", "ports": [{"port": 1, "protocol": "TCP", "targetPort": 1}]}
    assert "spec.clusterIPs[0]" in [f.field for f in SERVICE.strategy.validate_update(new, old, "")]
