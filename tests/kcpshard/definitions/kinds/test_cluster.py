from kcpshard.definitions.builtin import builtin_resources

FULL = {r.kind: r for r in builtin_resources("full")}


def test_a_new_node_is_tainted_until_it_is_ready() -> None:
    obj = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "1"}}}
    FULL["Node"].strategy.prepare_create(obj)
    assert obj["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    assert obj["status"] == {"capacity": {"cpu": "1"}}


def test_system_priorities_are_reserved() -> None:
    obj = {"metadata": {"name": "system-x"}, "value": 1, "preemptionPolicy": "Never"}
    assert [f.field for f in FULL["PriorityClass"].strategy.validate_create(obj)] == ["metadata.name"]


def test_slices_are_selected_by_driver_and_node() -> None:
    obj = {"metadata": {"name": "s"}, "spec": {"driver": "d"}}
    assert FULL["ResourceSlice"].strategy.selectable_fields(obj) == {"spec.driver": "d", "spec.nodeName": ""}
